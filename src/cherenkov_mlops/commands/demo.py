"""``demo``: simulated showers, five networks, their reports and a comparison, in minutes."""

import logging
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from cherenkov_mlops.commands import compare, simulate
from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.pipeline import chain
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir, write_text_atomically

log = logging.getLogger(__name__)

CONFIGS = resources.files("cherenkov_mlops") / "configs"
BASE = "demo_base.yaml"
#: Configurations of the runs, which extend the base.
RUNS = sorted(
    path.name for path in CONFIGS.iterdir() if path.name.startswith("demo_") and path.name != BASE
)

# Both particles from the same part of the sky, wide enough for directions to differ.
VIEWCONE_DEG = 3.0


@dataclass(frozen=True)
class Sample:
    """One simulated file of the demo.

    Parameters
    ----------
    name : str
        Name of the file, ``<particle>_<purpose>``.
    n_images : int
        Telescope images in it.
    seed : int
        Added to the seed of the demo, so that no two files hold the same showers.
    """

    name: str
    n_images: int
    seed: int

    @property
    def particle(self) -> str:
        """``gamma`` or ``proton``."""
        return self.name.partition("_")[0]


SAMPLES = (
    Sample("gamma_train", 12_000, 0),
    Sample("proton_train", 12_000, 1),
    Sample("gamma_test", 5_000, 2),
    Sample("proton_test", 5_000, 3),
)


@dataclass(frozen=True)
class Lesson:
    """What the runs of the demo that have this metric must have learnt.

    Parameters
    ----------
    metric : str
        Which value.
    bound : float
        Where it has to be.
    at_least : bool
        Whether the bound is a lower one.
    meaning : str
        The value in words.
    """

    metric: str
    bound: float
    at_least: bool
    meaning: str

    def sentence(self, run: str, value: float) -> str:
        """Write the value of a run beside its bound, and whether it holds."""
        sign, holds = (">=", value >= self.bound) if self.at_least else ("<=", value <= self.bound)
        verdict = "ok" if holds else "NOT REACHED"
        return f"{run}: {self.meaning} {value:.3f} (expected {sign} {self.bound}): {verdict}"


LESSONS = (
    Lesson("auc", 0.85, True, "AUC"),
    Lesson(
        "rmse_log10_ratio",
        0.6,
        False,
        "RMSE of log10 E, over that of always predicting the mean,",
    ),
    Lesson(
        "containment_68_ratio",
        0.7,
        False,
        "68 % angular error, over that of always predicting the pointing,",
    ),
)


def run(folder: Path, *, seed: int = 1, force: bool = False, data_only: bool = False) -> None:
    """Fill ``folder`` with data, configurations, runs, reports and ``comparison.html``.

    Parameters
    ----------
    folder : Path
        Made if missing; what is complete in it is not made again.
    seed : int
        Seed of the simulated showers.
    force : bool
        Make everything again.
    data_only : bool
        Stop after the data.
    """
    folder = folder.absolute()
    _simulate(folder / "data", seed, force)
    if data_only:
        return
    folder.mkdir(parents=True, exist_ok=True)
    configs = []
    for name in [BASE, *RUNS]:
        path = folder / name
        # A configuration that is there already is the user's.
        if not path.exists():
            write_text_atomically(path, (CONFIGS / name).read_text(encoding="utf-8"))
        if name != BASE:
            configs.append(load_config(path))
    by_tasks: dict[tuple[str, ...], list[Path]] = {}
    for config in configs:
        log.info("--- %s", config.run.name)
        chain.run(config, RunDir(config.run_path), force=force)
        by_tasks.setdefault(tuple(config.tasks), []).append(config.run_path)
    for runs in by_tasks.values():
        if len(runs) > 1:
            compare.run(runs, folder / "comparison.html", baseline=runs[0].name)
    log.info("--- what was learnt")
    for config in configs:
        results = read_results(RunDir(config.run_path).metrics)
        for lesson in LESSONS:
            if (task := results.task_of_metric(lesson.metric)) is not None:
                log.info(lesson.sentence(config.run.name, task.value(lesson.metric)))
    for config in configs:
        log.info("report: %s", RunDir(config.run_path).report)
    log.info("comparison: %s", folder / "comparison.html")


def _simulate(folder: Path, seed: int, force: bool) -> None:
    """Simulate the files that are missing, two at a time."""
    missing = [sample for sample in SAMPLES if force or not _data_file(folder, sample).exists()]
    if not missing:
        log.info("simulate: all files are there: %s", folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    # Not forked: the parent may already hold threads of numerical libraries.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=2, mp_context=context) as pool:
        jobs = [
            pool.submit(
                simulate.run,
                _data_file(folder, sample),
                particle=sample.particle,
                n_images=sample.n_images,
                viewcone_deg=VIEWCONE_DEG,
                seed=len(SAMPLES) * seed + sample.seed,
                force=force,
            )
            for sample in missing
        ]
        for sample, job in zip(missing, jobs, strict=True):
            job.result()
            log.info("simulate: %s: %d images", sample.name, sample.n_images)


def _data_file(folder: Path, sample: Sample) -> Path:
    return folder / f"{sample.name}.dl1.h5"

"""``demo``: simulated showers, five networks, their reports and a comparison, in minutes."""

import logging
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from cherenkov_mlops.commands import compare, simulate
from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.pipeline import chain as chain
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir, write_text_atomically

log = logging.getLogger(__name__)

RUNS = ("type_cnn", "type_resnet", "energy", "cameradirection", "skydirection")

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
    """What a run of the demo must have learnt.

    Parameters
    ----------
    run, metric : str
        Which value.
    bound : float
        Where it has to be.
    at_least : bool
        Whether the bound is a lower one.
    meaning : str
        The value in words.
    """

    run: str
    metric: str
    bound: float
    at_least: bool
    meaning: str

    def sentence(self, value: float) -> str:
        """The value beside its bound, and whether it holds."""
        sign, holds = (">=", value >= self.bound) if self.at_least else ("<=", value <= self.bound)
        verdict = "ok" if holds else "NOT REACHED"
        return f"{self.run}: {self.meaning} {value:.3f} (expected {sign} {self.bound}): {verdict}"


LESSONS = (
    Lesson("type_cnn", "auc", 0.85, True, "AUC"),
    Lesson("type_resnet", "auc", 0.85, True, "AUC"),
    Lesson(
        "energy",
        "rmse_log10_ratio",
        0.6,
        False,
        "RMSE of log10 E, over that of always predicting the mean,",
    ),
    Lesson(
        "cameradirection",
        "containment_68_ratio",
        0.7,
        False,
        "68 % angular error, over that of always predicting the camera centre,",
    ),
    Lesson(
        "skydirection",
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
    run_dirs = []
    for name in RUNS:
        config = load_config(_copy_config(f"demo_{name}.yaml", folder))
        run_dirs.append(RunDir(config.run_path))
        log.info("--- %s", name)
        chain.run(config, run_dirs[-1], force=force)
    type_runs = [run_dir.path for run_dir in run_dirs if run_dir.name.startswith("type")]
    compare.run(type_runs, folder / "comparison.html", baseline="type_cnn")
    _tell_what_was_learnt(folder)


def _simulate(folder: Path, seed: int, force: bool) -> None:
    """The simulated files that are missing, two at a time."""
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


def _copy_config(name: str, folder: Path) -> Path:
    """The configuration in ``folder``, with the base that it extends."""
    shipped = resources.files("cherenkov_mlops") / "configs"
    for file in ("demo_base.yaml", name):
        if not (folder / file).exists():
            write_text_atomically(folder / file, (shipped / file).read_text(encoding="utf-8"))
    return folder / name


def _tell_what_was_learnt(folder: Path) -> None:
    log.info("--- what was learnt")
    for lesson in LESSONS:
        run_dir = RunDir(folder / "runs" / lesson.run)
        results = read_results(run_dir.metrics)
        log.info(lesson.sentence(results.metrics[lesson.metric]["value"]))
    for name in RUNS:
        log.info("report: %s", RunDir(folder / "runs" / name).report)
    log.info("comparison: %s", folder / "comparison.html")

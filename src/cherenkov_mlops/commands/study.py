"""``study``: what pruning costs, from the ``metrics.json`` of pruned runs and their baselines."""

import logging
from collections.abc import Sequence
from pathlib import Path

from cherenkov_mlops.commands.outputs import refuse_foreign_output
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.reporting.sources import load_runs
from cherenkov_mlops.reporting.study.numbers import make_study, summarise_study
from cherenkov_mlops.reporting.study.page import render_study
from cherenkov_mlops.run_dir import RunDir, write_json_atomically, write_text_atomically
from cherenkov_mlops.sweep.plan import StudySection, Sweep, is_sweep, load_sweep

log = logging.getLogger(__name__)

_TITLE = "What pruning costs"


def run(sources: Sequence[Path], output: Path) -> None:
    """Write the page to ``output``, and its numbers beside it as JSON.

    Parameters
    ----------
    sources : sequence of pathlib.Path
        A sweep file alone; or run folders, ``metrics.json`` files or reports.
    output : pathlib.Path
        HTML file to write.

    Raises
    ------
    UserError
        The runs are no study, or something else than an earlier study would be overwritten.
    """
    if len(sources) == 1 and is_sweep(sources[0]):
        sweep = load_sweep(sources[0])
        folders = [config.run_path for config in sweep.runs]
        tested = [folder for folder in folders if RunDir(folder).metrics.is_file()]
        if len(tested) < len(folders):
            log.warning(
                "study: %d of %d runs have no results", len(folders) - len(tested), len(folders)
            )
        write_study(tested, output, sweep.options.study or StudySection())
        return
    write_study(list(sources), output, StudySection())


def write_page(runs: Sequence[Path], sweep: Sweep) -> None:
    """Write the page about the runs of a sweep into its folder."""
    write_study(runs, sweep.folder / "study.html", sweep.options.study or StudySection())


def write_study(runs: Sequence[Path], output: Path, options: StudySection) -> None:
    """Write the page about these runs and, beside it, its numbers."""
    refuse_foreign_output(output, "study", {"groups", "claims"})
    if not runs:
        raise UserError("study: expected tested runs, got none; run the sweep first")
    study = make_study(
        load_runs(runs),
        baseline=options.baseline,
        up_to=options.up_to,
        tolerated_loss=options.tolerated_loss,
    )
    summary = summarise_study(study)
    page = render_study(study, title=options.title or _TITLE, summary=summary)
    write_json_atomically(output.with_suffix(".json"), summary)
    log.info("study: %s", write_text_atomically(output, page))
    for claim in study.claims:
        estimate = claim.estimate
        log.info(
            "study: %s: %s (%+.3g %%, 95 %% interval %+.3g to %+.3g)",
            claim.text,
            claim.answer,
            estimate.value,
            estimate.low,
            estimate.high,
        )

"""Pages about several runs: of a compression study, or a comparison for each task."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cherenkov_mlops.commands import compare
from cherenkov_mlops.commands.outputs import refuse_foreign_output
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.reporting.sources import load_runs
from cherenkov_mlops.reporting.study.numbers import make_study, summarise_study
from cherenkov_mlops.reporting.study.page import render_study
from cherenkov_mlops.run_dir import RunDir, write_json_atomically, write_text_atomically
from cherenkov_mlops.sweep.plan import StudySection, Sweep, is_sweep, load_sweep

log = logging.getLogger(__name__)

_TITLE = "What pruning costs"


def write_pages(sweep: Sweep) -> None:
    """Write the pages about the runs that have results; what hinders one is a warning."""
    tested = [config for config in sweep.runs if RunDir(config.run_path).metrics.is_file()]
    # Networks of different tasks have no metric in common: a page for each.
    groups = list(dict.fromkeys(tuple(config.tasks) for config in tested))
    pages = []
    if sweep.options.study is not None:
        runs = [config.run_path for config in tested]
        pages = [partial(write_study, runs, sweep.folder / "study.html", sweep.options.study)]
    else:
        for tasks in groups:
            runs = [config.run_path for config in tested if tuple(config.tasks) == tasks]
            name = f"comparison_{'_'.join(tasks)}.html" if len(groups) > 1 else "comparison.html"
            if len(runs) > 1:
                pages.append(partial(compare.run, runs, sweep.folder / name))
    # The runs are done: a page that cannot be made is no failure of the sweep.
    for write in pages:
        try:
            write()
        except UserError as error:
            log.warning("no page: %s", error)


def run(sources: Sequence[Path], output: Path) -> None:
    """Write the page of a study to ``output``, and its numbers beside it as JSON.

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
            n_missing = len(folders) - len(tested)
            log.warning("study: %d of %d runs have no results", n_missing, len(folders))
        write_study(tested, output, sweep.options.study or StudySection())
        return
    write_study(list(sources), output, StudySection())


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

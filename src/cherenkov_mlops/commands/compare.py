"""Stage ``compare``: one page about several runs, made from their ``metrics.json`` alone."""

import logging
from pathlib import Path

from cherenkov_mlops.commands.outputs import refuse_foreign_output
from cherenkov_mlops.figures.export import export_figures
from cherenkov_mlops.reporting.comparison import summarise_comparison
from cherenkov_mlops.reporting.html import render_page
from cherenkov_mlops.reporting.ranking import rank_runs
from cherenkov_mlops.reporting.sources import (
    find_baseline,
    find_obstacles,
    load_runs,
    refuse_obstacles,
)
from cherenkov_mlops.reporting.views import run_views, task_views
from cherenkov_mlops.run_dir import write_json_atomically, write_text_atomically

log = logging.getLogger(__name__)


def run(
    runs: list[Path],
    output: Path,
    *,
    baseline: str | None = None,
    allow_different_data: bool = False,
    strict: bool = False,
    figures: Path | None = None,
) -> None:
    """Write the comparison to ``output``, and its numbers beside it as JSON.

    Parameters
    ----------
    runs : list of pathlib.Path
        Run folders, ``metrics.json`` files or reports.
    output : pathlib.Path
        HTML file to write.
    baseline : str, optional
        Name of the run to which the others are related.
    allow_different_data : bool
        Whether to show runs side by side, without ranks, that cannot be compared.
    strict : bool
        Refuse results of which anything is missing or not what it should be.
    figures : pathlib.Path, optional
        Folder to write each figure to, as PDF and PNG.

    Raises
    ------
    UserError
        If a run has no results, if the runs do not measure the same thing, or if something else
        than an earlier comparison would be overwritten.
    """
    refuse_foreign_output(output, "comparison", {"runs", "ranked"})
    views = run_views(load_runs(runs))
    place = find_baseline([view.label for view in views], baseline)
    obstacles = find_obstacles([view.results for view in views])
    if not allow_different_data:
        refuse_obstacles(obstacles)
    rankings = None
    if not obstacles:
        rankings = {
            name: rank_runs([view.part for view in own], own[0].metrics)
            for name, own in task_views(views).items()
        }
    summary = summarise_comparison(views, rankings, place)
    page = render_page(views, embedded=summary, rankings=rankings, baseline=place, strict=strict)
    write_json_atomically(output.with_suffix(".json"), summary)
    log.info("compare: %s", write_text_atomically(output, page))
    if figures is not None:
        export_figures([view.results for view in views], [v.label for v in views], figures)
        log.info("compare: figures: %s", figures)

"""Stage ``compare``: one page about several runs, made from their ``metrics.json`` alone."""

import logging
from pathlib import Path

from cherenkov_mlops.commands.outputs import refuse_foreign_output
from cherenkov_mlops.figures.export import export_figures
from cherenkov_mlops.reporting.comparison import summarise_comparison
from cherenkov_mlops.reporting.figure_blocks import drawable
from cherenkov_mlops.reporting.html import render_page
from cherenkov_mlops.reporting.ranking import rank_runs
from cherenkov_mlops.reporting.sources import (
    find_baseline,
    find_obstacles,
    load_runs,
    refuse_obstacles,
)
from cherenkov_mlops.reporting.views import run_views, shared_metrics
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
    results = load_runs(runs)
    views = run_views(results)
    labels = [view.label for view in views]
    place = find_baseline(labels, baseline)
    mended = [view.results for view in views]
    obstacles = find_obstacles(mended)
    if not allow_different_data:
        refuse_obstacles(obstacles)
    ranking = None if obstacles else rank_runs(mended, shared_metrics(views))
    summary = summarise_comparison(views, ranking, place)
    page = render_page(results, embedded=summary, ranking=ranking, baseline=place, strict=strict)
    write_json_atomically(output.with_suffix(".json"), summary)
    log.info("compare: %s", write_text_atomically(output, page))
    if figures is not None:
        export_figures([drawable(view) for view in views], labels, figures)
        log.info("compare: figures: %s", figures)

"""Stage ``compare``: one page about several runs, made from their ``metrics.json`` alone."""

import logging
from pathlib import Path

from cherenkov_mlops.reporting.comparison import summarise_comparison
from cherenkov_mlops.reporting.html import render_page
from cherenkov_mlops.reporting.ranking import rank_runs
from cherenkov_mlops.reporting.sections import run_views, shared_metrics
from cherenkov_mlops.reporting.sources import (
    check_comparable,
    find_baseline,
    find_obstacles,
    load_runs,
)
from cherenkov_mlops.run_dir import write_json_atomically, write_text_atomically

log = logging.getLogger(__name__)


def run(
    runs: list[Path],
    output: Path,
    *,
    baseline: str | None = None,
    allow_different_data: bool = False,
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

    Raises
    ------
    UserError
        If a run has no results, or if the runs do not measure the same thing.
    """
    results = load_runs(runs)
    views = run_views(results)
    place = find_baseline([view.label for view in views], baseline)
    if not allow_different_data:
        check_comparable(results)
    ranking = None if find_obstacles(results) else rank_runs(results, shared_metrics(views))
    summary = summarise_comparison(views, ranking, place)
    page = render_page(results, embedded=summary, ranking=ranking, baseline=place)
    write_json_atomically(output.with_suffix(".json"), summary)
    log.info("compare: %s", write_text_atomically(output, page))

"""Stage ``report``: one page about a run, made from its ``metrics.json`` alone."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cherenkov_mlops.figures.export import export_figures
from cherenkov_mlops.pipeline.lifecycle import run_stage
from cherenkov_mlops.reporting.html import render_report
from cherenkov_mlops.reporting.model_card import render_model_card
from cherenkov_mlops.reporting.views import run_views
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir, write_text_atomically

if TYPE_CHECKING:
    from cherenkov_mlops.config.schema import RunConfig
    from cherenkov_mlops.pipeline.attempt import Attempt

log = logging.getLogger(__name__)


def run(
    config: "RunConfig | None",
    run_dir: RunDir,
    *,
    force: bool = False,
    strict: bool = False,
    figures: Path | None = None,
) -> None:
    """Run the stage unless it is complete and unchanged; the results know all they show.

    Without a configuration (a folder that holds ``metrics.json`` only) the page is just written.

    Parameters
    ----------
    config : RunConfig or None
        The run.
    run_dir : RunDir
        Its folder.
    force : bool
        Write the page again though nothing changed.
    strict : bool
        Refuse results of which anything is missing or not what it should be.
    figures : Path, optional
        Folder to write each figure to, as PDF and PNG.

    Raises
    ------
    UserError
        If the run has not been tested, or if a strict page cannot be made.
    """
    if strict:
        render_report(read_results(run_dir.metrics), strict=True)
    if config is None:
        report(config, run_dir)
    else:
        run_stage("report", config, run_dir, force=force)
    if figures is not None:
        views = run_views([read_results(run_dir.metrics)])
        export_figures([view.results for view in views], [view.label for view in views], figures)
        log.info("report: figures: %s", figures)


def report(config: "RunConfig | None", run_dir: RunDir, attempt: "Attempt | None" = None) -> None:
    """Write the page and the model card from the results in the folder."""
    results = read_results(run_dir.metrics)
    if config is not None:
        # The title of the test may be older than that of the report.
        results.run.title = config.report.title or config.run.name
    page = render_report(results)
    card = render_model_card(run_views([results])[0].results)
    log.info("report: %s", write_text_atomically(run_dir.report, page))
    log.info("report: %s", write_text_atomically(run_dir.model_card, card))

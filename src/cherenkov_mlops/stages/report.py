"""Stage ``report``: one page about a run, made from its ``metrics.json`` alone."""

import logging
from typing import TYPE_CHECKING

from cherenkov_mlops.reporting.html import render_report
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir, write_text_atomically
from cherenkov_mlops.stages.lifecycle import run_stage

if TYPE_CHECKING:
    from cherenkov_mlops.config.schema import RunConfig

log = logging.getLogger(__name__)


def run(config: "RunConfig | None", run_dir: RunDir, *, force: bool = False) -> None:
    """Write ``report.html``; the results know all it shows.

    Without a configuration (a folder that holds ``metrics.json`` only) the page is just written.

    Raises
    ------
    UserError
        If the run has not been tested.
    """
    if config is None:
        _report(config, run_dir)
    else:
        run_stage("report", config, run_dir, _report, force=force)


def _report(config: "RunConfig | None", run_dir: RunDir) -> None:
    page = render_report(read_results(run_dir.metrics))
    log.info("report: %s", write_text_atomically(run_dir.report, page))

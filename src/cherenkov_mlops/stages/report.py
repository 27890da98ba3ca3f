"""Stage ``report``: one page about a run, made from its ``metrics.json`` alone."""

import logging
from typing import TYPE_CHECKING

from cherenkov_mlops.reporting.html import render_report
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir, write_text_atomically

if TYPE_CHECKING:
    from cherenkov_mlops.config.schema import RunConfig

log = logging.getLogger(__name__)


def run(config: "RunConfig | None", run_dir: RunDir, *, force: bool = False) -> None:
    """Write ``report.html``; the configuration is not needed, the results know it.

    Raises
    ------
    UserError
        If the run has not been tested.
    """
    page = render_report(read_results(run_dir.metrics))
    log.info("report: %s", write_text_atomically(run_dir.report, page))

"""The pages at the end of a sweep: of a study, or a comparison for each task."""

import logging

from cherenkov_mlops.commands import compare, study
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.sweep.plan import Sweep

log = logging.getLogger(__name__)


def write_pages(sweep: Sweep) -> None:
    """Write the pages about the runs that have results; what hinders one is a warning."""
    tested = [config for config in sweep.runs if RunDir(config.run_path).metrics.is_file()]
    if sweep.options.study is not None:
        _try(study.write_page, [config.run_path for config in tested], sweep)
        return
    groups = list(dict.fromkeys(tuple(config.tasks) for config in tested))
    for tasks in groups:
        runs = [config.run_path for config in tested if tuple(config.tasks) == tasks]
        if len(runs) > 1:
            name = f"comparison_{'_'.join(tasks)}.html" if len(groups) > 1 else "comparison.html"
            _try(compare.run, runs, sweep.folder / name)


def _try(write, *arguments) -> None:
    try:
        write(*arguments)
    except UserError as error:
        log.warning("no page: %s", error)

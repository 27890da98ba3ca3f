"""``run``: the whole chain of one run."""

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.files import files_of
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, report, test, train


def run(config: RunConfig, run_dir: RunDir, *, force: bool = False) -> None:
    """Prepare, train, test and report; stages that are complete and unchanged are passed over.

    Raises
    ------
    DataError
        Also if test files are missing: before hours of training, not after.
    """
    files_of(config, "test")
    for stage in (prepare, train, test, report):
        stage.run(config, run_dir, force=force)

"""``run``: the whole chain of one run."""

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.files import files_of
from cherenkov_mlops.engine.time_limit import TimeLimit
from cherenkov_mlops.errors import TimeLimitReached
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, report, test, train


def run(
    config: RunConfig, run_dir: RunDir, *, force: bool = False, deadline: float | None = None
) -> None:
    """Prepare, train, test and report; stages that are complete and unchanged are passed over.

    Parameters
    ----------
    config, run_dir : RunConfig, RunDir
        The run.
    force : bool
        Make everything anew.
    deadline : float, optional
        Time when the training has to be over, in seconds since 1970; no stage starts after it.

    Raises
    ------
    DataError
        Also if test files are missing: before hours of training, not after.
    TimeLimitReached
        The time is up, or the batch system asked for an end.
    """
    files_of(config, "test")
    limit = TimeLimit(deadline)
    prepare.run(config, run_dir, force=force)
    train.run(config, run_dir, force=force, deadline=deadline)
    for stage in (test, report):
        if limit.is_reached:
            raise TimeLimitReached(
                "run: stopped at the time limit; the same command goes on from there"
            )
        stage.run(config, run_dir, force=force)

"""``run``: the whole chain of one run."""

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.files import files_of
from cherenkov_mlops.errors import TimeLimitReached
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, report, test, train
from cherenkov_mlops.training.time_limit import TimeLimit

STAGES = {"prepare": prepare, "train": train, "test": test, "report": report}


def run(
    config: RunConfig,
    run_dir: RunDir,
    *,
    force: bool = False,
    deadline: float | None = None,
    until: str = "report",
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
    until : str
        The last stage.

    Raises
    ------
    DataError
        Also if test files are missing: before hours of training, not after.
    TimeLimitReached
        The time is up, or the batch system asked for an end.
    """
    files_of(config, "test")
    limit = TimeLimit(deadline)
    for name, stage in STAGES.items():
        if limit.is_reached and name in ("test", "report"):
            raise TimeLimitReached(
                "run: stopped at the time limit; the same command goes on from there"
            )
        options = {"deadline": deadline} if name == "train" else {}
        stage.run(config, run_dir, force=force, **options)
        if name == until:
            return

"""Several stages of one run, each after the one before."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import TimeLimitReached
from cherenkov_mlops.pipeline.lifecycle import run_stage
from cherenkov_mlops.pipeline.stage import COMMANDS, STAGES, up_to
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.training.time_limit import TimeLimit


def run(
    config: RunConfig,
    run_dir: RunDir,
    *,
    force: bool = False,
    deadline: float | None = None,
    until: str | None = None,
) -> None:
    """Run all stages; those that are complete and unchanged are passed over.

    Parameters
    ----------
    config, run_dir : RunConfig, RunDir
        The run.
    force : bool
        Make everything anew.
    deadline : float, optional
        Time when the training has to be over, in seconds since 1970; no stage starts after it.
    until : str, optional
        The last stage, or the command that ends with it.

    Raises
    ------
    DataError
        Also if files of a later stage are missing: before hours of training, not after.
    TimeLimitReached
        The time is up, or the batch system asked for an end.
    """
    run_stages(up_to(until), config, run_dir, force=force, deadline=deadline)


def test(config: RunConfig, run_dir: RunDir, *, force: bool = False) -> None:
    """Predict the test files, evaluate the predictions."""
    run_stages(COMMANDS["test"], config, run_dir, force=force)


def run_stages(
    stages: Sequence[str],
    config: RunConfig,
    run_dir: RunDir,
    *,
    force: bool = False,
    deadline: float | None = None,
    **options: Any,
) -> None:
    """Run the stages in the order given, each with those of the options that it takes."""
    for name in stages:
        # Missing files are found now.
        STAGES[name].inputs(config, run_dir)
    limit, begun = TimeLimit(deadline), False
    options["deadline"] = deadline
    for name in stages:
        stage = STAGES[name]
        # A training stops by itself, and says how far it came.
        if limit.is_reached and begun:
            raise TimeLimitReached(
                "run: stopped at the time limit; the same command goes on from there"
            )
        begun = begun or stage.resumes
        do = stage.load_run() or partial(run_stage, name)
        taken = {key: value for key, value in options.items() if key in stage.options}
        do(config, run_dir, force=force, **taken)

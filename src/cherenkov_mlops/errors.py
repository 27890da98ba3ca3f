"""Mistakes that the user can mend: one line on the console, a stated exit code, no traceback."""


class UserError(Exception):
    """A mistake in usage or configuration (exit code 2).

    The message says where, what was expected, what came and what to write instead.
    """

    exit_code = 2


class ConfigError(UserError):
    """All mistakes of one configuration, reported together (exit code 2).

    Parameters
    ----------
    problems : list of str
        One line for each mistake, ``file:line:column: key: expected ..., got ...; write ...``.
    """

    def __init__(self, problems: list[str]):
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class DataError(UserError):
    """Input data that cannot be used as they are (exit code 3)."""

    exit_code = 3


class QualityError(UserError):
    """A quality gate was not passed (exit code 4)."""

    exit_code = 4


class SweepFailed(UserError):
    """Runs of a sweep failed, each for a reason of its own (exit code 1).

    Parameters
    ----------
    failures : list of str
        One line a run: its name, the reason, the command that repeats it.
    """

    exit_code = 1

    def __init__(self, failures: list[str]):
        self.failures = list(failures)
        super().__init__("\n".join([*self.failures, f"{len(failures)} runs of the sweep failed"]))


class TimeLimitReached(BaseException):
    """The time is up, or the batch system asked for an end: the work can go on (exit code 75).

    Like ``KeyboardInterrupt`` it comes at any moment, so no library may take it for a failure.
    """

    exit_code = 75

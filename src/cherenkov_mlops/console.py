"""What reaches the terminal: messages and one-line errors; everything else goes to a log file."""

import errno
import logging
import os
import shlex
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType

import rich
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cherenkov_mlops.errors import TimeLimitReached, UserError

EXIT_UNEXPECTED = 1
EXIT_DATA = 3
EXIT_INTERRUPTED = 130
#: Columns of a table that goes to a file or another program.
WIDTH = 200

# Read by the libraries when they are imported; a user's own value stays.
_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "1", "KERAS_BACKEND": "tensorflow", "MPLBACKEND": "agg"}


class ConsoleHandler(logging.Handler):
    """Bare messages on the terminal, warnings on its error stream."""

    def __init__(self, output: Console, errors: Console):
        super().__init__(logging.INFO)
        self.output = output
        self.errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        if record.levelno < logging.WARNING:
            say(self.output, record.getMessage())
            return
        # Both are one terminal for the user, but a console knows of its own progress bar only.
        together = self.output.is_terminal and self.errors.is_terminal
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        say(self.output if together else self.errors, text)


def say(console: Console, text: str, style: str = "") -> None:
    """Print user text as it is: no markup, no colours for numbers, no line breaks added."""
    console.print(Text(text, style=style), soft_wrap=True)


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False
) -> None:
    """Print a table on the terminal.

    Parameters
    ----------
    columns : sequence of str
        Heads.
    rows : sequence of sequence of str
        Cells.
    numbers : bool
        Whether all columns but the first hold numbers, which are put to the right.
    """
    table = Table(box=None, pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if numbers and number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = rich.get_console()
    if not console.is_terminal:
        # Nothing has to fit into a window.
        console.width = WIDTH
    console.print(table)


class Session:
    """One command: terminal, log file and exit code.

    Inside ``with Session("train") as session`` file descriptors 1 and 2 lead to a log file, so
    that no library can write on the terminal; messages of the package, ``session.show`` and
    ``rich.get_console()`` still reach it. The log is a temporary file until ``session.logs``
    exists, then ``<command>.log`` in that folder. Exceptions end the program with the exit code
    that belongs to them.

    Parameters
    ----------
    command : str
        Name of the command, also of its log file.

    Attributes
    ----------
    started : float
        When the command started, in seconds since 1970.
    """

    def __init__(self, command: str):
        self.command = command
        self.logs: Path | None = None
        self.moved = False

    def __enter__(self) -> "Session":
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        for number in (signal.SIGTERM, signal.SIGUSR2):
            signal.signal(number, _end_in_time)
        self.started = time.time()
        self.log = _make_temporary_log(self.command)
        self.terminal = [os.dup(1), os.dup(2)]
        self._redirect_to(self.log)
        streams = [os.fdopen(os.dup(number), "w", encoding="utf-8") for number in self.terminal]
        rich.reconfigure(file=streams[0])
        self.output, self.errors = rich.get_console(), Console(file=streams[1])
        self.handler = ConsoleHandler(self.output, self.errors)
        self.handler.addFilter(self._follow_run_folder)
        logger = logging.getLogger("cherenkov_mlops")
        logger.setLevel(logging.INFO)
        logger.addHandler(self.handler)
        return self

    def show(self, text: str) -> None:
        """Print ``text`` on the terminal as it is."""
        self.output.file.write(text if text.endswith("\n") else text + "\n")
        self.output.file.flush()

    def warn(self, text: str) -> None:
        """Print ``text`` as a warning on the terminal's error stream."""
        say(self.errors, f"warning: {text}")

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger("cherenkov_mlops").removeHandler(self.handler)
        self.handler.close()
        self._follow_run_folder()
        code = self._explain(error)
        self._restore()
        if code is not None:
            raise SystemExit(code) from None

    def _explain(self, error: BaseException | None) -> int | None:
        """Exit code of an error, after saying on the terminal what happened."""
        if isinstance(error, UserError):
            for line in str(error).splitlines():
                say(self.errors, f"error: {line}")
            return error.exit_code
        if isinstance(error, KeyboardInterrupt):
            said = str(error) or "interrupted; the same command starts the stage again"
            say(self.errors, said)
            return EXIT_INTERRUPTED
        if isinstance(error, TimeLimitReached):
            say(self.errors, str(error))
            return error.exit_code
        if isinstance(error, BrokenPipeError):  # As in `config schema | head`.
            return EXIT_UNEXPECTED
        if error is not None and is_disk_full(error):
            say(
                self.errors, f"error: disk full: {error}; free some space and run {_command_line()}"
            )
            return EXIT_DATA
        if isinstance(error, Exception) and not _is_exit(error):
            return self._explain_unexpected(error)
        return None

    def _explain_unexpected(self, error: Exception) -> int:
        if not self.log.exists():  # A failed stage takes a new run folder away again.
            self.log = _make_temporary_log(self.command)
        with self.log.open("a", encoding="utf-8") as stream:
            stream.writelines(traceback.format_exception(error))
        self.moved = True
        # Keras begins with "in user code:"; what went wrong comes last.
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        first = (lines[-1] if lines and lines[0].endswith(":") else lines[0]) if lines else ""
        say(
            self.errors,
            f"error: {type(error).__name__}: {first}; log: {self.log}; "
            f"to continue: {_command_line()}",
        )
        return EXIT_UNEXPECTED

    def _redirect_to(self, path: Path) -> None:
        _flush()
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.close(target)

    def _follow_run_folder(self, record: logging.LogRecord | None = None) -> bool:
        """Move the log into the run folder as soon as that exists; True, being a log filter."""
        if not self.moved and self.logs is not None and self.logs.is_dir():
            # A full disk is reported where results are written; the temporary log stays then.
            with suppress(OSError):
                self._move_log(self.logs / f"{self.command}.log")
        return True

    def _move_log(self, final: Path) -> None:
        self.moved = True
        _flush()
        with final.open("ab") as stream:
            stream.write(self.log.read_bytes())
        self.log.unlink()
        self.log = final
        self._redirect_to(final)

    def _restore(self) -> None:
        _flush()
        for number, terminal in zip((1, 2), self.terminal, strict=True):
            os.dup2(terminal, number)
            os.close(terminal)
        for console in (self.output, self.errors):
            with suppress(BrokenPipeError):
                console.file.close()
        rich.reconfigure()
        if not self.moved:
            self.log.unlink(missing_ok=True)


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that led to it, says that a disk or a quota is full."""
    texts = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
    seen: BaseException | None = error
    while seen is not None:
        if getattr(seen, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        # HDF5 gives the reason in the text only.
        if any(text in str(seen) for text in texts):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _end_in_time(number: int, frame: FrameType | None) -> None:
    """Clean up and end, as a batch system asks ahead of a time limit."""
    name = signal.Signals(number).name
    raise TimeLimitReached(f"stopped by {name}; the same command starts the stage again")


def _make_temporary_log(command: str) -> Path:
    number, name = tempfile.mkstemp(prefix=f"cherenkov-mlops-{command}-", suffix=".log")
    os.close(number)
    return Path(name)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _is_exit(error: BaseException) -> bool:
    """Whether an error is typer's way to end a command with a code of its own."""
    return hasattr(error, "exit_code")


def _command_line() -> str:
    return shlex.join(["cherenkov-mlops", *sys.argv[1:]])

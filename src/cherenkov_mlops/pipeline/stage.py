"""The stages of a run: one table that everything else reads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

from cherenkov_mlops.registry import Registry

if TYPE_CHECKING:
    from cherenkov_mlops.config.schema import RunConfig
    from cherenkov_mlops.run_dir import RunDir


@dataclass(frozen=True)
class Stage:
    """One step of a run: it turns what the stage before left in the folder into its own output.

    Parameters
    ----------
    name : str
        Its name: command, entry of ``run.json``, section of ``slurm.stages``.
    help : str
        What it does, in a line.
    body : str or callable
        ``body(config, run_dir, attempt)`` does the work and writes only what ``outputs`` names. A
        text names it as an entry point does (``package.module:function``): it is imported when the
        stage runs.
    after : tuple of str
        Stages whose output it needs, complete and made with the settings of now.
    outputs : callable
        ``outputs(run_dir)``: files and folders that it makes; the first one is there if it is
        complete.
    owns : tuple of str
        Dotted keys of the configuration whose change makes its output stale; of several stages
        that own a key or a part of it, the longest key counts.
    inputs : callable
        ``inputs(config, run_dir)``: files that decide its result, beside the stage before.
    content : callable
        ``content(config, run_dir)``: files that do so by their content, whatever their time.
    on_change : {"refuse", "remake"}
        Whether a complete stage that has become stale is refused, because making it again is
        costly, or simply made again.
    resumes : bool
        Whether an interrupted attempt is gone on with.
    gpu, long : bool
        Whether its job on a cluster asks for a GPU, and for the time of a training.
    alone : bool
        Whether it runs from what is in the folder, whatever stages came before.
    """

    name: str
    help: str
    body: str | Callable[..., None]
    outputs: "Callable[[RunDir], Sequence[Path]]"
    after: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()
    inputs: "Callable[[RunConfig, RunDir], Sequence[Path]]" = lambda config, run_dir: ()
    content: "Callable[[RunConfig, RunDir], Sequence[Path]]" = lambda config, run_dir: ()
    on_change: Literal["refuse", "remake"] = "refuse"
    resumes: bool = False
    gpu: bool = False
    long: bool = False
    alone: bool = False

    def load_body(self) -> Callable[..., Any]:
        """Import the function that does the work."""
        return resolve_name(self.body) if isinstance(self.body, str) else self.body


STAGES: Registry[Stage] = Registry("stage")

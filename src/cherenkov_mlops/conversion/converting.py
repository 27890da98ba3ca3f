"""Many simulation files to DL1, in parallel, resumable."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from cherenkov_mlops.conversion.lanes import run_each
from cherenkov_mlops.conversion.ledger import Fingerprint, Ledger, remove_remains
from cherenkov_mlops.conversion.options import (
    Conversion,
    ConvertOptions,
    flatten,
    name_outputs,
    package_versions,
)
from cherenkov_mlops.errors import DataError, UserError


@dataclass(frozen=True)
class Converted:
    """What became of one input.

    Parameters
    ----------
    source, output : Path
        Input and output.
    facts : dict
        Events, images a telescope type, particles, runs, notes, seconds; empty if it failed.
    reason : str
        Why it failed; empty if it did not.
    is_new : bool
        Whether it was converted now, not earlier.
    """

    source: Path
    output: Path
    facts: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    is_new: bool = True


@dataclass(frozen=True)
class ConversionPlan:
    """What is to be done and what is done already.

    Parameters
    ----------
    ledger : Ledger
        Record of the output folder.
    options : dict
        What decides the content of the outputs: configuration of ctapipe, versions.
    todo : list of Conversion
        To be converted.
    finished : list of Converted
        Converted earlier.
    """

    ledger: Ledger
    options: dict[str, Any]
    todo: list[Conversion]
    finished: list[Converted]


def make_plan(
    sources: Sequence[Path], folder: Path, options: ConvertOptions, *, force: bool = False
) -> ConversionPlan:
    """Find out what is left to do of converting ``sources`` into ``folder``.

    Raises
    ------
    UserError
        Two inputs would have the same output, an output exists that is not ours, was made with
        other options, or the configuration for ctapipe has unknown names.
    """
    config = options.make_config()
    if given := options.read_user_config():
        # Names that ctapipe would only log, or not see at all; the worker knows them.
        with closing(run_each(find_unknown_options, [given], 1, load_processing)) as outcomes:
            outcome = next(outcomes)
        if problems := [outcome.reason] if outcome.reason else outcome.result:
            lines = [f"--ctapipe-config: {options.ctapipe_config}: {line}" for line in problems]
            raise UserError("\n".join(lines))
    # Versions count as options: another ctapipe may give other parameters.
    recorded = {**flatten(config), **package_versions()}
    ledger = Ledger(folder, "convert")
    todo, finished = [], []
    for source, output in name_outputs(sources, folder).items():
        # Output, input and options must all be the same; whatever is not is made again.
        if ledger.is_finished(output, [source], recorded, force=force):
            facts = ledger.facts(output)
            finished.append(Converted(source, output, facts, is_new=False))
        else:
            todo.append(Conversion(source.resolve(), output.resolve(), config))
    return ConversionPlan(ledger, recorded, todo, finished)


def load_processing() -> ModuleType:
    """Import what converts: ctapipe takes seconds, and only the worker processes need it."""
    return import_module("cherenkov_mlops.conversion.processing")


def find_unknown_options(config: dict[str, Any]) -> list[str]:
    """Call :func:`~cherenkov_mlops.conversion.processing.check_option_names`, in a worker."""
    return load_processing().check_option_names(config)


def convert_one(conversion: Conversion) -> dict[str, Any]:
    """Call :func:`~cherenkov_mlops.conversion.processing.convert_file`, in a worker."""
    return load_processing().convert_file(conversion)


def convert_all(plan: ConversionPlan, jobs: int) -> Iterator[Converted]:
    """Convert what is to do; yield what became of each as they end, and keep the record."""
    ledger = plan.ledger
    outputs = [each.output for each in plan.todo]
    # Noted before the work: what a kill leaves of these files may then be replaced unasked.
    ledger.begin(outputs, plan.options)
    try:
        with closing(run_each(convert_one, plan.todo, jobs, load_processing)) as outcomes:
            for outcome in outcomes:
                source, output = outcome.argument.source, outcome.argument.output
                if outcome.reason:
                    ledger.fail(output, [source], outcome.reason)
                    yield Converted(source, output, reason=outcome.reason)
                    continue
                # Taken by the worker, when it had the file at hand: this process reads none.
                made = {name: Fingerprint(**outcome.result[name]) for name in ("input", "output")}
                facts = outcome.result["facts"]
                ledger.finish(output, {source: made["input"]}, made["output"], plan.options, facts)
                yield Converted(source, output, facts)
    finally:
        # Processes that were ended in the middle of a file cannot tidy up.
        remove_remains(ledger.folder, [output.name for output in outputs])


def refuse_failures(converted: Sequence[Converted], log_file: Path) -> None:
    """Raise ``DataError`` if any file failed."""
    n_failed = sum(bool(each.reason) for each in converted)
    if n_failed:
        raise DataError(
            f"{n_failed} of {len(converted)} files could not be converted; details: {log_file}; "
            "the same command tries them again"
        )


def find_shared_runs(converted: Sequence[Converted]) -> list[str]:
    """One line for each run number that several files have."""
    by_run: dict[int, list[str]] = {}
    for each in converted:
        for number in each.facts.get("obs_ids", ()):
            by_run.setdefault(number, []).append(each.output.name)
    return [
        f"obs_id {number} is in {len(names)} files: {', '.join(names[:3])}"
        f"{', ...' if len(names) > 3 else ''}; `merge` takes a run only once"
        for number, names in sorted(by_run.items())
        if len(names) > 1
    ]


def find_mixed_particles(converted: Sequence[Converted]) -> str:
    """One line if the files hold different particles; else empty."""
    by_particle: dict[str, list[str]] = {}
    for each in converted:
        for particle in each.facts.get("particles", ()):
            by_particle.setdefault(particle, []).append(each.output.name)
    if len(by_particle) < 2:
        return ""
    # One file among many is what went into the wrong folder.
    rarest = min(by_particle, key=lambda particle: len(by_particle[particle]))
    kinds = ", ".join(
        f"{name} in {len(names)} file{'s' * (len(names) > 1)}"
        for name, names in by_particle.items()
    )
    return f"different particles: {kinds}; {rarest}: {', '.join(by_particle[rarest][:3])}"

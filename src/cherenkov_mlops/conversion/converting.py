"""Many simulation files to DL1, in parallel, resumable."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cherenkov_mlops.conversion.lanes import run_each
from cherenkov_mlops.conversion.ledger import Fingerprint, Ledger, remove_remains
from cherenkov_mlops.conversion.simtel_files import name_outputs
from cherenkov_mlops.conversion.task import (
    ConvertOptions,
    Task,
    flatten,
    package_versions,
)
from cherenkov_mlops.errors import DataError, UserError

PROCESSING = "cherenkov_mlops.conversion.processing"


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
class Plan:
    """What is to be done and what is done already.

    Parameters
    ----------
    ledger : Ledger
        Record of the output folder.
    options : dict
        What decides the content of the outputs: configuration of ctapipe, versions.
    tasks : list of Task
        To be converted.
    finished : list of Converted
        Converted earlier.
    """

    ledger: Ledger
    options: dict[str, Any]
    tasks: list[Task]
    finished: list[Converted]


def make_plan(
    sources: Sequence[Path], folder: Path, options: ConvertOptions, *, force: bool = False
) -> Plan:
    """What is left to do of converting ``sources`` into ``folder``.

    Raises
    ------
    UserError
        Two inputs would have the same output, an output exists that is not ours, was made with
        other options, or the configuration for ctapipe has unknown names.
    """
    config = options.make_config()
    _check_config(options)
    recorded = {**flatten(config), **package_versions()}
    ledger = Ledger(folder, "convert")
    tasks, finished = [], []
    for source, output in name_outputs(sources, folder).items():
        if ledger.is_finished(output, [source], recorded, force=force):
            facts = ledger.facts(output)
            finished.append(Converted(source, output, facts, is_new=False))
        else:
            tasks.append(Task(source.resolve(), output.resolve(), config))
    return Plan(ledger, recorded, tasks, finished)


def _check_config(options: ConvertOptions) -> None:
    """Refuse names that ctapipe would only log, or not see at all."""
    given = options.read_user_config()
    if not given:
        return
    with closing(run_each(f"{PROCESSING}:check_option_names", [given], jobs=1)) as outcomes:
        outcome = next(outcomes)
    problems = [outcome.reason] if outcome.reason else outcome.result
    if problems:
        lines = [f"--ctapipe-config: {options.ctapipe_config}: {line}" for line in problems]
        raise UserError("\n".join(lines))


def convert_all(plan: Plan, jobs: int) -> Iterator[Converted]:
    """What became of each task of the plan, as they end; the record is kept up to date."""
    ledger = plan.ledger
    outputs = [task.output for task in plan.tasks]
    ledger.begin(outputs, plan.options)
    try:
        with closing(run_each(f"{PROCESSING}:convert_file", plan.tasks, jobs)) as outcomes:
            for outcome in outcomes:
                task = outcome.argument
                if outcome.reason:
                    ledger.fail(task.output, [task.source], outcome.reason)
                    yield Converted(task.source, task.output, reason=outcome.reason)
                    continue
                made = {name: Fingerprint(**outcome.result[name]) for name in ("input", "output")}
                facts = outcome.result["facts"]
                inputs = {task.source: made["input"]}
                ledger.finish(task.output, inputs, made["output"], plan.options, facts)
                yield Converted(task.source, task.output, facts)
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
    rarest = min(by_particle, key=lambda particle: len(by_particle[particle]))
    kinds = ", ".join(
        f"{name} in {len(names)} file{'s' * (len(names) > 1)}"
        for name, names in by_particle.items()
    )
    return f"different particles: {kinds}; {rarest}: {', '.join(by_particle[rarest][:3])}"

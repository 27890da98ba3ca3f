"""One command a stage, and those that run several: made from the table of stages."""

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cherenkov_mlops.cli.options import (
    Config,
    Deadline,
    DryRun,
    Engine,
    FailOver,
    FailUnder,
    Figures,
    Force,
    NoCache,
    Overrides,
    Strict,
    Until,
    open_session,
)
from cherenkov_mlops.pipeline.stage import COMMANDS, STAGES, names, up_to
from cherenkov_mlops.run_dir import RunDir

if TYPE_CHECKING:
    from cherenkov_mlops.config.schema import RunConfig

#: Option of a stage -> parameters of its command: name, type, default. Lists have their default
#: in their type.
PARAMETERS: dict[str, tuple[tuple[str, Any, Any], ...]] = {
    "deadline": (("deadline", Deadline, None),),
    "no_cache": (("no_cache", NoCache, False),),
    "engine": (("engine", Engine, None),),
    "gates": (("fail_under", FailUnder, ...), ("fail_over", FailOver, ...)),
    "strict": (("strict", Strict, False),),
    "figures": (("figures", Figures, None),),
    "until": (("until", Until, None),),
}
ALWAYS = (
    ("config", Config, ...),
    ("overrides", Overrides, ...),
    ("dry_run", DryRun, False),
    ("force", Force, False),
)
#: Options that make sense only where nothing but the last stage is asked for.
OF_ONE_STAGE = ("strict", "figures")


def add_stages(app: typer.Typer) -> None:
    """Add the commands of all stages, of those that run several, and ``run``."""
    for stage in STAGES.values():
        _add(app, stage.name, stage.help, [stage.name], stage.options)
    for name, parts in COMMANDS.items():
        said = "Run " + " and ".join(parts) + ", each unless it is complete and unchanged."
        _add(app, name, said, parts, _options_of(parts))
    everything = names()
    said = f"Run all stages: {', '.join(everything)}."
    _add(app, "run", said, everything, (*_options_of(everything), "until"))


def _options_of(stages: Sequence[str]) -> list[str]:
    taken = [option for name in stages for option in STAGES[name].options]
    return [option for option in dict.fromkeys(taken) if option not in OF_ONE_STAGE]


def _add(
    app: typer.Typer, name: str, said: str, stages: Sequence[str], options: Sequence[str]
) -> None:
    parameters = [*ALWAYS, *(each for option in options for each in PARAMETERS[option])]

    def command(**given: Any) -> None:
        _run(name, stages, **given)

    # Typer reads the options of a command from the signature of its function.
    command.__signature__ = Signature(
        [
            Parameter(
                each,
                Parameter.KEYWORD_ONLY,
                default=Parameter.empty if default is ... else default,
                annotation=kind,
            )
            for each, kind, default in parameters
        ]
    )
    command.__annotations__ = {each: kind for each, kind, _ in parameters}
    app.command(name, help=said)(command)


def _run(
    command: str,
    stages: Sequence[str],
    *,
    config: Path,
    overrides: Sequence[str],
    dry_run: bool,
    force: bool,
    until: str | None = None,
    deadline: str | None = None,
    no_cache: bool = False,
    engine: str | None = None,
    fail_under: Sequence[str] = (),
    fail_over: Sequence[str] = (),
    **options: Any,
) -> None:
    """Run stages, one after the other; mistakes in options are found before hours of work."""
    with open_session(command) as session:
        # Heavy, and not needed for the help.
        from cherenkov_mlops.config.load import open_run
        from cherenkov_mlops.config.text import to_yaml
        from cherenkov_mlops.durations import parse_duration
        from cherenkov_mlops.pipeline.chain import run_stages
        from cherenkov_mlops.pipeline.lifecycle import describe_plan

        # A folder to which no more than the results of a run were copied is enough for a page.
        folder = RunDir(config)
        is_bare = folder.metrics.is_file() and not folder.resolved_config.exists()
        if is_bare and command in STAGES and (do := STAGES[command].load_run()):
            do(None, folder, **options)
            return
        if deadline is not None:
            options["deadline"] = session.started + parse_duration(deadline)
        # Short names for options of the configuration.
        overrides = [*overrides, *(["data.cache=false"] if no_cache else [])]
        overrides += [f"test.engine={engine}"] if engine else []
        if until is not None:
            stages = up_to(until)
        loaded, run_dir = open_run(config, overrides)
        has_gates = bool(fail_under or fail_over)
        check = _read_gates(loaded, fail_under, fail_over) if has_gates else None

        if dry_run:
            session.show(to_yaml(loaded.dump()))
            for line in describe_plan(loaded, run_dir, stages, force=force):
                session.show(line)
            return
        session.logs = run_dir.logs
        run_stages(stages, loaded, run_dir, force=force, **options)
        if check is not None:
            check(run_dir)


def _read_gates(
    config: "RunConfig", fail_under: Sequence[str], fail_over: Sequence[str]
) -> Callable[[RunDir], None]:
    """Make the check of the run's results; raise UserError for bounds that cannot be meant."""
    from cherenkov_mlops.commands.gates import check_gates, check_gates_fit, parse_gates
    from cherenkov_mlops.results import read_results

    gates = parse_gates(fail_under, fail_over)
    check_gates_fit(gates, config.tasks)
    return lambda run_dir: check_gates(read_results(run_dir.metrics), gates)

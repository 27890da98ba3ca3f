"""A sweep whose later runs are chosen by the results of earlier ones."""

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.errors import SweepFailed, UserError
from cherenkov_mlops.metrics import Metric, metrics_of
from cherenkov_mlops.registry import did_you_mean
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir, write_text_atomically
from cherenkov_mlops.sweep.pages import write_pages
from cherenkov_mlops.sweep.plan import Sweep, make_run
from cherenkov_mlops.sweep.running import check_files, config_path, run_side_by_side
from cherenkov_mlops.tasks import TASKS

log = logging.getLogger(__name__)

#: Runs on the page at the end: the best ones.
N_SHOWN = 10
_SIGNIFICANT_DIGITS = 4


@dataclass(frozen=True)
class ByValidation:
    """Stands for a metric: the loss of the validation set, which no test has seen."""

    name: str = "best_val_loss"

    def badness(self, loss: float) -> float:
        """The loss; infinite for NaN."""
        return float("inf") if math.isnan(loss) else loss


BY_VALIDATION = ByValidation()


def run(sweep: Sweep, n_lanes: int = 1) -> None:
    """Run as many trials as ``random.n_runs`` says, each round by what is known before it.

    What Optuna knows is in ``optuna.journal`` of the sweep's folder; the same command goes on, and
    a larger ``n_runs`` adds trials.

    Raises
    ------
    UserError
        Optuna is not installed, or the metric does not fit.
    SweepFailed
        No trial was completed.
    """
    optuna = _import_optuna(sweep)
    metric = _find_metric(sweep)
    check_files(sweep)
    study = _open_study(optuna, sweep)
    distributions = _distributions(optuna, sweep)
    open_trials = [t.number for t in study.get_trials(states=[optuna.trial.TrialState.RUNNING])]
    while todo := _next_round(study, sweep, distributions, open_trials, n_lanes):
        _run_round(sweep, study, todo, metric, n_lanes)
        open_trials = []
    _tell_best(sweep, study, metric)


def _next_round(
    study: Any, sweep: Sweep, distributions: dict[str, Any], left_open: list[int], n_lanes: int
) -> dict[int, RunConfig]:
    """Number of a trial -> its run: those left open, or new ones."""
    n_left = sweep.options.random.n_runs - len(study.trials)
    numbers = left_open or [
        study.ask(distributions).number for _ in range(min(n_lanes, max(n_left, 0)))
    ]
    trials = {trial.number: trial for trial in study.trials}
    return {number: _make(sweep, number, trials[number].params) for number in numbers}


def _make(sweep: Sweep, number: int, params: dict[str, Any]) -> RunConfig:
    """The run of a trial; its configuration is written."""
    values = {key: _value(sweep.options.random.keys[key], drawn) for key, drawn in params.items()}
    config = make_run(sweep, f"trial_{number:03d}", values)
    write_text_atomically(config_path(sweep, config), to_yaml(config.dump()))
    return config


def _value(given: Any, drawn: Any) -> Any:
    """What an option gets: an item of a list, or a number with few digits."""
    if isinstance(given, list):
        return given[drawn]
    return float(f"{drawn:.{_SIGNIFICANT_DIGITS}g}") if isinstance(drawn, float) else drawn


def _run_round(
    sweep: Sweep,
    study: Any,
    todo: dict[int, RunConfig],
    metric: Metric | ByValidation,
    n_lanes: int,
) -> None:
    numbers = {config.run.name: number for number, config in todo.items()}
    for ended in run_side_by_side(sweep, list(todo.values()), n_lanes):
        number = numbers[ended.job.name]
        if ended.code:
            study.tell(number, state=import_module("optuna").trial.TrialState.FAIL)
        else:
            study.tell(number, float(metric.badness(_result(todo[number], metric))))


def _result(config: RunConfig, metric: Metric | ByValidation) -> float:
    results = read_results(RunDir(config.run_path).metrics)
    if metric is BY_VALIDATION:
        stored = results.facts.get(metric.name)
    else:
        found = results.stored(metric.name)
        stored = None if found is None else found.value
    return float("nan") if stored is None else float(stored)


def _tell_best(sweep: Sweep, study: Any, metric: Metric | ByValidation) -> None:
    """Say which trial was the best, and write the page about the best ones."""
    done = sorted(_completed(study), key=lambda trial: trial.value)
    if not done:
        raise SweepFailed(
            [f"{sweep.path}: no trial was completed; look at {sweep.folder / 'logs'}"]
        )
    runs = [_make(sweep, trial.number, trial.params) for trial in done[:N_SHOWN]]
    values = ", ".join(
        f"{key} {_value(sweep.options.random.keys[key], drawn)}"
        for key, drawn in done[0].params.items()
    )
    best = _result(runs[0], metric)
    log.info(
        "sweep: best of %d: %s, %s %.4g: %s", len(done), runs[0].run.name, metric.name, best, values
    )
    write_pages(replace(sweep, runs=runs))


def _completed(study: Any) -> Iterator[Any]:
    return (trial for trial in study.trials if trial.value is not None)


def _import_optuna(sweep: Sweep) -> ModuleType:
    try:
        return import_module("optuna")
    except ImportError as error:
        raise UserError(
            f"{sweep.path}: random.guided_by: needs Optuna, which is not installed; "
            "pip install 'cherenkov-mlops[optuna]'"
        ) from error


def _find_metric(sweep: Sweep) -> Metric | ByValidation:
    name, task = sweep.options.random.guided_by, sweep.runs[0].task
    if any(config.task != task for config in sweep.runs):
        raise UserError(f"{sweep.path}: random.guided_by: expected runs of one task, got several")
    known: dict[str, Metric | ByValidation] = {
        key: each for key, each in metrics_of(TASKS[task].kind).items() if each.better != "none"
    }
    known[BY_VALIDATION.name] = BY_VALIDATION
    if name not in known:
        raise UserError(
            f"{sweep.path}: random.guided_by: task {task} has no metric '{name}' that says what is "
            f"better; {did_you_mean(name, list(known))}"
        )
    return known[name]


def _open_study(optuna: ModuleType, sweep: Sweep) -> Any:
    sweep.folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = optuna.storages.journal.JournalFileBackend(str(sweep.folder / "optuna.journal"))
    study = optuna.create_study(
        study_name=sweep.path.stem,
        storage=optuna.storages.JournalStorage(backend),
        sampler=optuna.samplers.TPESampler(seed=sweep.options.random.seed),
        load_if_exists=True,
    )
    name = sweep.options.random.guided_by
    before = study.user_attrs.get("guided_by", name)
    if before != name:
        raise UserError(
            f"{sweep.path}: random.guided_by: {sweep.folder} was guided by {before}, got {name}; "
            "choose another folder (dir)"
        )
    study.set_user_attr("guided_by", name)
    return study


def _distributions(optuna: ModuleType, sweep: Sweep) -> dict[str, Any]:
    """Option -> where Optuna draws it from; of a list it draws the place."""
    kinds, found = optuna.distributions, {}
    for key, given in sweep.options.random.keys.items():
        if isinstance(given, list):
            found[key] = kinds.CategoricalDistribution(tuple(range(len(given))))
            continue
        is_whole = isinstance(given["min"], int) and isinstance(given["max"], int)
        kind = kinds.IntDistribution if is_whole else kinds.FloatDistribution
        found[key] = kind(given["min"], given["max"], log=bool(given.get("log")))
    return found

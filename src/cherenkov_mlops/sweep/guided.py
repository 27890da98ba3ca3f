"""A sweep whose later runs are chosen by the results of earlier ones."""

import logging
import math
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.errors import SweepFailed, UserError
from cherenkov_mlops.metrics import Metric, metrics_of
from cherenkov_mlops.registry import did_you_mean
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir, write_text_atomically
from cherenkov_mlops.sweep.pages import write_pages
from cherenkov_mlops.sweep.plan import Sweep, make_run
from cherenkov_mlops.sweep.points import few_digits
from cherenkov_mlops.sweep.running import check_files, config_path, run_side_by_side
from cherenkov_mlops.tasks import TASKS

log = logging.getLogger(__name__)

#: Runs on the page at the end: the best ones.
N_SHOWN = 10


@dataclass(frozen=True)
class ByValidation:
    """Stands for a metric: the loss of the validation set, which no test has seen."""

    name: str = "best_val_loss"

    def badness(self, loss: float) -> float:
        """Return the loss; infinite for NaN."""
        return float("inf") if math.isnan(loss) else loss


BY_VALIDATION = ByValidation()


def run(sweep: Sweep, n_lanes: int = 1) -> None:
    """Run as many trials as ``random.n_runs`` says, each round by what is known before it.

    What Optuna knows is in ``optuna.journal`` of the sweep's folder; the same command goes on, and
    a larger ``n_runs`` adds trials. Several processes, or jobs of a cluster, may run the same
    command at a time: they share the trials.

    Raises
    ------
    UserError
        Optuna is not installed, or the metric does not fit.
    SweepFailed
        No trial was completed.
    """
    optuna = _import_optuna(sweep)
    metric = find_metric(sweep)
    check_files(sweep)
    study = open_study(optuna, sweep)
    while True:
        # A claim is given back after the result was told: nobody runs the trial again.
        with ExitStack() as claims:
            todo = claim_trials(optuna, study, sweep, n_lanes, claims)
            if not todo:
                break
            numbers = {config.run.name: number for number, config in todo.items()}
            for ended in run_side_by_side(sweep, list(todo.values()), n_lanes):
                number = numbers[ended.job.name]
                if ended.code:
                    study.tell(number, state=optuna.trial.TrialState.FAIL)
                else:
                    badness = metric.badness(_result(todo[number], metric))
                    study.tell(number, float(badness))
    done = [trial for trial in study.trials if trial.value is not None]
    if not done:
        raise SweepFailed(
            [f"{sweep.path}: no trial was completed; look at {sweep.folder / 'logs'}"]
        )
    done.sort(key=lambda trial: trial.value)
    # The best come first; what is told to Optuna is a badness, whatever the metric's direction.
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


def claim_trials(
    optuna: ModuleType, study: Any, sweep: Sweep, n_lanes: int, claims: ExitStack
) -> dict[int, RunConfig]:
    """Take trials for this process: those that were asked for and never told, else new ones.

    Parameters
    ----------
    optuna : module
        Optuna.
    study : optuna.study.Study
        What is known.
    sweep : Sweep
        The sweep file.
    n_lanes : int
        How many at most.
    claims : contextlib.ExitStack
        Gets a lock a trial, which is free again when this process lets go of it, or dies: so a
        trial that nobody works at is told from one that runs elsewhere.

    Returns
    -------
    dict of int to RunConfig
        Number of a trial -> its run, whose configuration is written.
    """
    locks = sweep.folder / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    taken = []
    # One process asks at a time: else two would both see the last trial that is left.
    with FileLock(locks / "asking"):
        left_open = study.get_trials(states=[optuna.trial.TrialState.RUNNING])
        for number in [trial.number for trial in left_open]:
            if len(taken) < n_lanes:
                # Held by the process that works at it.
                with suppress(Timeout):
                    claims.enter_context(FileLock(locks / f"trial_{number:03d}", blocking=False))
                    # It may have come to its end since it was looked at.
                    if study.trials[number].state is optuna.trial.TrialState.RUNNING:
                        taken.append(number)
        # What was begun comes first: its result is what the next draws can learn from.
        n_left = sweep.options.random.n_runs - len(study.trials)
        n_new = 0 if taken else max(min(n_lanes, n_left), 0)
        for _ in range(n_new):
            # Seeded for each trial: a process that goes on, or one beside this, would else draw
            # the first values again.
            seed = np.random.SeedSequence([sweep.options.random.seed, len(study.trials)])
            study.sampler = optuna.samplers.TPESampler(seed=int(seed.generate_state(1)[0]))
            number = study.ask(_distributions(optuna, sweep)).number
            claims.enter_context(FileLock(locks / f"trial_{number:03d}", blocking=False))
            taken.append(number)
    trials = {trial.number: trial for trial in study.trials}
    return {number: _make(sweep, number, trials[number].params) for number in taken}


def _make(sweep: Sweep, number: int, params: dict[str, Any]) -> RunConfig:
    """Make the run of a trial, and write its configuration."""
    values = {key: _value(sweep.options.random.keys[key], drawn) for key, drawn in params.items()}
    config = make_run(sweep, f"trial_{number:03d}", values)
    write_text_atomically(config_path(sweep, config), to_yaml(config.dump()))
    return config


def _value(given: Any, drawn: Any) -> Any:
    """Make what an option gets: an item of a list, or a number with few digits."""
    if isinstance(given, list):
        return given[drawn]
    return few_digits(drawn) if isinstance(drawn, float) else drawn


def _result(config: RunConfig, metric: Metric | ByValidation) -> float:
    results = read_results(RunDir(config.run_path).metrics)
    if metric is BY_VALIDATION:
        stored = results.facts.get(metric.name)
    else:
        found = results.stored(metric.name)
        stored = None if found is None else found.value
    return float("nan") if stored is None else float(stored)


def _import_optuna(sweep: Sweep) -> ModuleType:
    # Optional, and slow to import: other sweeps do without.
    try:
        return import_module("optuna")
    except ImportError as error:
        raise UserError(
            f"{sweep.path}: random.guided_by: needs Optuna, which is not installed; "
            "pip install 'cherenkov-mlops[optuna]'"
        ) from error


def find_metric(sweep: Sweep) -> Metric | ByValidation:
    """Find the metric that ``guided_by`` names, or the loss of the validation set."""
    name, tasks = sweep.options.random.guided_by, sweep.runs[0].tasks
    if any(config.tasks != tasks for config in sweep.runs):
        raise UserError(f"{sweep.path}: random.guided_by: expected runs of one task, got several")
    known: dict[str, Metric | ByValidation] = {
        key: each
        for task in tasks
        for key, each in metrics_of(TASKS[task].kind).items()
        if each.better != "none"
    }
    known[BY_VALIDATION.name] = BY_VALIDATION
    if name not in known:
        raise UserError(
            f"{sweep.path}: random.guided_by: task {', '.join(tasks)} has no metric '{name}' that "
            f"says what is better; {did_you_mean(name, list(known))}"
        )
    return known[name]


def open_study(optuna: ModuleType, sweep: Sweep) -> Any:
    """Open the study of the folder; raise ``UserError`` if another metric guided it so far."""
    sweep.folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = optuna.storages.journal.JournalFileBackend(str(sweep.folder / "optuna.journal"))
    study = optuna.create_study(
        study_name=sweep.path.stem,
        storage=optuna.storages.JournalStorage(backend),
        load_if_exists=True,
    )
    # Results of two metrics cannot be compared: one study has one for good.
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

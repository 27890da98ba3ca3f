"""On 200 experiments of known truth, the 68 % interval covers it in 60 to 76 % of them."""

from functools import cache, partial

import numpy as np
import pytest
from scipy import stats

from cherenkov_mlops.metrics import METRICS, EvaluationSettings
from cherenkov_mlops.metrics.bootstrap import bootstrap_replicates, interval_68
from cherenkov_mlops.metrics.events import extract_events
from cherenkov_mlops.tasks import TASKS

N_EXPERIMENTS = 200
N_EVENTS = 400
SETTINGS = EvaluationSettings(n_bootstrap=100, signal_efficiency=0.7)
#: Distance of the classes in units of their width, before the scores are squeezed into 0 to 1.
DISTANCE = 1.5
BIAS, WIDTH = 0.05, 0.2
SIGMA_DEG = 0.1


def _classes(generator: np.random.Generator) -> dict[str, np.ndarray]:
    signal = generator.random(N_EVENTS) < 0.5
    position = generator.normal(np.where(signal, DISTANCE / 2, -DISTANCE / 2))
    # The exact log-odds: scores are probabilities.
    return _table(generator, signal=signal, gh_score=1 / (1 + np.exp(-DISTANCE * position)))


def _energies(generator: np.random.Generator) -> dict[str, np.ndarray]:
    table = _table(generator)
    error = generator.normal(BIAS, WIDTH, N_EVENTS)
    return table | {"reco_energy": table["true_energy"] * (1 + error)}


def _directions(generator: np.random.Generator) -> dict[str, np.ndarray]:
    # At the horizon, where both angles are angles on the sky.
    table = _table(generator, true_alt=np.zeros(N_EVENTS), true_az=np.zeros(N_EVENTS))
    errors = generator.normal(0, SIGMA_DEG, (2, N_EVENTS))
    return table | {"reco_alt": errors[0], "reco_az": errors[1] % 360}


def _table(generator: np.random.Generator, **columns: np.ndarray) -> dict[str, np.ndarray]:
    return {"true_energy": 10 ** generator.uniform(0, 1, N_EVENTS)} | columns


def _error_quantile(share: float) -> float:
    """Quantile of the absolute value of a Gaussian of mean BIAS and standard deviation WIDTH."""
    return float(stats.foldnorm.ppf(share, BIAS / WIDTH, scale=WIDTH))


def _rayleigh(share: float) -> float:
    return float(stats.rayleigh.ppf(share, scale=SIGMA_DEG))


_RECALL = stats.norm.cdf(DISTANCE / 2)
_MAKERS = {"type": _classes, "energy": _energies, "skydirection": _directions}
TRUTHS = {
    "type": {
        "auc": stats.norm.cdf(DISTANCE / np.sqrt(2)),
        "accuracy": _RECALL,
        "recall": _RECALL,
        "precision": _RECALL,
        "background_rejection": stats.norm.cdf(DISTANCE + stats.norm.ppf(0.3)),
        "threshold_at_signal_efficiency": 1
        / (1 + np.exp(-DISTANCE * (DISTANCE / 2 + stats.norm.ppf(0.3)))),
    },
    "energy": {
        "energy_bias": BIAS,
        "energy_resolution_68": _error_quantile(stats.norm.cdf(1) - stats.norm.cdf(-1)),
        "energy_resolution_iqr68": WIDTH,
        "energy_resolution_std": WIDTH,
    },
    "skydirection": {
        "containment_50": _rayleigh(0.50),
        "containment_68": _rayleigh(0.68),
        "containment_95": _rayleigh(0.95),
        "mdae": SIGMA_DEG * np.sqrt(np.pi / 2),
        "rmsde": SIGMA_DEG * np.sqrt(2),
        "mae_altitude": SIGMA_DEG * np.sqrt(2 / np.pi),
    },
}


@cache
def _experiments(task: str) -> list[dict[str, tuple[float, float]]]:
    generator = np.random.default_rng(21)
    return [_intervals(_MAKERS[task](generator), task) for _ in range(N_EXPERIMENTS)]


def _intervals(table: dict[str, np.ndarray], task: str) -> dict[str, tuple[float, float]]:
    """As ``evaluate_metrics`` finds them, but only for the metrics whose truth is known."""
    events = extract_events(table, TASKS[task].kind)
    statistics = {name: partial(METRICS[name].evaluate, settings=SETTINGS) for name in TRUTHS[task]}
    replicates = bootstrap_replicates(events, statistics, SETTINGS.n_bootstrap, SETTINGS.seed)
    return {name: interval_68(replicates[name], statistics[name](events)) for name in statistics}


@pytest.mark.parametrize(
    ("task", "name", "truth"),
    [(task, name, truth) for task, truths in TRUTHS.items() for name, truth in truths.items()],
)
def test_the_interval_covers_the_truth(task, name, truth):
    intervals = [found[name] for found in _experiments(task)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.60 <= covered <= 0.76

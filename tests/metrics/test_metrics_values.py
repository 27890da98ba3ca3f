"""Each metric against an independent implementation, on 10,000 random events."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, angular_separation
from astropy.table import QTable
from pyirf.benchmarks import energy_bias_resolution
from pyirf.benchmarks.energy_bias_resolution import energy_resolution_absolute_68
from scipy import stats
from sklearn import metrics as sklearn_metrics

from cherenkov_mlops.metrics import METRICS, evaluate_metrics
from cherenkov_mlops.metrics.base import EvaluationSettings
from cherenkov_mlops.tasks.direction import angular_separation_deg
from synthetic import SETTINGS, make_events

EVENTS = make_events(10_000, seed=11)
NO_BOOTSTRAP = EvaluationSettings(threshold=0.4, signal_efficiency=0.8, n_bootstrap=0)


def _type_expectations() -> dict[str, float]:
    signal, score = EVENTS["signal"], EVENTS["gh_score"]
    passed = score >= 0.4
    true_pos, false_pos = np.sum(signal & passed), np.sum(~signal & passed)
    true_neg, false_neg = np.sum(~signal & ~passed), np.sum(signal & ~passed)
    n_signal, n_background = true_pos + false_neg, true_neg + false_pos
    u_statistic = stats.mannwhitneyu(score[signal], score[~signal]).statistic
    ranked = signal[np.argsort(-score)]
    bins = np.digitize(score, np.linspace(0, 1, 11)[1:-1])
    gaps = [
        abs(score[bins == b].mean() - signal[bins == b].mean()) * np.mean(bins == b)
        for b in range(10)
    ]

    def rejection(efficiency: float) -> float:
        kept = np.sort(score[signal])[::-1][: int(np.ceil(efficiency * n_signal))]
        return float(np.mean(score[~signal] < kept[-1]))

    return {
        "auc": u_statistic / n_signal / n_background,
        "accuracy": (true_pos + true_neg) / len(score),
        "balanced_accuracy": (true_pos / n_signal + true_neg / n_background) / 2,
        "precision": true_pos / (true_pos + false_pos),
        "recall": true_pos / n_signal,
        "precision_background": true_neg / (true_neg + false_neg),
        "recall_background": true_neg / n_background,
        "f1": 2 * true_pos / (2 * true_pos + false_pos + false_neg),
        "brier_score": np.mean((score - signal) ** 2),
        "log_loss": -np.mean(np.log(np.where(signal, score, 1 - score))),
        "average_precision": np.mean(np.cumsum(ranked)[ranked] / (np.flatnonzero(ranked) + 1)),
        "expected_calibration_error": sum(gaps),
        "background_rejection": rejection(0.8),
        "background_rejection_50": rejection(0.5),
        "background_rejection_70": rejection(0.7),
        "background_rejection_90": rejection(0.9),
        "score_spread": stats.tstd(score, ddof=0),
    }


def _energy_expectations() -> dict[str, float]:
    true, reco = EVENTS["true_energy"], EVENTS["reco_energy"]
    error = (reco - true) / true
    low, high = np.percentile(error, 100 * stats.norm.cdf([-1, 1]))
    log_error = np.log10(reco / true)
    return {
        "energy_bias": stats.scoreatpercentile(error, 50),
        "energy_resolution_68": np.percentile(np.abs(error), 68.26894921370858),
        "energy_resolution_iqr68": (high - low) / 2,
        "energy_resolution_std": stats.tstd(error, ddof=0),
        "mse": np.mean((reco - true) ** 2),
        "rmse": np.linalg.norm(reco - true) / 100,
        "mae": np.mean(np.abs(reco - true)),
        "r2": 1 - np.sum((reco - true) ** 2) / np.sum((true - true.mean()) ** 2),
        "rmsle": np.sqrt(np.mean(np.log((1 + reco) / (1 + true)) ** 2)),
        "rmse_log10": np.linalg.norm(log_error) / 100,
        "rmse_log10_ratio": np.linalg.norm(log_error) / 100 / np.log10(true).std(),
        "energy_spread": np.log10(reco).std(),
    }


def _direction_expectations() -> dict[str, float]:
    true = SkyCoord(EVENTS["true_az"] * u.deg, EVENTS["true_alt"] * u.deg)
    reco = SkyCoord(EVENTS["reco_az"] * u.deg, EVENTS["reco_alt"] * u.deg)
    center = SkyCoord(0 * u.deg, 70 * u.deg)
    theta = true.separation(reco).deg
    azimuth = np.abs((reco.ra - true.ra).wrap_at(180 * u.deg).deg)
    radii = dict(zip((25, 50, 68, 95), np.percentile(theta, (25, 50, 68, 95)), strict=True))
    return {f"containment_{share}": radius for share, radius in radii.items()} | {
        "mdae": theta.mean(),
        "rmsde": np.sqrt(np.mean(theta**2)),
        "containment_68_ratio": radii[68] / np.percentile(true.separation(center).deg, 68),
        "mae_azimuth": azimuth.mean(),
        "mae_azimuth_cos_alt": np.mean(azimuth * np.cos(true.dec.rad)),
        "mae_altitude": np.mean(np.abs(EVENTS["reco_alt"] - EVENTS["true_alt"])),
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("type", _type_expectations()),
        ("energy", _energy_expectations()),
        ("direction", _direction_expectations()),
    ],
)
def test_values_equal_an_independent_implementation(kind, expected):
    values, _ = evaluate_metrics(EVENTS, kind, NO_BOOTSTRAP)
    unchecked = set(values) - set(expected)
    assert unchecked <= {"threshold_at_signal_efficiency", "direction_spread"}
    for name, value in expected.items():
        assert values[name]["value"] == pytest.approx(value, rel=1e-6), name


def _sklearn_expectations(signal: np.ndarray, score: np.ndarray) -> dict[str, float]:
    passed = score >= 0.4
    return {
        "auc": sklearn_metrics.roc_auc_score(signal, score),
        "accuracy": sklearn_metrics.accuracy_score(signal, passed),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(signal, passed),
        "precision": sklearn_metrics.precision_score(signal, passed),
        "recall": sklearn_metrics.recall_score(signal, passed),
        "precision_background": sklearn_metrics.precision_score(~signal, ~passed),
        "recall_background": sklearn_metrics.recall_score(~signal, ~passed),
        "f1": sklearn_metrics.f1_score(signal, passed),
        "brier_score": sklearn_metrics.brier_score_loss(signal, score),
        "log_loss": sklearn_metrics.log_loss(signal, score),
        "average_precision": sklearn_metrics.average_precision_score(signal, score),
    }


@pytest.mark.parametrize("digits", [16, 2, 1, 0])
def test_classification_equals_scikit_learn_however_many_scores_are_alike(digits):
    # Down to two different scores, certain ones that are wrong among them.
    score = np.round(EVENTS["gh_score"], digits)
    expected = _sklearn_expectations(EVENTS["signal"], score)
    values, _ = evaluate_metrics(EVENTS | {"gh_score": score}, "type", NO_BOOTSTRAP)
    for name, value in expected.items():
        assert values[name]["value"] == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize("digits", [16, 2, 0])
def test_the_rejection_is_the_share_of_background_below_the_cut(digits):
    events = EVENTS | {"gh_score": np.round(EVENTS["gh_score"], digits)}
    values, _ = evaluate_metrics(events, "type", NO_BOOTSTRAP)
    cut = values["threshold_at_signal_efficiency"]["value"]
    below = np.mean(events["gh_score"][~events["signal"]] < cut)
    assert values["background_rejection"]["value"] == pytest.approx(below, rel=1e-9)


def test_energy_resolution_equals_pyirf():
    table = QTable(
        {
            "true_energy": EVENTS["true_energy"] * u.TeV,
            "reco_energy": EVENTS["reco_energy"] * u.TeV,
        }
    )
    found = energy_bias_resolution(table, [1e-3, 1e4] * u.TeV)[0]
    absolute = energy_bias_resolution(
        table, [1e-3, 1e4] * u.TeV, resolution_function=energy_resolution_absolute_68
    )[0]
    values, _ = evaluate_metrics(EVENTS, "energy", NO_BOOTSTRAP)
    assert values["energy_bias"]["value"] == pytest.approx(found["bias"], rel=1e-6)
    assert values["energy_resolution_iqr68"]["value"] == pytest.approx(
        found["resolution"], rel=1e-6
    )
    assert values["energy_resolution_68"]["value"] == pytest.approx(
        absolute["resolution"], rel=1e-6
    )


def test_the_cut_at_fixed_efficiency_keeps_that_share_of_signal():
    values, _ = evaluate_metrics(EVENTS, "type", NO_BOOTSTRAP)
    cut = values["threshold_at_signal_efficiency"]["value"]
    kept = np.mean(EVENTS["gh_score"][EVENTS["signal"]] >= cut)
    assert kept == pytest.approx(0.8, abs=1e-3)
    assert kept >= 0.8


def test_swapped_classes_give_an_auc_below_one_half():
    swapped = EVENTS | {"gh_score": 1 - EVENTS["gh_score"]}
    straight = METRICS["auc"].evaluate(EVENTS, SETTINGS)
    assert METRICS["auc"].evaluate(swapped, SETTINGS) == pytest.approx(1 - straight, rel=1e-9)


def test_rmsle_is_not_the_root_of_the_mse():
    values, _ = evaluate_metrics(EVENTS, "energy", NO_BOOTSTRAP)
    assert values["rmsle"]["value"] < 0.5 * np.sqrt(values["mse"]["value"])


def test_both_energy_resolutions_give_the_width_of_a_gaussian_but_one_includes_the_bias():
    generator = np.random.default_rng(3)
    true = np.ones(200_000)
    centred = {"true_energy": true, "reco_energy": 1 + generator.normal(0, 0.1, true.size)}
    shifted = {"true_energy": true, "reco_energy": centred["reco_energy"] + 0.2}
    both = [evaluate_metrics(events, "energy", NO_BOOTSTRAP)[0] for events in (centred, shifted)]
    inclusive = [values["energy_resolution_68"]["value"] for values in both]
    exclusive = [values["energy_resolution_iqr68"]["value"] for values in both]
    assert inclusive[0] == pytest.approx(0.1, rel=1e-2)
    assert exclusive == pytest.approx([0.1, 0.1], rel=1e-2)
    assert inclusive[1] > 0.24


def _direction_metric(name: str, true: tuple[float, float], reco: tuple[float, float]) -> float:
    events = {
        "true_energy": [1.0],
        "true_alt": [true[0]],
        "true_az": [true[1]],
        "reco_alt": [reco[0]],
        "reco_az": [reco[1]],
    }
    return evaluate_metrics(events, "direction", NO_BOOTSTRAP)[0][name]["value"]


def test_azimuth_wraps_around_north():
    assert _direction_metric("mae_azimuth", (0, 359.9), (0, 0.1)) == pytest.approx(0.2, rel=1e-9)
    assert _direction_metric("mdae", (0, 359.9), (0, 0.1)) == pytest.approx(0.2, rel=1e-9)


def test_near_the_zenith_a_large_azimuth_error_is_a_small_angle():
    expected = angular_separation(*np.radians([0, 89.9, 180, 89.9]))
    assert _direction_metric("mdae", (89.9, 0), (89.9, 180)) == pytest.approx(np.degrees(expected))
    weighted = _direction_metric("mae_azimuth_cos_alt", (89.9, 0), (89.9, 180))
    assert weighted == pytest.approx(180 * np.cos(np.radians(89.9)))


@pytest.mark.parametrize("azimuth", [0.0, 123.4, 359.9999])
@pytest.mark.parametrize("altitude", [0.0, 70.0, 89.0])
def test_separations_of_a_millionth_of_a_degree_are_kept(altitude, azimuth):
    # The rounding of the angles themselves, 1e-14 deg, is the only loss allowed.
    found = angular_separation_deg(altitude, azimuth, altitude + 1e-6, azimuth)
    assert found == pytest.approx(1e-6, rel=1e-6)


def test_opposite_directions_are_half_a_circle_apart():
    assert angular_separation_deg(0.0, 0.0, 0.0, 180.0) == pytest.approx(180)
    assert angular_separation_deg(90.0, 0.0, -90.0, 40.0) == pytest.approx(180)

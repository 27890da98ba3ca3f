"""Arrays of figures by known answer."""

import numpy as np
import pytest

from cherenkov_mlops.figures import figure_data
from cherenkov_mlops.figures.type_by_energy import metric_names
from cherenkov_mlops.metrics import evaluate_metrics, metrics_of
from synthetic import SETTINGS, make_events, make_training

EVENTS = make_events(3000)
EVENTS_OF_ONE_ENERGY = {"true_energy": np.ones(20_000)}


@pytest.fixture(scope="module")
def type_arrays():
    return figure_data(EVENTS, "type", SETTINGS)


def test_the_thinned_roc_curve_keeps_its_area(type_arrays):
    roc = type_arrays["roc"]
    area = np.trapezoid(roc["signal_efficiency"], roc["background_efficiency"])
    assert len(roc["threshold"]) <= 303
    assert area == pytest.approx(roc["auc"], abs=2e-4)


def test_the_confusion_matrix_agrees_with_the_recall(type_arrays):
    counts = np.array(type_arrays["confusion_matrix"]["counts"])
    values, _ = evaluate_metrics(EVENTS, "type", SETTINGS)
    recalls = counts.diagonal() / counts.sum(axis=1)
    assert recalls[0] == pytest.approx(values["recall"]["value"])
    assert recalls[1] == pytest.approx(values["recall_background"]["value"])
    assert type_arrays["confusion_matrix"]["classes"] == ["gamma", "proton"]


def test_each_event_is_in_one_bin_of_the_score(type_arrays):
    histogram = type_arrays["gammaness"]
    assert sum(histogram["signal"]) == EVENTS["signal"].sum()
    assert sum(histogram["background"]) == (~EVENTS["signal"]).sum()


def test_the_migration_matrix_is_true_by_reconstructed():
    events = {"true_energy": np.array([1.0] * 3), "reco_energy": np.array([50.0] * 3)}
    arrays = figure_data(events, "energy", SETTINGS)["migration_matrix"]
    (row, column), *others = np.argwhere(np.array(arrays["counts"]))
    edges = np.array(arrays["edges"])
    assert not others
    assert edges[row] <= 1.0 < edges[row + 1]
    assert edges[column] <= 50.0 < edges[column + 1]


def test_resolution_by_energy_is_that_of_the_events_of_the_bin():
    table = figure_data(EVENTS, "energy", SETTINGS)["energy_resolution"]
    place = int(np.argmax(table["n_events"]))
    inside = (EVENTS["true_energy"] >= table["energy_low"][place]) & (
        EVENTS["true_energy"] < table["energy_high"][place]
    )
    some = {name: column[inside] for name, column in EVENTS.items()}
    values, _ = evaluate_metrics(some, "energy", SETTINGS)
    assert table["value"][place] == pytest.approx(values["energy_resolution_68"]["value"])
    assert table["n_events"][place] == inside.sum()


def test_the_share_within_the_68_percent_radius_is_68_percent():
    arrays = figure_data(EVENTS, "direction", SETTINGS)["share_within"]
    values, _ = evaluate_metrics(EVENTS, "direction", SETTINGS)
    share = np.interp(values["containment_68"]["value"], arrays["threshold"], arrays["share"])
    assert share == pytest.approx(0.68, abs=0.02)


def test_losses_mark_later_attempts_only():
    arrays = figure_data(make_training(), "generic", SETTINGS)
    assert arrays["loss"]["attempts"] == [5]
    assert arrays["loss"]["best_epoch"] in arrays["loss"]["epoch"]


def test_metrics_and_the_course_of_the_training_are_kept_apart():
    arrays = figure_data(make_training(), "generic", SETTINGS)
    assert list(arrays["logged_metrics"]["columns"]) == ["accuracy", "val_accuracy"]
    assert list(arrays["logged_quantities"]["columns"]) == ["seconds", "events_per_s"]


def test_the_reliability_of_an_exact_network_is_its_score():
    generator = np.random.default_rng(3)
    score = generator.random(20_000)
    events = EVENTS_OF_ONE_ENERGY | {"gh_score": score, "signal": generator.random(20_000) < score}
    arrays = figure_data(events, "type", SETTINGS)["reliability"]
    np.testing.assert_allclose(arrays["share"], arrays["score"], atol=0.03)
    assert sum(arrays["n_events"]) == 20_000
    inside = [
        low < share < high
        for low, share, high in zip(arrays["low"], arrays["share"], arrays["high"], strict=True)
    ]
    assert all(inside)


def test_a_bin_of_the_score_with_few_events_stays_blank():
    events = {
        "true_energy": np.ones(29),
        "gh_score": np.array([0.05] * 9 + [0.95] * 20),
        "signal": np.array([False] * 9 + [True] * 20),
    }
    arrays = figure_data(events, "type", SETTINGS)["reliability"]
    assert arrays["share"][0] is None
    assert arrays["share"][-1] == 1
    assert arrays["n_events"][0] == 9


def test_efficiencies_at_the_threshold_are_the_recalls(type_arrays):
    arrays = type_arrays["efficiency"]
    values, _ = evaluate_metrics(EVENTS, "type", SETTINGS)
    place = arrays["threshold"].index(0.5)
    assert arrays["signal"][place] == pytest.approx(values["recall"]["value"], rel=1e-5)
    background = 1 - values["recall_background"]["value"]
    assert arrays["background"][place] == pytest.approx(background, rel=1e-5)
    assert arrays["signal"][0] == arrays["background"][0] == 1


def test_the_roc_curve_of_an_energy_bin_has_the_area_of_its_events(type_arrays):
    arrays = type_arrays["roc_by_energy"]
    place = int(np.argmax(arrays["n_events"]))
    kept, background = (
        arrays[name][place] for name in ("signal_efficiency", "background_efficiency")
    )
    assert np.trapezoid(kept, background) == pytest.approx(arrays["auc"][place], abs=0.02)
    assert arrays["auc"][place] == pytest.approx(
        type_arrays["metrics_by_energy"]["auc"][place], rel=1e-5
    )
    empty = arrays["n_events"].index(0)
    assert arrays["auc"][empty] is None
    assert set(arrays["signal_efficiency"][empty]) == {None}


def test_metrics_by_energy_are_those_of_the_events_of_the_bin(type_arrays):
    arrays = type_arrays["metrics_by_energy"]
    place = int(np.argmax(arrays["n_events"]))
    values, _ = evaluate_metrics(_in_bin(arrays, place), "type", SETTINGS)
    for name in metric_names(arrays):
        assert arrays[name][place] == pytest.approx(values[name]["value"], rel=1e-5), name
        assert arrays[f"{name}_low"][place] <= arrays[name][place] <= arrays[f"{name}_high"][place]
    ranked = [name for name, entry in metrics_of("type").items() if entry.better != "none"]
    assert metric_names(arrays) == ranked


def test_each_score_is_in_one_bin_of_score_and_energy(type_arrays):
    arrays = type_arrays["gammaness_by_energy"]
    assert np.sum(arrays["signal"]) == EVENTS["signal"].sum()
    assert np.sum(arrays["background"]) == (~EVENTS["signal"]).sum()


def test_the_spectrum_counts_the_events_of_each_class():
    arrays = figure_data(EVENTS, "energy", SETTINGS)["true_energy_distribution"]
    place = int(np.argmax(arrays["signal"]))
    assert arrays["signal"][place] == _in_bin(arrays, place)["signal"].sum()
    assert sum(arrays["background"]) == (~EVENTS["signal"]).sum()


def test_bias_and_std_are_those_of_the_relative_error_of_the_bin():
    arrays = figure_data(EVENTS, "energy", SETTINGS)["energy_bias_by_energy"]
    place = int(np.argmax(arrays["n_events"]))
    some = _in_bin(arrays, place)
    error = some["reco_energy"] / some["true_energy"] - 1
    assert arrays["bias"][place] == pytest.approx(np.median(error), rel=1e-5)
    assert arrays["std"][place] == pytest.approx(np.std(error), rel=1e-5)


def test_errors_of_both_angles_by_energy_are_circular():
    n_events = 50
    events = {
        "true_energy": np.full(n_events, 2.0),
        "true_alt": np.full(n_events, 60.0),
        "true_az": np.full(n_events, 359.9),
        "reco_alt": np.full(n_events, 60.3),
        "reco_az": np.full(n_events, 0.1),
    }
    arrays = figure_data(events, "direction", SETTINGS)["direction_bias_by_energy"]
    place = arrays["n_events"].index(n_events)
    assert arrays["altitude_bias"][place] == pytest.approx(0.3, rel=1e-5)
    assert arrays["azimuth_bias"][place] == pytest.approx(0.2, rel=1e-5)
    assert arrays["azimuth_cos_altitude_bias"][place] == pytest.approx(0.1, rel=1e-5)
    assert arrays["azimuth_std"][place] == pytest.approx(0, abs=1e-9)


def test_directions_around_north_make_one_spot_at_the_pointing():
    arrays = figure_data(EVENTS, "direction", SETTINGS)["sky_distribution"]
    assert arrays["pointings"] == [[0, 70]]
    counts, edges = np.array(arrays["signal"]), np.array(arrays["azimuth_edges"])
    assert counts.sum() > 0.98 * EVENTS["signal"].sum()
    middle = np.average((edges[:-1] + edges[1:]) / 2, weights=counts.sum(axis=1))
    assert middle == pytest.approx(0, abs=0.5)


def test_theta2_knows_a_point_source_from_diffuse_events():
    diffuse = figure_data(EVENTS, "direction", SETTINGS)["theta2"]
    assert diffuse["point_like"] is False
    point = EVENTS | {"true_alt": np.full(3000, 70.5), "true_az": np.full(3000, 359.9)}
    point |= {"reco_alt": point["true_alt"] + 0.1, "reco_az": point["true_az"]}
    arrays = figure_data(point, "direction", SETTINGS)["theta2"]
    assert arrays["point_like"] is True
    place = int(np.argmax(arrays["share"]))
    assert arrays["share"][place] == 1
    assert arrays["theta2_low"][place] <= 0.01 <= arrays["theta2_high"][place] + 1e-9


def _in_bin(arrays: dict, place: int) -> dict[str, np.ndarray]:
    inside = (EVENTS["true_energy"] >= arrays["energy_low"][place]) & (
        EVENTS["true_energy"] < arrays["energy_high"][place]
    )
    return {name: column[inside] for name, column in EVENTS.items()}

"""Arrays of figures by known answer."""

import numpy as np
import pytest

from cherenkov_mlops.figures import figure_data
from cherenkov_mlops.metrics import evaluate_metrics
from synthetic import SETTINGS, make_events, make_training

EVENTS = make_events(3000)


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
    arrays = figure_data(EVENTS, "skydirection", SETTINGS)["share_within"]
    values, _ = evaluate_metrics(EVENTS, "skydirection", SETTINGS)
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

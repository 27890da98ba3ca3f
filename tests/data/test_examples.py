"""Best, typical and worst events, and the pixels of their images."""

import numpy as np
import pandas as pd
import pytest

from cherenkov_mlops.data.examples import (
    RANKS,
    pick_examples,
    read_example_images,
)
from cherenkov_mlops.dl2.read import read_events
from cherenkov_mlops.tasks import TASKS
from synthetic import make_events


def _table(n_events: int = 200) -> pd.DataFrame:
    return pd.DataFrame(make_events(n_events))


@pytest.mark.parametrize("task", ["type", "energy", "skydirection"])
def test_each_kind_is_what_its_name_says(task):
    events = _table()
    errors = np.sort(TASKS[task].error(events))
    rows = pick_examples(events, task)
    assert rows["kind"].value_counts().to_dict() == dict.fromkeys(RANKS, 3)
    assert rows.index.is_unique
    picked = {kind: rows.loc[rows["kind"] == kind, "error"] for kind in RANKS}
    assert picked["best"].min() == errors[0]
    assert picked["worst"].max() == errors[-1]
    assert picked["best"].max() < picked["typical"].min() <= picked["typical"].max()
    assert picked["typical"].max() < picked["worst"].min()
    assert picked["typical"].between(*np.quantile(errors, [0.4, 0.6])).all()


def test_both_classes_are_shown_in_each_kind():
    rows = pick_examples(_table(), "type")
    assert (rows.groupby("kind")["signal"].nunique() == 2).all()


def test_few_events_are_shown_once():
    rows = pick_examples(_table(5), "energy")
    assert len(rows) == 5
    assert rows.index.is_unique
    assert list(rows["kind"]) == ["best"] * 3 + ["typical"] * 2


def test_errors_have_the_known_values():
    events = _table(1).assign(
        signal=True, gh_score=0.25, true_energy=2.0, reco_energy=1.0, true_alt=0.0, true_az=359.9
    )
    events = events.assign(reco_alt=0.0, reco_az=0.1)
    assert TASKS["type"].error(events)[0] == 0.75
    assert TASKS["energy"].error(events)[0] == pytest.approx(np.log(2))
    assert TASKS["skydirection"].error(events)[0] == pytest.approx(0.2)


@pytest.mark.parametrize("task", ["type", "cameradirection", "skydirection"])
def test_images_are_those_of_the_events(completed_runs, dl1_files, task):
    config, run_dir = completed_runs[task]
    outputs = sorted(run_dir.predict_dir.glob("signal_*.dl2.h5"))
    events, _ = read_events(outputs[0], task, config.data.mode, signal=True)
    rows = pick_examples(events, task, per_kind=1)
    files = {"signal": [dl1_files["gamma_train"], dl1_files["gamma_test"]]}
    found = read_example_images(rows, files, [21, 22], "EFFECTIVE")
    assert [event["kind"] for event in found["events"]] == list(RANKS)
    for event, (_, row) in zip(found["events"], rows.iterrows(), strict=True):
        camera = found["cameras"][event["camera"]]
        assert len(event["image"]) == len(camera["x"]) == len(camera["y"])
        assert (event["obs_id"], event["event_id"]) == (row["obs_id"], row["event_id"])
        assert event["tel_id"] == row.get("tel_id", event["tel_id"])
        assert max(event["image"]) > 5
    if task == "type":
        assert "true" not in found["events"][0]
    else:
        best = found["events"][0]
        # Small angles on a camera of 5.6 m focal length: 1 deg is about 0.1 m.
        distance = np.hypot(*np.subtract(best["true"], best["reco"]))
        assert distance == pytest.approx(5.6 * np.radians(best["error"]), rel=0.2)


def test_a_shower_points_to_its_true_direction(completed_runs, dl1_files):
    """The line through source and centre of gravity is the axis of the image."""
    config, run_dir = completed_runs["cameradirection"]
    (output,) = run_dir.predict_dir.glob("signal_*.dl2.h5")
    events, _ = read_events(output, "cameradirection", config.data.mode, signal=True)
    rows = pick_examples(events, "cameradirection")
    found = read_example_images(rows, {"signal": [dl1_files["gamma_test"]]}, [21, 22], "EFFECTIVE")
    angles = [_angle_to_source(event, found["cameras"]) for event in found["events"]]
    assert np.median(angles) < 20


def _angle_to_source(event: dict, cameras: dict) -> float:
    camera, image = cameras[event["camera"]], np.array(event["image"])
    points = np.stack([camera["x"], camera["y"]])
    weights = np.where(image > 0.2 * image.max(), image, 0)
    center = np.average(points, axis=1, weights=weights)
    axis = np.linalg.eigh(np.cov(points, aweights=weights))[1][:, 1]
    to_source = np.subtract(event["true"], center)
    return np.degrees(np.arccos(np.abs(axis @ to_source) / np.linalg.norm(to_source)))

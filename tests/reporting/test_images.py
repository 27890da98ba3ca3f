"""Camera images of the examples."""

import numpy as np
import pytest

from cherenkov_mlops.reporting.images import draw_camera, example_groups, pixel_corners
from cherenkov_mlops.reporting.views import run_views, task_views
from synthetic import TASKS, make_examples, make_results


@pytest.mark.parametrize(("shape", "n_corners"), [("hexagon", 6), ("square", 4)])
def test_a_pixel_has_its_area_and_its_place(shape, n_corners):
    camera = {"x": [0.0, 3.0], "y": [0.0, 1.0], "area": 0.7, "shape": shape, "rotation_deg": 10.0}
    corners = pixel_corners(camera)
    assert corners.shape == (2, n_corners, 2)
    np.testing.assert_allclose(corners[1].mean(axis=0), [3.0, 1.0])
    x, y = corners[0].T
    area = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    assert area == pytest.approx(0.7)


def test_hexagons_of_a_dense_camera_touch():
    """Pixels of unit distance and matching area: neighbours share an edge."""
    camera = make_examples()["cameras"]["Seven"] | {"area": np.sqrt(3) / 2, "rotation_deg": 0.0}
    corners = pixel_corners(camera)
    distance = np.linalg.norm(corners[0][:, None] - corners[1][None], axis=-1)
    assert np.count_nonzero(distance < 1e-3) == 2


def test_directions_are_marked_unless_they_are_far_outside():
    examples = make_examples("cameradirection")
    event = examples["events"][0] | {"reco": [40.0, 0.0]}
    page = draw_camera(examples["cameras"]["Seven"], event)
    assert [text.get_text() for text in page.legends[0].get_texts()] == ["true direction"]


@pytest.mark.parametrize("task", TASKS)
def test_examples_say_truth_and_prediction(task):
    ((view,),) = task_views(run_views([make_results(task, n_events=100)])).values()
    groups = example_groups(view)
    assert [group["title"] for group in groups] == ["Best", "Typical", "Worst"]
    facts = dict(groups[0]["examples"][0].facts)
    expected = {
        "type": ("Gammaness", "0.700"),
        "energy": ("Predicted energy", "2.50 TeV"),
        "cameradirection": ("Predicted alt, az", "69.50°, 359.50°"),
        "skydirection": ("Predicted alt, az", "69.50°, 359.50°"),
    }
    name, value = expected[task]
    assert facts[name] == value
    assert groups[2]["examples"][0].title == "proton, 3.20 TeV"
    assert "worst event" in groups[2]["examples"][0].svg

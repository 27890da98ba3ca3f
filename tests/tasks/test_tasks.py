"""What every task promises, whoever adds it; and the known answers of those that are shipped."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import EarthLocation

from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.metrics.events import OPTIONAL_COLUMNS, extract_events
from cherenkov_mlops.tasks import TASKS, Instrument, kinds, task_of_kind

N = 6
SITE = EarthLocation.from_geodetic(15 * u.deg, 50 * u.deg)
INSTRUMENT = Instrument(
    location=SITE,
    tel_locations={1: SITE, 2: SITE},
    focal_lengths={1: 5.6 * u.m, 2: 5.6 * u.m},
    rotations={1: 0 * u.deg, 2: 30 * u.deg},
)
#: Row by row, signal and background in turn; every direction is that of the pointing.
EXAMPLES = {
    "true_shower_primary_class": np.array([1, 0] * (N // 2)),
    "log_true_energy": np.linspace(-1, 1, N),
    "cam_coord_offset_x": np.zeros(N),
    "cam_coord_offset_y": np.zeros(N),
    "fov_lon": np.zeros(N),
    "fov_lat": np.zeros(N),
}
EVENTS = {
    "obs_id": np.ones(N, dtype=int),
    "event_id": np.arange(N),
    "tel_id": np.array([1, 2] * (N // 2)),
    "signal": np.array([True, False] * (N // 2)),
    "true_energy": 10 ** np.linspace(-1, 1, N),
    "true_alt": np.full(N, 70.0),
    "true_az": np.full(N, 10.0),
    "pointing_alt": np.full(N, 70.0),
    "pointing_az": np.full(N, 10.0),
    "time": np.zeros(N),
}


def perfect_output(task) -> np.ndarray:
    return np.asarray(task.labels(EXAMPLES), dtype=float)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_known_by_the_name_that_it_bears(name):
    task = TASKS[name]
    assert task.name == name
    assert kinds()[task.kind] is task_of_kind(task.kind)
    assert task.modes and set(task.modes) <= {"mono", "stereo"}
    if len(task.modes) == 1 and task.elsewhere:
        assert not set(TASKS[task.elsewhere].modes) & set(task.modes)


def test_no_two_tasks_have_one_place_in_a_file():
    places = [(task.dl2.group, task.dl2.prefix) for task in TASKS.values()]
    assert len(set(places)) == len(places)


def test_tasks_of_one_kind_have_the_same_columns():
    for task in TASKS.values():
        first = task_of_kind(task.kind)
        assert (task.columns, task.required) == (first.columns, first.required)


def test_an_unknown_task_is_refused_with_a_hint():
    with pytest.raises(UserError, match="unknown task 'energi'; did you mean 'energy'"):
        TASKS["energi"]


@pytest.mark.parametrize("name", TASKS)
def test_labels_have_the_shape_of_the_output(name):
    task = TASKS[name]
    assert task.labels(EXAMPLES).shape == (N, task.n_outputs)


@pytest.mark.parametrize("name", TASKS)
def test_what_is_decoded_goes_to_the_file_and_to_the_event_table(name):
    task = TASKS[name]
    decoded = task.decode(perfect_output(task), EVENTS, INSTRUMENT)
    assert set(decoded) == set(task.columns) == set(task.dl2.columns.values())
    assert all(values.shape == (N,) for values in decoded.values())


@pytest.mark.parametrize("name", TASKS)
def test_a_perfect_answer_has_no_error(name):
    task = TASKS[name]
    decoded = task.decode(perfect_output(task), EVENTS, INSTRUMENT)
    np.testing.assert_allclose(task.error(EVENTS | decoded), 0, atol=1e-9)


@pytest.mark.parametrize("name", TASKS)
def test_the_sample_is_an_event_table(name):
    task = TASKS[name]
    sample = task.sample(np.random.default_rng(0), N)
    events = extract_events(EVENTS | sample, task.kind)
    known = {*EVENTS, *task.columns, *task.truth, *OPTIONAL_COLUMNS}
    assert set(task.required) <= known
    assert set(task.required) <= set(events)
    error = task.error(EVENTS | sample)
    assert error.shape == (N,) and (error >= 0).all()


@pytest.mark.parametrize("name", TASKS)
def test_columns_that_are_missing_or_not_finite_are_refused(name):
    task = TASKS[name]
    table = EVENTS | task.sample(np.random.default_rng(0), N)
    for column in task.columns:
        with pytest.raises(DataError, match=f"expected a column '{column}'"):
            extract_events({key: table[key] for key in table if key != column}, task.kind)
        with pytest.raises(DataError, match=f"6 of 6 values of '{column}' are not finite"):
            extract_events(table | {column: np.full(N, np.nan)}, task.kind)


@pytest.mark.parametrize("name", TASKS)
def test_a_page_can_show_an_event_of_which_nothing_is_known(name):
    for words, numbers, unit in TASKS[name].shown({}):
        assert words and isinstance(unit, str)
        assert all(number is None for number in numbers)


@pytest.mark.parametrize("name", TASKS)
def test_an_output_that_is_not_finite_is_described(name):
    task = TASKS[name]
    good = np.full((2, task.n_outputs), 1 / task.n_outputs)
    assert task.check_output(good) == ""
    assert "finite" in task.check_output(good * np.nan)


def test_probabilities_have_to_add_up():
    assert "add up to 1" in TASKS["type"].check_output(np.full((2, 2), 0.6))


def test_only_the_background_of_the_type_may_be_without_energy():
    energy = np.where(EVENTS["signal"], 1.0, np.nan)
    table = EVENTS | {"gh_score": np.full(N, 0.5), "true_energy": energy}
    assert np.isnan(extract_events(table, "type")["true_energy"]).sum() == N // 2
    table["signal"] = np.ones(N, dtype=bool)
    with pytest.raises(DataError, match="3 of 6 values of 'true_energy' are not finite"):
        extract_events(table, "type")


def test_an_offset_in_the_camera_is_turned_by_the_rotation_of_the_pixels():
    task, length = TASKS["cameradirection"], 5.6
    angle_deg = 1.0
    offset = np.full(N, length * np.radians(angle_deg))
    output = np.stack([offset, np.zeros(N)], axis=1)
    decoded = task.decode(output, EVENTS, INSTRUMENT)
    separation = task.error(EVENTS | decoded)
    np.testing.assert_allclose(separation, angle_deg, rtol=1e-3)
    # Telescopes 1 and 2 take turns, and their pixels are turned against each other.
    assert abs(decoded["reco_alt"][0] - decoded["reco_alt"][1]) > 0.1

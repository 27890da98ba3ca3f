"""What holds for every task, whoever registered it."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, SkyCoord
from astropy.time import Time
from ctapipe.coordinates import CameraFrame, NominalFrame
from hypothesis import given
from hypothesis import strategies as st

from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.simulation.instrument import sst1m_pair
from cherenkov_mlops.tasks import TASKS, Instrument, kinds, task_of_kind
from cherenkov_mlops.tasks.direction import EPOCH, angular_separation_deg

N = 40
tasks = pytest.mark.parametrize("task", list(TASKS.values()), ids=lambda task: task.name)


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    """The SST-1M pair, with cameras that are turned."""
    array = sst1m_pair()
    return Instrument(
        location=array.reference_location,
        tel_locations=dict(zip(array.tel_ids, array.tel_coords.to_earth_location(), strict=True)),
        focal_lengths={
            number: telescope.camera.geometry.frame.focal_length
            for number, telescope in array.tel.items()
        },
        rotations={number: 10 * number * u.deg for number in array.tel},
    )


@pytest.fixture(scope="module")
def examples(instrument) -> dict[str, np.ndarray]:
    """Examples with all that labels are made from, and the truth of the event table."""
    random = np.random.default_rng(1)
    tel_id = random.choice(list(instrument.focal_lengths), N)
    pointing_alt, pointing_az = np.full(N, 70.0), np.full(N, 359.5)
    alt = pointing_alt + random.uniform(-2, 2, N)
    az = (pointing_az + random.uniform(-4, 4, N)) % 360
    camera_x, camera_y = np.empty(N), np.empty(N)
    for number in np.unique(tel_id):
        rows = tel_id == number
        frame = AltAz(location=instrument.tel_locations[number], obstime=Time(EPOCH))
        pointing = SkyCoord(alt=pointing_alt[rows], az=pointing_az[rows], unit="deg", frame=frame)
        camera = CameraFrame(
            focal_length=instrument.focal_lengths[number],
            rotation=instrument.rotations[number],
            telescope_pointing=pointing,
        )
        offset = SkyCoord(alt=alt[rows], az=az[rows], unit="deg", frame=frame).transform_to(camera)
        camera_x[rows], camera_y[rows] = offset.x.to_value("m"), offset.y.to_value("m")
    sky = AltAz(location=instrument.location, obstime=Time(EPOCH))
    origin = SkyCoord(alt=pointing_alt, az=pointing_az, unit="deg", frame=sky)
    nominal = NominalFrame(origin=origin, location=instrument.location, obstime=Time(EPOCH))
    offset = SkyCoord(alt=alt, az=az, unit="deg", frame=sky).transform_to(nominal)
    energy = 10 ** random.uniform(-1, 2, N)
    return {
        "tel_id": tel_id,
        "pointing_alt": pointing_alt,
        "pointing_az": pointing_az,
        "true_alt": alt,
        "true_az": az,
        "true_energy": energy,
        "log_true_energy": np.log10(energy),
        "true_shower_primary_class": np.arange(N) % 2,
        "signal": np.arange(N) % 2 == 1,
        "cam_coord_offset_x": camera_x,
        "cam_coord_offset_y": camera_y,
        "fov_lon": offset.fov_lon.to_value("deg"),
        "fov_lat": offset.fov_lat.to_value("deg"),
    }


@tasks
def test_a_network_that_answers_its_labels_makes_no_error(task, examples, instrument):
    labels = task.labels(examples)
    assert labels.shape == (N, task.n_outputs)
    decoded = task.decode(labels, examples, instrument)
    assert list(decoded) == list(task.columns)
    error = task.error(examples | decoded)
    assert error.shape == (N,)
    assert np.abs(error).max() < 1e-9


@tasks
def test_an_error_grows_with_the_distance_from_the_truth(task, examples, instrument):
    labels = task.labels(examples)
    errors = [
        task.error(examples | task.decode(labels + shift, examples, instrument)).mean()
        for shift in (0, 0.01, 0.02)
    ]
    assert errors[0] < errors[1] < errors[2]


@tasks
def test_places_and_words_are_complete(task):
    assert set(task.dl2.columns.values()) == set(task.columns)
    assert task.modes
    assert set(task.modes) <= {"mono", "stereo"}
    assert task.title and task.kind_title and task.error_title and task.answer
    assert task.elsewhere == "" or task.elsewhere in TASKS
    shown = task.shown(dict.fromkeys((*task.required, *task.columns), 1.0))
    assert all(np.isfinite(values).all() for _, values, _ in shown)


@tasks
def test_a_sample_has_what_metrics_require_beside_the_truth(task):
    sample = task.sample(np.random.default_rng(0), 7)
    assert set(sample) >= set(task.columns)
    assert {len(column) for column in sample.values()} == {7}


@tasks
def test_output_that_is_not_finite_is_described(task):
    good = np.zeros((2, task.n_outputs))
    good[:, 0] = 1
    assert task.check_output(good) == ""
    assert "finite" in task.check_output(np.full((2, task.n_outputs), np.nan))


def test_each_kind_is_that_of_its_first_task():
    assert {kind: task.name for kind, task in kinds().items()}["direction"] == "cameradirection"
    assert all(task_of_kind(kind).kind == kind for kind in kinds())


def test_an_unknown_task_is_told_with_the_nearest_name():
    with pytest.raises(UserError, match="unknown task 'enrgy'; did you mean 'energy'"):
        TASKS["enrgy"]


def test_probabilities_must_add_up():
    odd = TASKS["type"].check_output(np.array([[0.2, 0.2], [0.5, 0.5]]))
    assert "add up to 1" in odd
    assert "Softmax" in odd


def test_scores_are_clipped_where_rounding_explains_it():
    derive = TASKS["type"].derive
    assert derive({"gh_score": np.array([1 + 1e-7, -1e-7])})["gh_score"].tolist() == [1, 0]
    with pytest.raises(DataError, match="between 0 and 1, 1 values are not"):
        derive({"gh_score": np.array([1.01, 0.5])})


@given(st.floats(-89, 89), st.floats(0, 360), st.floats(1e-7, 1), st.floats(0, 2 * np.pi))
def test_small_angles_keep_their_precision(alt, az, distance, angle):
    first = SkyCoord(az=az, alt=alt, unit="deg", frame=AltAz())
    second = first.directional_offset_by(angle * u.rad, distance * u.deg)
    found = angular_separation_deg(alt, az, second.alt.deg, second.az.deg)
    assert found == pytest.approx(distance, rel=1e-5, abs=1e-10)

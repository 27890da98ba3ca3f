"""Whole events: geometry, physics that ties image and shower together, reproducibility."""

import itertools

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, SkyCoord
from ctapipe.coordinates import CameraFrame
from ctapipe.image import (
    hillas_parameters,
    number_of_islands,
    tailcuts_clean,
    timing_parameters,
)

from cherenkov_mlops.simulation.events import throw_showers
from cherenkov_mlops.simulation.instrument import sst1m_pair
from cherenkov_mlops.simulation.options import SimulationOptions

PAIR = sst1m_pair()
GEOMETRY = PAIR.tel[21].camera.geometry


def thrown(**options):
    """Events of a small run."""
    batches = throw_showers(SimulationOptions(**options), PAIR)
    return [event for batch in batches for event in batch.events]


def hillas(image):
    """Hillas parameters [m] and the mask, or None for faint images."""
    mask = tailcuts_clean(GEOMETRY, image.charge, 10, 5, min_number_picture_neighbors=2)
    if image.charge[mask].sum() < 80:
        return None, mask
    return hillas_parameters(GEOMETRY[mask], image.charge[mask]), mask


def axis_distances(events, x, y):
    """Distances [m] of a point from the major axes of all images of the events."""
    distances = []
    for image in itertools.chain.from_iterable(event.images for event in events):
        found, _ = hillas(image)
        if found is not None and found.length > 1.5 * found.width:
            dx, dy = x - found.x.to_value("m"), y - found.y.to_value("m")
            psi = found.psi.to_value("rad")
            distances.append(abs(dy * np.cos(psi) - dx * np.sin(psi)))
    return np.array(distances)


@pytest.fixture(scope="module")
def offset_gammas():
    return thrown(n_showers=192, offset_deg=1.5, azimuth_deg=70.0, energy_min_tev=4, seed=3)


def test_equal_seeds_give_equal_images():
    first, again = (thrown(n_showers=64, viewcone_deg=2, seed=9) for _ in range(2))
    assert [event.number for event in first] == [event.number for event in again]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.images[0].charge, other.images[0].charge)
        np.testing.assert_array_equal(one.images[0].peak_time, other.images[0].peak_time)


def test_other_seeds_give_other_showers():
    first, other = (thrown(n_showers=20, seed=seed) for seed in (1, 2))
    assert first[0].truth.energy_tev != other[0].truth.energy_tev


def test_events_do_not_depend_on_how_many_are_thrown():
    short, long = thrown(n_showers=64, seed=4), thrown(n_showers=128, seed=4)
    for one, other in zip(short, long, strict=False):
        np.testing.assert_array_equal(one.images[0].charge, other.images[0].charge)


def test_image_axes_point_to_the_source(offset_gammas):
    """The place of the source is that of ctapipe's transformation, as dl1_data_handler's."""
    pointing = SkyCoord(alt=70 * u.deg, az=70 * u.deg, frame=AltAz())
    source = SkyCoord(alt=71.5 * u.deg, az=70 * u.deg, frame=AltAz())
    place = source.transform_to(
        CameraFrame(
            focal_length=GEOMETRY.frame.focal_length,
            telescope_pointing=pointing,
        )
    )
    x, y = place.x.to_value("m"), place.y.to_value("m")
    on_source = axis_distances(offset_gammas, x, y)
    elsewhere = axis_distances(offset_gammas, -x, -y)
    assert on_source.size > 60
    assert np.degrees(np.median(on_source) / 5.697) < 0.15
    assert np.median(elsewhere) > 5 * np.median(on_source)


def test_diffuse_gammas_point_to_their_own_directions():
    events = thrown(n_showers=128, viewcone_deg=3, azimuth_deg=200.0, energy_min_tev=8, seed=2)
    pointing = SkyCoord(alt=70 * u.deg, az=200 * u.deg, frame=AltAz())
    frame = CameraFrame(focal_length=GEOMETRY.frame.focal_length, telescope_pointing=pointing)
    distances = []
    for event in events:
        truth = SkyCoord(alt=event.truth.alt * u.rad, az=event.truth.az * u.rad, frame=AltAz())
        place = truth.transform_to(frame)
        distances.append(axis_distances([event], place.x.to_value("m"), place.y.to_value("m")))
    assert np.degrees(np.median(np.concatenate(distances)) / 5.697) < 0.2


def test_far_showers_are_swept_towards_the_source_later(offset_gammas):
    """Beyond the light pool, light from low down (far from the source) comes last."""
    slopes = []
    for event in offset_gammas:
        for image, impact in zip(event.images, event.impact_m, strict=True):
            found, mask = hillas(image)
            if impact < 200 or found is None or found.length < 1.5 * found.width:
                continue
            times = timing_parameters(
                GEOMETRY[mask], image.charge[mask], image.peak_time[mask], found
            )
            # psi may point to the source or away from it.
            away = np.array([found.x.to_value("m") - 0.149, found.y.to_value("m")])
            psi = found.psi.to_value("rad")
            sign = np.sign(away @ [np.cos(psi), np.sin(psi)])
            slopes.append(sign * times.slope.to_value(1 / u.m))
    assert len(slopes) > 10
    assert np.mean(np.array(slopes) > 0) > 0.85


def test_intensity_carries_the_energy(offset_gammas):
    close = [
        (event.truth.energy_tev, image.true.sum())
        for event in offset_gammas
        for image, impact in zip(event.images, event.impact_m, strict=True)
        if 60 < impact < 130
    ]
    energy, light = np.log10(np.array(close)).T
    assert len(close) > 20
    assert np.corrcoef(energy, light)[0, 1] > 0.85


def test_distance_from_the_source_grows_with_impact(offset_gammas):
    rows = []
    for event in offset_gammas:
        for image, impact in zip(event.images, event.impact_m, strict=True):
            found, _ = hillas(image)
            if found is not None:
                distance = np.hypot(found.x.to_value("m") - 0.149, found.y.to_value("m"))
                rows.append((impact, distance))
    assert np.corrcoef(np.array(rows).T)[0, 1] > 0.7


def test_both_telescopes_see_one_shower(offset_gammas):
    pairs = [event for event in offset_gammas if len(event.tel_ids) == 2]
    assert len(pairs) > 0.3 * len(offset_gammas)
    assert all(event.tel_ids == [21, 22] for event in pairs)
    light = np.log([[image.true.sum() for image in event.images] for event in pairs])
    assert np.corrcoef(light.T)[0, 1] > 0.6


def test_protons_are_wider_and_more_broken_than_gammas():
    """Width of 2-neighbour cleaned images above 80 p.e.; islands of images above 5 p.e."""
    widths, islands = {}, {}
    for particle in ("gamma", "proton"):
        events = thrown(particle=particle, n_showers=256, energy_min_tev=3, viewcone_deg=2, seed=6)
        images = [image for event in events for image in event.images]
        found = [hillas(image)[0] for image in images]
        widths[particle] = np.median([h.width.to_value("m") for h in found if h is not None])
        islands[particle] = np.mean([broken(image) for image in images])
    assert 1.05 < widths["proton"] / widths["gamma"] < 2.3
    assert islands["proton"] > 1.5 * islands["gamma"]


def broken(image) -> bool:
    """Whether cleaning at 6 and 3 p.e. leaves more than one island of two pixels or more."""
    mask = tailcuts_clean(GEOMETRY, image.charge, 6, 3, min_number_picture_neighbors=1)
    n_islands, labels = number_of_islands(GEOMETRY, mask)
    return n_islands > 1 and np.sum(np.bincount(labels)[1:] > 1) > 1


def test_proton_truth_is_sensible():
    events = thrown(particle="proton", n_showers=128, energy_min_tev=5, viewcone_deg=2, seed=7)
    x_max = np.array([event.truth.x_max for event in events])
    height = np.array([event.truth.h_first_int for event in events])
    assert 300 < np.median(x_max) < 650
    assert 10_000 < np.median(height) < 30_000

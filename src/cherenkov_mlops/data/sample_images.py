"""Some images of each class, from faint to bright, for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Row
from ctapipe.instrument import TelescopeDescription
from ctapipe.io import read_table

from cherenkov_mlops.data.dl1_file import digest_instrument, open_hdf5
from cherenkov_mlops.data.examples import MAX_PIXELS, describe_pixels, rounded
from cherenkov_mlops.data.file_look import Candidate
from cherenkov_mlops.data.paths import IMAGES, telescope_node
from cherenkov_mlops.data.telescopes import known_array

#: Brightness of an image -> share of the images that are fainter.
BRIGHTNESS = {"faint": 0.1, "typical": 0.5, "bright": 0.9, "very bright": 0.995}

EMPTY = ("without a signal", "without a signal (2)")


def pick_candidates(candidates: Sequence[Candidate]) -> dict[str, Candidate]:
    """Pick for each kind the image of the intensity nearest to its share; none twice.

    Where the cleaning leaves nothing of any image, the first few stand for all.
    """
    if all(candidate.intensity <= 0 for candidate in candidates):
        return dict(zip(EMPTY, candidates, strict=False))
    candidates = [candidate for candidate in candidates if candidate.intensity > 0]
    intensities = np.log10([candidate.intensity for candidate in candidates])
    picked: dict[str, int] = {}
    for kind, share in BRIGHTNESS.items():
        order = np.argsort(np.abs(intensities - np.quantile(intensities, share)), kind="stable")
        free = [int(place) for place in order if place not in picked.values()]
        if free:
            picked[kind] = free[0]
    return {kind: candidates[place] for kind, place in picked.items()}


def read_sample_images(
    candidates: Mapping[str, Sequence[Candidate]], focal_length: str
) -> dict[str, Any]:
    """Read some images of each class, in JSON's own types; at most `MAX_PIXELS` pixels in all.

    Parameters
    ----------
    candidates : mapping of str to sequence of Candidate
        Label -> images to choose from.
    focal_length : str
        Kind of focal length in the files, ``EFFECTIVE`` or ``EQUIVALENT``.

    Returns
    -------
    dict
        ``cameras`` as in ``examples.read_example_images``; ``events``: one dict an image with
        ``label``, ``kind``, identifiers, ``true_energy`` [TeV], ``intensity`` [p.e.], ``camera``
        and ``image`` [p.e.].
    """
    picked = {label: pick_candidates(group) for label, group in candidates.items()}
    cameras: dict[str, Any] = {}
    # Kind by kind: where space is short, each class keeps its first images.
    wanted = [
        (label, kind, picked[label][kind])
        for kind in (*BRIGHTNESS, *EMPTY)
        for label in picked
        if kind in picked[label]
    ]
    read: dict[Candidate, tuple[TelescopeDescription, Row]] = {}
    for path in dict.fromkeys(candidate.path for *_, candidate in wanted):
        with open_hdf5(path) as file:
            array = known_array(file, digest_instrument(file), focal_length)
            for candidate in {each for *_, each in wanted if each.path == path}:
                node, row = telescope_node(IMAGES, candidate.telescope), candidate.row
                # ctapipe undoes the scaling under which pixels may be stored.
                (image,) = read_table(file, node, start=row, stop=row + 1)
                read[candidate] = (array.tel[candidate.telescope], image)

    events: list[dict[str, Any]] = []
    n_pixels = 0
    for label, kind, candidate in wanted:
        telescope, row = read[candidate]
        n_pixels += len(row["image"])
        if events and n_pixels > MAX_PIXELS:
            break
        cameras.setdefault(telescope.camera.name, describe_pixels(telescope))
        energy = candidate.energy_tev
        events.append(
            {
                "label": label,
                "kind": kind,
                "camera": telescope.camera.name,
                "obs_id": int(row["obs_id"]),
                "event_id": int(row["event_id"]),
                "tel_id": candidate.telescope,
                "true_energy": float(f"{energy:.4g}") if np.isfinite(energy) else None,
                "intensity": float(f"{candidate.intensity:.4g}"),
                "image": rounded(row["image"], 3),
            }
        )
    return {"cameras": cameras, "events": events}

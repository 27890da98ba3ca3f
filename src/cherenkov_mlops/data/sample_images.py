"""Some images of each class, from faint to bright, for a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ctapipe.io import read_table

from cherenkov_mlops.data.dl1_file import IMAGES
from cherenkov_mlops.data.examples import MAX_PIXELS, describe_pixels, rounded
from cherenkov_mlops.data.telescopes import read_subarray

#: Brightness of an image -> share of the images that are fainter.
BRIGHTNESS = {"faint": 0.1, "typical": 0.5, "bright": 0.9, "very bright": 0.995}

EMPTY = ("without a signal", "without a signal (2)")


@dataclass(frozen=True)
class Candidate:
    """One image that passes the cuts, and where it is.

    Parameters
    ----------
    intensity : float
        Charge after the cleaning [p.e.]; 0 if nothing is left.
    energy_tev : float
        True energy [TeV]; NaN if there is no shower.
    path : Path
        File.
    telescope, row : int
        Telescope, and row in its table of images.
    """

    intensity: float
    energy_tev: float
    path: Path
    telescope: int
    row: int


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
    events: list[dict[str, Any]] = []
    # Kind by kind: where space is short, each class keeps its first images.
    kinds = (*BRIGHTNESS, *EMPTY)
    wanted = [(label, kind) for kind in kinds for label in picked if kind in picked[label]]
    for label, kind in wanted:
        candidate = picked[label][kind]
        node = f"{IMAGES}/tel_{candidate.telescope:03d}"
        # ctapipe undoes the scaling under which pixels may be stored.
        (row,) = read_table(candidate.path, node, start=candidate.row, stop=candidate.row + 1)
        energy = candidate.energy_tev
        event = {
            "obs_id": int(row["obs_id"]),
            "event_id": int(row["event_id"]),
            "tel_id": candidate.telescope,
            "true_energy": float(f"{energy:.4g}") if np.isfinite(energy) else None,
            "intensity": float(f"{candidate.intensity:.4g}"),
            "image": rounded(row["image"], 3),
        }
        n_pixels = sum(len(known["image"]) for known in events)
        if events and n_pixels + len(event["image"]) > MAX_PIXELS:
            break
        telescope = read_subarray(candidate.path, focal_length).tel[candidate.telescope]
        cameras.setdefault(telescope.camera.name, describe_pixels(telescope))
        events.append({"label": label, "kind": kind, "camera": telescope.camera.name, **event})
    return {"cameras": cameras, "events": events}

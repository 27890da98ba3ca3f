"""How many images are left after each cut, by class."""

from collections import defaultdict

import numpy as np
from astropy.table import Table
from dl1_data_handler.reader import TableQualityQuery

ALL_IMAGES = "images in the files"


class CutCounts:
    """Images by label and cut, in the order of the cuts.

    Parameters
    ----------
    criteria : list of (str, str)
        Name and expression of each cut.
    """

    def __init__(self, criteria: list[tuple[str, str]]):
        self._queries = [TableQualityQuery(quality_criteria=[pair]) for pair in criteria]
        self._criteria = [name for name, _ in criteria]
        self._later: list[str] = []
        self._counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, label: str, images: Table) -> np.ndarray:
        """Mask of the images that pass all cuts; they are counted under ``label``."""
        counts = self._counts[label]
        counts[ALL_IMAGES] += len(images)
        mask = np.ones(len(images), dtype=bool)
        for name, query in zip(self._criteria, self._queries, strict=True):
            mask &= np.asarray(query.get_table_mask(images))
            counts[name] += int(mask.sum())
        return mask

    def add_later(self, label: str, name: str, n_images: int) -> None:
        """Count what a cut on something else than image parameters leaves."""
        if name not in self._later:
            self._later.append(name)
        self._counts[label][name] += n_images

    def as_rows(self, labels: list[str]) -> list[dict[str, str | int]]:
        """One row a cut: ``cut`` and the images left, by label."""
        return [
            {"cut": name, **{label: self._counts[label][name] for label in labels}}
            for name in [ALL_IMAGES, *self._criteria, *self._later]
        ]

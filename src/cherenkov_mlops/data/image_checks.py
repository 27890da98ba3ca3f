"""The images of a telescope, read once: whole, in the order of their parameters, not empty."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tables
from ctapipe.core.expression_engine import ExpressionError

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.paths import (
    IMAGE_KEYS,
    IMAGES,
    POINTINGS,
    WAVEFORMS,
    telescope_node,
)
from cherenkov_mlops.data.stored_tables import (
    JoinedColumns,
    StoredTable,
    find_rows,
    repeated_rows,
)
from cherenkov_mlops.errors import DataError, UserError

ROWS_A_PIECE = 1024
#: Large cameras are read in smaller pieces.
BYTES_A_PIECE = 64 * 2**20


@dataclass(frozen=True)
class Checks:
    """Options of a run that decide how its files are looked at; they travel between processes.

    Parameters
    ----------
    criteria : tuple of (str, str)
        Name and expression of each cut.
    cuts_from : str
        Where the cuts stand, for messages.
    lookup : bool
        Images are found by their numbers, not by their row.
    waveforms : bool
        The network sees waveforms.
    least_telescopes : int
        Images that pass the cuts which an event needs to be used.
    focal_length : str
        ``EFFECTIVE`` or ``EQUIVALENT``.
    allowed_tels, allowed_types : tuple, optional
        Telescopes that may be used; None allows all.
    """

    criteria: tuple[tuple[str, str], ...]
    cuts_from: str = field(compare=False, repr=False)
    lookup: bool
    waveforms: bool
    least_telescopes: int
    focal_length: str
    allowed_tels: tuple[int, ...] | None
    allowed_types: tuple[str, ...] | None

    @classmethod
    def of(cls, config: RunConfig) -> "Checks":
        """Take the options of a run."""
        data = config.data
        return cls(
            criteria=tuple((str(name), str(cut)) for name, cut in data.quality_criteria),
            cuts_from=str(config.locate("data.quality_criteria")),
            lookup=data.force_dl1_lookup,
            waveforms=data.reader == "waveforms",
            least_telescopes=least_telescopes(config),
            focal_length=data.focal_length_choice,
            allowed_tels=None if data.allowed_tels is None else tuple(data.allowed_tels),
            allowed_types=None if data.allowed_tel_types is None else tuple(data.allowed_tel_types),
        )


def least_telescopes(config: RunConfig) -> int:
    """Images that pass the cuts which an event needs to be used."""
    return config.data.min_telescopes if config.data.mode == "stereo" else 1


@dataclass(frozen=True)
class ImageRows:
    """The images of one telescope, one row a row of its parameters.

    Parameters
    ----------
    rows : array of int
        Row in the table of images; -1 if there is none.
    passing : array of bool
        Whether all cuts are passed.
    n_passing, n_empty : int
        Images that pass the cuts, and those of them that the cleaning left empty.
    """

    rows: np.ndarray
    passing: np.ndarray
    n_passing: int
    n_empty: int


def evaluate_cuts(checks: Checks, columns: JoinedColumns, names: Sequence[str]) -> np.ndarray:
    """Mask of the images that pass the cuts.

    Raises
    ------
    UserError
        A cut cannot be computed; ``names`` are the columns that the message lists.
    """
    try:
        return columns.passing(checks.criteria)
    except (ExpressionError, SyntaxError) as error:
        raise UserError(
            f"{checks.cuts_from}: data.quality_criteria: a cut cannot be "
            f"computed: {' '.join(str(error).split())}; the image parameters of the files are "
            f"{', '.join(names)}"
        ) from error


def check_images(
    path: Path,
    file: tables.File,
    number: int,
    parameters: StoredTable,
    passing: np.ndarray,
    checks: Checks,
) -> ImageRows:
    """Read all images of a telescope, piece by piece, and refuse what is wrong with them.

    Pixels of images without parameters (nothing was left by the cleaning) are not looked at.

    Raises
    ------
    DataError
        Images and parameters are not in the same order, an image is there twice, an image or its
        peak times are NaN or infinite, or all pixels of an image are 0.
    """
    where = f"{path}: telescope {number}"
    keys = parameters.keys(IMAGE_KEYS)
    found = _read_images(file.get_node(telescope_node(IMAGES, number)))

    again = repeated_rows(found.keys)
    if len(again):
        raise DataError(
            f"{where}, row {again[0]}: expected each image once, got {_name(found.keys[again[0]])} "
            f"again ({len(again)} such rows); merge only files of different runs"
        )
    known = file.get_node(telescope_node(POINTINGS, number)).col("obs_id")
    if len(unknown := np.setdiff1d(keys[:, 0], known)):
        raise DataError(
            f"{where}: expected a pointing in all runs with images, got none for obs_id "
            f"{unknown[0]}; make the file again with ctapipe-process"
        )
    if checks.lookup:
        images = StoredTable(file, telescope_node(IMAGES, number), columns=IMAGE_KEYS)
        rows = find_rows(parameters, images, IMAGE_KEYS)
    else:
        rows = np.arange(len(keys))
        differing = np.flatnonzero((keys != found.keys).any(axis=1))
        if len(differing):
            row = int(differing[0])
            raise DataError(
                f"{where}, row {row}: expected the image of {_name(keys[row])}, to which the "
                f"parameters in this row belong, got that of {_name(found.keys[row])} "
                f"({len(differing)} such rows); write data.force_dl1_lookup: true, or make the "
                "file again"
            )

    # A cut may keep only images with parameters; all of them if their intensity is not known.
    usable = rows >= 0
    if "hillas_intensity" in parameters.names:
        usable &= np.asarray(parameters["hillas_intensity"]) > 0
    problems = [("NaN", name, flags) for name, flags in found.is_finite.items()]
    for what, column, is_good in [*problems, ("all-zero", "image", found.has_light)]:
        bad = np.sort(rows[usable][~is_good[rows[usable]]])
        if len(bad):
            raise DataError(
                f"{where}, row {bad[0]}: expected finite pixel values that are not all 0, got a "
                f"{what} {column} ({len(bad)} such rows); make the file again"
            )

    if checks.waveforms:
        node = telescope_node(WAVEFORMS, number)
        if node not in file:
            raise DataError(
                f"{where}: expected waveforms in {node}, got none; process the simulation with "
                "--DataWriter.write_r1_waveforms=True, or write data.reader: images"
            )
        if len(file.get_node(node)) != len(keys) and not checks.lookup:
            raise DataError(
                f"{where}: expected as many waveforms as parameters, got "
                f"{len(file.get_node(node))} and {len(keys)}; write data.force_dl1_lookup: true, "
                "or make the file again"
            )
    kept = passing & (rows >= 0)
    n_empty = int((kept & ~found.has_mask[rows]).sum()) if len(found.has_mask) else 0
    return ImageRows(rows, passing, int(kept.sum()), n_empty)


@dataclass
class _Found:
    """What the pass over the images of one telescope saw, one row an image."""

    keys: np.ndarray
    is_finite: dict[str, np.ndarray]
    has_light: np.ndarray
    has_mask: np.ndarray


def _read_images(table: tables.Table) -> _Found:
    n_images, names = len(table), table.colnames
    found = _Found(
        keys=np.empty((n_images, len(IMAGE_KEYS)), dtype=np.int64),
        is_finite={
            name: np.ones(n_images, dtype=bool) for name in ("image", "peak_time") if name in names
        },
        has_light=np.ones(n_images, dtype=bool),
        has_mask=np.ones(n_images, dtype=bool),
    )
    n_rows = max(1, min(ROWS_A_PIECE, BYTES_A_PIECE // table.rowsize))
    for start in range(0, n_images, n_rows):
        piece, rows = table.read(start, start + n_rows), slice(start, start + n_rows)
        found.keys[rows] = np.stack([piece[name] for name in IMAGE_KEYS], axis=1)
        for name, flags in found.is_finite.items():
            flags[rows] = np.isfinite(piece[name]).all(axis=1)
        found.has_light[rows] = piece["image"].any(axis=1)
        if "image_mask" in names:
            found.has_mask[rows] = piece["image_mask"].any(axis=1)
    return found


def _name(key: np.ndarray) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(IMAGE_KEYS, key, strict=True))

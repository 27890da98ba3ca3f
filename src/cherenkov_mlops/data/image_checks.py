"""The images of a file, read once: whole, in the order of their parameters, not empty."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tables
from ctapipe.core.expression_engine import ExpressionError

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.dl1_file import IMAGES, open_hdf5
from cherenkov_mlops.data.production import POINTING
from cherenkov_mlops.data.stored_columns import (
    IMAGE_KEYS,
    ImageColumns,
    find_rows,
    read_keys,
    repeated_rows,
)
from cherenkov_mlops.errors import DataError, UserError

WAVEFORMS = "/r1/event/telescope"
ROWS_A_PIECE = 1024
#: Large cameras are read in smaller pieces.
BYTES_A_PIECE = 64 * 2**20


@dataclass(frozen=True)
class ImageCounts:
    """Images of a file that pass the cuts, and those of them that the cleaning left empty."""

    n_passing: int = 0
    n_empty: int = 0


@dataclass
class _Found:
    """What the pass over the images of one telescope saw, one row an image."""

    keys: np.ndarray
    is_finite: dict[str, np.ndarray]
    has_light: np.ndarray
    has_mask: np.ndarray


def check_images(path: Path, telescopes: list[int], config: RunConfig) -> ImageCounts:
    """How many images pass the cuts, after checking all images of the telescopes.

    Pixels of images without parameters (nothing was left by the cleaning) are not looked at.

    Parameters
    ----------
    path : Path
        The file.
    telescopes : list of int
        Telescopes whose tables are read, in pieces.
    config : RunConfig
        The run, for its cuts.

    Raises
    ------
    DataError
        Images and parameters are not in the same order, an image is there twice, an image or its
        peak times are NaN or infinite, or all pixels of an image are 0.
    UserError
        A cut cannot be computed.
    """
    n_passing = n_empty = 0
    with open_hdf5(path) as file:
        try:
            for number in telescopes:
                if f"{IMAGES}/tel_{number:03d}" in file:
                    counts = _check_telescope(path, file, number, config)
                    n_passing, n_empty = n_passing + counts.n_passing, n_empty + counts.n_empty
        except (tables.HDF5ExtError, OSError) as error:
            raise DataError(f"{path}: damaged HDF5 file; copy or make it again") from error
    return ImageCounts(n_passing, n_empty)


def _check_telescope(path: Path, file: tables.File, number: int, config: RunConfig) -> ImageCounts:
    columns = ImageColumns(file, number)
    # Before the pixels: a cut that cannot be computed should not take an hour to be found.
    passing = _passing(config, columns)
    table = file.get_node(f"{IMAGES}/tel_{number:03d}")
    keys = read_keys(columns.parameters, IMAGE_KEYS)
    found = _read_images(table)
    where = f"{path}: telescope {number}"
    _refuse_repeated(where, found.keys)
    _refuse_without_pointing(where, file, number, keys)
    rows = _image_rows(where, keys, found.keys, config)
    _refuse_bad_pixels(where, found, rows[_has_parameters(columns) & (rows >= 0)])
    if config.data.reader == "waveforms":
        _check_waveforms(where, file, number, keys, config)
    passing &= rows >= 0
    return ImageCounts(int(passing.sum()), int((passing & ~found.has_mask[rows]).sum()))


def _passing(config: RunConfig, columns: ImageColumns) -> np.ndarray:
    try:
        return columns.passing(config.data.quality_criteria)
    except (ExpressionError, SyntaxError) as error:
        raise UserError(
            f"{config.locate('data.quality_criteria')}: data.quality_criteria: a cut cannot be "
            f"computed: {' '.join(str(error).split())}; the image parameters of the files are "
            f"{', '.join(columns.parameters.colnames)}"
        ) from error


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


def _refuse_repeated(where: str, keys: np.ndarray) -> None:
    again = repeated_rows(keys)
    if len(again):
        raise DataError(
            f"{where}, row {again[0]}: expected each image once, got {_name(keys[again[0]])} again "
            f"({len(again)} such rows); merge only files of different runs"
        )


def _refuse_without_pointing(where: str, file: tables.File, number: int, keys: np.ndarray) -> None:
    known = file.get_node(f"{POINTING}/tel_{number:03d}").col("obs_id")
    if len(unknown := np.setdiff1d(keys[:, 0], known)):
        raise DataError(
            f"{where}: expected a pointing in all runs with images, got none for obs_id "
            f"{unknown[0]}; make the file again with ctapipe-process"
        )


def _image_rows(where: str, keys: np.ndarray, images: np.ndarray, config: RunConfig) -> np.ndarray:
    """Row of the image of each row of the parameters, -1 if there is none."""
    if config.data.force_dl1_lookup:
        return find_rows(keys, images)
    differing = np.flatnonzero((keys != images).any(axis=1))
    if len(differing):
        row = int(differing[0])
        raise DataError(
            f"{where}, row {row}: expected the image of {_name(keys[row])}, to which the "
            f"parameters in this row belong, got that of {_name(images[row])} ({len(differing)} "
            "such rows); write data.force_dl1_lookup: true, or make the file again"
        )
    return np.arange(len(keys))


def _has_parameters(columns: ImageColumns) -> np.ndarray:
    """Mask of the images that a cut may keep; all of them if their intensity is not known."""
    if "hillas_intensity" not in columns.parameters.colnames:
        return np.ones(len(columns), dtype=bool)
    return np.asarray(columns["hillas_intensity"]) > 0


def _refuse_bad_pixels(where: str, found: _Found, rows: np.ndarray) -> None:
    problems = [("NaN", name, flags) for name, flags in found.is_finite.items()]
    for what, column, is_good in [*problems, ("all-zero", "image", found.has_light)]:
        bad = np.sort(rows[~is_good[rows]])
        if len(bad):
            raise DataError(
                f"{where}, row {bad[0]}: expected finite pixel values that are not all 0, got a "
                f"{what} {column} ({len(bad)} such rows); make the file again"
            )


def _check_waveforms(
    where: str, file: tables.File, number: int, keys: np.ndarray, config: RunConfig
) -> None:
    node = f"{WAVEFORMS}/tel_{number:03d}"
    if node not in file:
        raise DataError(
            f"{where}: expected waveforms in {node}, got none; process the simulation with "
            "--DataWriter.write_r1_waveforms=True, or write data.reader: images"
        )
    waveforms = file.get_node(node)
    if len(waveforms) != len(keys) and not config.data.force_dl1_lookup:
        raise DataError(
            f"{where}: expected as many waveforms as parameters, got {len(waveforms)} and "
            f"{len(keys)}; write data.force_dl1_lookup: true, or make the file again"
        )


def _name(key: np.ndarray) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(IMAGE_KEYS, key, strict=True))

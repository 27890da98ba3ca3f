"""What a network sees of each pixel, read from DL1 images or R1 waveforms."""

from typing import Any, Protocol

import numpy as np
import tables
from ctapipe.io.tableio import FixedPointColumnTransform
from dl1_data_handler.reader import lock

from cherenkov_mlops.data.paths import IMAGES, WAVEFORMS, telescope_node
from cherenkov_mlops.errors import DataError

KEEP_IN_MEMORY_BYTES = 500_000_000


class PixelReader(Protocol):
    """Reads pixel values of one kind from open files."""

    n_channels: int

    def describe(self) -> dict[str, Any]:
        """Options that decide the values, for the key of a cache."""

    def read(self, file: tables.File, tel_id: int, rows: np.ndarray) -> np.ndarray:
        """Values, shape (n_rows, n_pixels, n_channels), float32, rows in the order given."""


class ImagePixels:
    """Reads channels of DL1 images.

    Parameters
    ----------
    channels : list of str
        CTLearn's names of the channels.
    room_bytes : int
        Room for tables that are kept in memory.
    """

    def __init__(self, channels: list[str], room_bytes: int = KEEP_IN_MEMORY_BYTES):
        self.channels = list(channels)
        self.n_channels = len(self.channels)
        self._memory = TableMemory(room_bytes)

    def describe(self) -> dict[str, Any]:
        """Kind and channels."""
        return {"kind": "images", "channels": self.channels}

    def read(self, file: tables.File, tel_id: int, rows: np.ndarray) -> np.ndarray:
        """Values, shape (n_rows, n_pixels, n_channels), float32.

        Raises
        ------
        DataError
            A value is NaN or infinite; file, telescope and row are named.
        """
        node = telescope_node(IMAGES, tel_id)
        with lock:
            table = file.get_node(node)
            stored = self._memory.read_rows(table, rows)
            image = decode_column(table, "image", stored["image"])
            peak_time = decode_column(table, "peak_time", stored["peak_time"])
        values = np.empty((*image.shape, self.n_channels), dtype=np.float32)
        for number, channel in enumerate(self.channels):
            values[..., number] = channel_pixels(channel, image, peak_time, stored["image_mask"])
        check_finite(values, rows, f"{file.filename}: {node}")
        return values


class WaveformPixels:
    """Reads R1 waveforms; the samples of a sequence are the channels.

    Parameters
    ----------
    length : int
        Samples of the sequence.
    position : {"center", "maximum"}
        Where it lies: in the middle of the readout window, or around the brightest sample.
    masked : bool
        Set pixels outside the cleaning mask of the DL1 image to 0.
    room_bytes : int
        Room for tables that are kept in memory.
    """

    def __init__(
        self,
        length: int,
        position: str,
        masked: bool = False,
        room_bytes: int = KEEP_IN_MEMORY_BYTES,
    ):
        self.n_channels = length
        self.position, self.masked = position, masked
        self._memory = TableMemory(room_bytes)

    def describe(self) -> dict[str, Any]:
        """Kind, length, position and cleaning."""
        return {
            "kind": "waveforms",
            "sequence_length": self.n_channels,
            "sequence_position": self.position,
            "masked": self.masked,
        }

    def read(self, file: tables.File, tel_id: int, rows: np.ndarray) -> np.ndarray:
        """Values, shape (n_rows, n_pixels, length), float32; ``DataError`` if any is not finite."""
        node = telescope_node(WAVEFORMS, tel_id)
        with lock:
            table = file.get_node(node)
            stored = self._memory.read_rows(table, rows)
            waveforms = decode_column(table, "waveform", stored["waveform"]).astype(np.float32)
            if self.masked:
                images = file.get_node(telescope_node(IMAGES, tel_id))
                mask = self._memory.read_rows(images, rows)["image_mask"]
        gains = stored["selected_gain_channel"] if waveforms.shape[1] > 1 else None
        waveforms = _select_gain(waveforms, gains)
        if self.masked:
            waveforms = waveforms * mask[..., None]
        values = crop_waveforms(waveforms, self.n_channels, self.position)
        check_finite(values, rows, f"{file.filename}: {node}")
        return values


def _select_gain(waveforms: np.ndarray, gains: np.ndarray | None) -> np.ndarray:
    """Waveforms of the gain that was chosen for each pixel, shape (n, n_pixels, n_samples)."""
    if gains is None:
        return waveforms[:, 0]
    return np.where(gains[..., None] == 0, waveforms[:, 0], waveforms[:, 1])


def check_finite(values: np.ndarray, rows: np.ndarray, place: str) -> None:
    """Pass silently if no value is NaN or infinite, else raise ``DataError`` with the row."""
    # The sum is finite only if all values are, and much faster than a look at each of them.
    if np.isfinite(values.sum(dtype=np.float64)):
        return
    finite = np.isfinite(values).all(axis=(1, 2))
    raise DataError(
        f"{place}: row {rows[~finite][0]}: expected finite pixel values, got NaN or "
        f"infinity in {np.count_nonzero(~finite)} of {len(rows)} images read; "
        "make the DL1 file again or cut these events"
    )


def decode_column(table: tables.Table, column: str, stored: np.ndarray) -> np.ndarray:
    """Physical values of a column that ctapipe may have stored as scaled integers.

    Parameters
    ----------
    table : tables.Table
        Table that ``stored`` was read from; its attributes say how the column was packed.
    column : str
        Name of the column.
    stored : np.ndarray
        Values as they are in the file, any shape.
    """
    field = f"CTAFIELD_{table.colnames.index(column)}_TRANSFORM"
    attributes = table._v_attrs
    if f"{field}_SCALE" not in attributes:
        return stored
    # CTLearn's reader takes stored / scale - offset, which is wrong wherever the offset is not 0.
    packing = FixedPointColumnTransform(
        scale=attributes[f"{field}_SCALE"],
        offset=attributes[f"{field}_OFFSET"],
        source_dtype=np.float32,
        target_dtype=stored.dtype,
    )
    return packing.inverse(stored)


def channel_pixels(
    channel: str, image: np.ndarray, peak_time: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Values of one input channel, shape (n_images, n_pixels), float32.

    Parameters
    ----------
    channel : str
        ``image`` or ``peak_time`` with CTLearn's prefixes ``log_``, ``cleaned_``, ``relative_``.
    image : np.ndarray
        Charges in photo-electrons, shape (n_images, n_pixels).
    peak_time : np.ndarray
        Arrival times in ns, same shape.
    mask : np.ndarray
        Pixels that survive the image cleaning, same shape, bool.
    """
    cleaned = "cleaned" in channel
    values = np.array(peak_time if "peak_time" in channel else image, dtype=np.float32)
    if "relative" in channel:
        values -= _mean_of_nonzero(values * mask if cleaned else values)[:, None]
    if cleaned:
        values *= mask
    if "log" in channel:
        np.log10(values, out=values, where=values > 0)
    return values


def _mean_of_nonzero(values: np.ndarray) -> np.ndarray:
    """Mean over the non-zero pixels of each row; 0 where there is none (CTLearn: NaN)."""
    # Row by row, because the mean of a selection rounds as CTLearn's does only this way.
    rows = (row[row != 0] for row in values)
    return np.array([row.mean() if row.size else 0.0 for row in rows], dtype=np.float32)


def crop_waveforms(waveforms: np.ndarray, length: int, position: str) -> np.ndarray:
    """A sequence of ``length`` samples of each waveform, shape (n, n_pixels, length).

    Parameters
    ----------
    waveforms : np.ndarray
        Shape (n, n_pixels, n_samples).
    length : int
        Samples to keep.
    position : {"center", "maximum"}
        Around the middle of the window, or around the sample with the largest sum over the
        pixels. Near an edge the sequence is moved into the window (CTLearn: cut short).
    """
    n_samples = waveforms.shape[-1]
    if length >= n_samples:
        return waveforms
    if position == "center":
        middle = np.full(len(waveforms), n_samples // 2 - 1)
    else:
        middle = waveforms.sum(axis=1).argmax(axis=1)
    # int() as in CTLearn, for odd lengths.
    first = np.clip((1 + middle - length / 2).astype(int), 0, n_samples - length)
    samples = first[:, None, None] + np.arange(length)
    return np.take_along_axis(waveforms, samples, axis=2)


class TableMemory:
    """Keeps small tables whole; rows of large ones are read from the file each time.

    Parameters
    ----------
    n_bytes : int
        Room for all tables together.
    """

    def __init__(self, n_bytes: int):
        self._bytes_left = n_bytes
        self._kept: dict[tuple[str, str], np.ndarray] = {}

    def read_rows(self, table: tables.Table, rows: np.ndarray) -> np.ndarray:
        """Rows of the table in the order asked for, as they are in the file."""
        key = (table._v_file.filename, table._v_pathname)
        if key not in self._kept:
            n_bytes = len(table) * table.rowsize
            if n_bytes > self._bytes_left:
                return _read_from_file(table, rows)
            self._bytes_left -= n_bytes
            self._kept[key] = table.read()
        return self._kept[key][rows]


def _read_from_file(table: tables.Table, rows: np.ndarray) -> np.ndarray:
    first, last = int(rows.min()), int(rows.max())
    if last - first < 2 * len(rows):
        # Close together: one piece of the file, which PyTables reads fastest.
        return table.read(first, last + 1)[rows - first]
    # In the order of the file: each compressed chunk is opened once.
    order = np.argsort(rows, kind="stable")
    return table.read_coordinates(rows[order])[np.argsort(order)]

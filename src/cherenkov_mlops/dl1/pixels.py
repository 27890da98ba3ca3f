"""What a network sees of each pixel, read from DL1 images or R1 waveforms."""

from typing import Any, Protocol

import numpy as np
import tables
from dl1_data_handler.reader import lock

from cherenkov_mlops.dl1.channels import channel_pixels, crop_waveforms, decode_column
from cherenkov_mlops.dl1.table_memory import TableMemory
from cherenkov_mlops.errors import DataError

KEEP_IN_MEMORY_BYTES = 500_000_000
IMAGES = "/dl1/event/telescope/images"
WAVEFORMS = "/r1/event/telescope"


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


def telescope_node(group: str, tel_id: int) -> str:
    """Path of the table of a telescope below ``group``."""
    return f"{group}/tel_{tel_id:03d}"

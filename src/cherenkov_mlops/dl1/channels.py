"""Input channels of a network from the calibrated pixels of DL1 images."""

import numpy as np
import tables
from ctapipe.io.tableio import FixedPointColumnTransform


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

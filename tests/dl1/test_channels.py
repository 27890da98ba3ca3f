"""Channels of the network from stored pixels, also where the file holds scaled integers."""

import numpy as np
import pytest
import tables
from ctapipe.core import run_tool
from ctapipe.io import read_table
from ctapipe.tools.process import ProcessorTool

from cherenkov_mlops.commands import simulate
from cherenkov_mlops.dl1.pixels import ImagePixels, channel_pixels

IMAGE = np.array([[0.5, 20.0, -1.0], [3.0, 4.0, 100.0]], dtype=np.float32)
PEAK = np.array([[5.0, 7.0, 9.0], [1.0, 2.0, 6.0]], dtype=np.float32)
MASK = np.array([[False, True, False], [True, False, True]])


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("image", IMAGE),
        ("cleaned_image", [[0, 20, 0], [3, 0, 100]]),
        ("log_image", [[np.log10(0.5), np.log10(20), -1], [np.log10(3), np.log10(4), 2]]),
        ("log_cleaned_image", [[0, np.log10(20), 0], [np.log10(3), 0, 2]]),
        ("peak_time", PEAK),
        ("cleaned_peak_time", [[0, 7, 0], [1, 0, 6]]),
        ("relative_peak_time", [[-2, 0, 2], [-2, -1, 3]]),
        ("cleaned_relative_peak_time", [[0, 0, 0], [-2.5, 0, 2.5]]),
    ],
)
def test_values_by_hand(channel, expected):
    values = channel_pixels(channel, IMAGE, PEAK, MASK)
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6)
    assert values.dtype == np.float32


def test_an_empty_mask_gives_zeros():
    empty = np.zeros_like(MASK)
    values = channel_pixels("cleaned_relative_peak_time", IMAGE, PEAK, empty)
    assert np.array_equal(values, np.zeros_like(IMAGE))


def test_inputs_are_left_alone():
    before = PEAK.copy()
    channel_pixels("cleaned_relative_peak_time", IMAGE, PEAK, MASK)
    assert np.array_equal(PEAK, before)


def test_scaled_integers_are_decoded_as_ctapipe_does(tmp_path):
    # ctapipe's event source reads a file of simulations only with its true images.
    source = simulate.run(tmp_path / "source.dl1.h5", n_images=40, seed=9, true_images=True)
    packed = tmp_path / "packed.dl1.h5"
    pack(source, packed)
    node = "/dl1/event/telescope/images/tel_021"
    expected = read_table(packed, node)["image"]
    with tables.open_file(packed) as file:
        pixels = ImagePixels(["image"]).read(file, 21, np.arange(len(expected)))
    np.testing.assert_allclose(pixels[..., 0], expected, rtol=1e-6)


def pack(source, target):
    """Write the file again with images as 16-bit integers, by ctapipe's own process tool."""
    arguments = [
        f"--input={source}",
        f"--output={target}",
        "--write-images",
        "--write-parameters",
        "--DataWriter.transform_image=True",
        "--DataWriter.image_offset=200",
        "--DataWriter.image_scale=10",
        "--DataWriter.image_dtype=uint16",
    ]
    run_tool(ProcessorTool(), arguments, cwd=target.parent, raises=True)

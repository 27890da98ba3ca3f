"""Copies of pixels: built once, whole or not at all, known by their content."""

import os
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cherenkov_mlops.commands import cache as cache_stage
from cherenkov_mlops.dl1 import staging
from cherenkov_mlops.dl1.pixel_cache import Content, PixelCache, find_entries, remove_entry
from cherenkov_mlops.errors import DataError

PIXELS = np.random.default_rng(0).normal(size=(10, 7, 2)).astype(np.float32)


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "gamma.dl1.h5"
    path.write_bytes(b"first content")
    return path


@pytest.fixture
def cache(tmp_path) -> PixelCache:
    return PixelCache(tmp_path / "cache")


def describe(cache, source, **changes) -> Content:
    """What an entry for the source would hold."""
    content = Content(
        sha256=cache.digest(source),
        images="all",
        shape=PIXELS.shape,
        dtype=cache.dtype,
        pixels={"kind": "images", "channels": ["image", "peak_time"]},
        versions={"ctapipe": "1"},
    )
    return replace(content, **changes)


class Pieces:
    """Gives the pixels in pieces of 4 images, and counts how often it was asked."""

    def __init__(self, pixels=PIXELS):
        self.pixels = pixels
        self.n_asked = 0

    def __call__(self):
        self.n_asked += 1
        for first in range(0, len(self.pixels), 4):
            yield self.pixels[first : first + 4]


def test_built_once_and_bit_identical(cache, source):
    pieces = Pieces()
    for _ in range(3):
        pixels = cache.open(describe(cache, source), source, pieces)
        assert np.array_equal(pixels, PIXELS) and pixels.dtype == np.float32
    assert pieces.n_asked == 1
    assert isinstance(pixels, np.memmap) and not pixels.flags.writeable


@pytest.mark.parametrize(
    "change",
    [
        {"images": "others"},
        {"pixels": {"kind": "images", "channels": ["image"]}},
        {"versions": {"ctapipe": "2"}},
        {"sha256": "another"},
    ],
)
def test_another_content_is_another_entry(cache, source, change):
    content = describe(cache, source)
    assert replace(content, **change).key != content.key


@pytest.mark.parametrize("left_bytes", [0, 60, 200, -1])
def test_a_truncated_entry_is_built_again(cache, source, caplog, left_bytes):
    content, pieces = describe(cache, source), Pieces()
    cache.open(content, source, pieces)
    data = cache.entry(content).data
    os.truncate(data, data.stat().st_size - 1 if left_bytes < 0 else left_bytes)
    caplog.clear()
    caplog.set_level("WARNING")
    caplog.set_level("WARNING", "cherenkov_mlops")
    assert np.array_equal(cache.open(content, source, pieces), PIXELS)
    assert pieces.n_asked == 2
    assert len([r for r in caplog.records if "is damaged; it is built again" in r.message]) == 1


def test_a_changed_input_is_noticed(cache, source, caplog):
    caplog.set_level("INFO")
    old = describe(cache, source)
    cache.open(old, source, Pieces())
    # As long as before: only the content and the time tell.
    source.write_bytes(b"other content")
    os.utime(source, ns=(1, 1))
    later = PixelCache(cache.folder)
    changed = later.open(describe(later, source), source, Pieces(PIXELS + 1))
    assert np.array_equal(changed, PIXELS + 1)
    assert not cache.entry(old).path.exists()
    lines = [r.message for r in caplog.records if "changed since its pixels were read" in r.message]
    assert len(lines) == 1 and str(source) in lines[0]


def test_an_unchanged_input_is_not_read_for_its_digest(cache, source, monkeypatch):
    cache.open(describe(cache, source), source, Pieces())
    known = cache.digest(source)
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("was read"))
    assert PixelCache(cache.folder).digest(source) == known


def test_a_failed_build_leaves_nothing(cache, source):
    def fail():
        yield PIXELS[:4]
        raise DataError("NaN")

    with pytest.raises(DataError):
        cache.open(describe(cache, source), source, fail)
    assert not find_entries(cache.folder)
    assert not list(cache.folder.glob("*.tmp"))


def test_what_a_kill_left_is_removed(cache, source):
    content = describe(cache, source)
    left = cache.folder / f".{content.key}.123456.tmp"
    left.mkdir(parents=True)
    (left / "pixels.npy").write_bytes(b"half")
    assert np.array_equal(cache.open(content, source, Pieces()), PIXELS)
    assert not left.exists()


def test_half_precision(tmp_path, source):
    cache = PixelCache(tmp_path / "half", "float16")
    pixels = cache.open(describe(cache, source), source, Pieces())
    assert pixels.dtype == np.float16
    np.testing.assert_allclose(pixels, PIXELS, rtol=1e-3)
    large = Pieces(PIXELS * 1e6)
    with pytest.raises(DataError, match="data.cache_dtype: float32"):
        cache.open(describe(cache, source, images="large"), source, large)


JOB = """
import sys, time
import numpy as np
from pathlib import Path
from cherenkov_mlops.dl1 import staging
from cherenkov_mlops.dl1.pixel_cache import Content, PixelCache

n_built = 0
def pieces():
    global n_built
    n_built += 1
    for first in range(5):
        time.sleep(0.4)
        yield np.full((1, 7, 2), first, dtype=np.float32)

source, cache = Path(sys.argv[1]), PixelCache(Path(sys.argv[2]))
content = Content(cache.digest(source), "all", (5, 7, 2), "float32", {}, {})
pixels = cache.open(content, source, pieces)
print(n_built, np.array_equal(pixels[:, 0, 0], np.arange(5)))
"""


def test_two_jobs_at_once_build_once(tmp_path, source):
    command = [sys.executable, "-c", JOB, str(source), str(tmp_path / "cache")]
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = sorted(job.communicate(timeout=60)[0].split() for job in jobs)
    assert outputs == [["0", "True"], ["1", "True"]]


class TestCommands:
    """What ``cache list`` and ``cache clear`` find."""

    def test_entries_below_any_folder(self, cache, source, tmp_path):
        cache.open(describe(cache, source), source, Pieces())
        (row,) = cache_stage.describe_entries(tmp_path)
        assert row["file"] == str(source)
        assert (row["pixels"], row["shape"]) == ("image, peak_time", "10 x 7 x 2")

    def test_a_damaged_entry_is_listed(self, cache, source, tmp_path):
        content = describe(cache, source)
        cache.open(content, source, Pieces())
        cache.entry(content).description.write_text("{")
        (row,) = cache_stage.describe_entries(tmp_path)
        assert row["file"] == "damaged"

    def test_clear_keeps_what_was_used_of_late(self, cache, source, tmp_path):
        content = describe(cache, source)
        pixels = cache.open(content, source, Pieces())
        assert cache_stage.clear(tmp_path, older_than_days=1) == 0
        assert cache_stage.clear(tmp_path) > PIXELS.nbytes
        assert not list(cache.folder.iterdir())
        # Who has it open can go on.
        assert np.array_equal(pixels, PIXELS)

    def test_no_such_folder(self, tmp_path):
        with pytest.raises(DataError, match="expected a folder"):
            cache_stage.describe_entries(tmp_path / "nowhere")

    def test_removing_twice_is_no_error(self, cache, source):
        content = describe(cache, source)
        cache.open(content, source, Pieces())
        remove_entry(cache.entry(content))
        remove_entry(cache.entry(content))


@pytest.fixture
def staged(cache, tmp_path) -> PixelCache:
    """The same cache, read from another disk."""
    return PixelCache(cache.folder, local=tmp_path / "fast" / "pixels")


def test_pixels_are_read_from_the_disk_of_the_node(staged, source, caplog):
    content = describe(staged, source)
    with caplog.at_level("INFO"):
        for _ in range(2):
            pixels = staged.open(content, source, Pieces())
            np.testing.assert_array_equal(pixels, PIXELS)
            assert Path(pixels.filename).is_relative_to(staged.local)
    assert caplog.text.count("copied to") == 1
    assert len(find_entries(staged.folder)) == len(find_entries(staged.local)) == 1
    # Damaged copies are made anew.
    Path(pixels.filename).write_bytes(b"")
    np.testing.assert_array_equal(staged.open(content, source, Pieces()), PIXELS)
    assert not list(staged.local.glob(".*.tmp"))


def test_without_room_or_leave_the_cache_itself_is_read(staged, source, caplog, monkeypatch):
    content = describe(staged, source)
    usage = namedtuple("usage", "free")(free=10)
    with monkeypatch.context() as patch:
        patch.setattr(staging.shutil, "disk_usage", lambda _: usage)
        pixels = staged.open(content, source, Pieces())
    assert Path(pixels.filename).is_relative_to(staged.folder)
    assert "1e-08 GB free" in caplog.text and f"reading from {staged.folder}" in caplog.text
    caplog.clear()
    blocked = PixelCache(staged.folder, local=source / "below a file")
    pixels = blocked.open(content, source, Pieces())
    assert Path(pixels.filename).is_relative_to(staged.folder)
    assert "Not a directory" in caplog.text


def test_a_variable_that_is_not_set_means_no_such_disk(cache, source, caplog):
    here = PixelCache(cache.folder, local=Path("/configs/$SLURM_TMPDIR/pixels"))
    pixels = here.open(describe(here, source), source, Pieces())
    np.testing.assert_array_equal(pixels, PIXELS)
    assert "SLURM_TMPDIR" not in caplog.text
    assert not Path("/configs").exists()

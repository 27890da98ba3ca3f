"""One look at each file: how often it is opened and hashed, and what is remembered of it."""

import hashlib
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tables
from astropy.table import Table

from cherenkov_mlops.data import file_look
from cherenkov_mlops.data.checks import with_findings
from cherenkov_mlops.data.description import describe_data
from cherenkov_mlops.data.image_checks import Checks
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.data.paths import EVENT_KEYS
from cherenkov_mlops.data.stored_tables import StoredTable, find_rows
from cherenkov_mlops.dl1.preparation import prepare_data
from cherenkov_mlops.errors import DataError
from simulated import load_study, study

SHOWERS = "/simulation/event/subarray/shower"


@pytest.fixture
def memory(tmp_path, monkeypatch) -> Path:
    """Folder of looks, empty."""
    monkeypatch.setattr(file_look, "_cache_folder", lambda: tmp_path / "checked")
    return tmp_path / "checked"


@pytest.fixture
def files(dl1_files, tmp_path) -> dict[str, Path]:
    """Copies of the simulated files."""
    return {
        name: Path(shutil.copyfile(path, tmp_path / Path(path).name))
        for name, path in dl1_files.items()
    }


@pytest.fixture
def counts(monkeypatch) -> dict[str, Counter]:
    """Openings (HDF5 and plain) and hashes by name of the file."""
    found = {"opens": Counter(), "hashes": Counter()}
    open_file, open_path, digest = tables.open_file, Path.open, hashlib.file_digest

    def note_hdf5(name, *arguments, **options):
        found["opens"][str(name)] += 1
        return open_file(name, *arguments, **options)

    def note_plain(self, *arguments, **options):
        found["opens"][str(self)] += 1
        return open_path(self, *arguments, **options)

    def note_hash(stream, *arguments, **options):
        found["hashes"][str(stream.name)] += 1
        return digest(stream, *arguments, **options)

    monkeypatch.setattr(tables, "open_file", note_hdf5)
    monkeypatch.setattr(Path, "open", note_plain)
    monkeypatch.setattr(hashlib, "file_digest", note_hash)
    return found


def prepare(config):
    """All that ``prepare`` does with files."""
    inputs = inspect_inputs(config, "train")
    manifest = with_findings(config, prepare_data(config, inputs, (0.1, 1.0, 100.0)))
    return describe_data(config, inputs, manifest.classes, manifest.counts, manifest.findings)


@pytest.mark.parametrize("task", ["type", "skydirection"])
def test_prepare_opens_a_file_at_most_five_times_and_hashes_it_once(
    files, memory, counts, tmp_path, task
):
    config, _ = load_study(tmp_path, study(task, files))
    used = [str(files["gamma_train"])] + ([str(files["proton_train"])] if task == "type" else [])
    first = prepare(config)
    for path in used:
        assert 2 <= counts["opens"][path] <= 5
        assert counts["hashes"][path] == 1
    counts["opens"].clear()
    again = prepare(config)
    for path in used:
        # For the reader, and for the images of the page.
        assert counts["opens"][path] <= 2
        assert counts["hashes"][path] == 1
    first["run"].pop("created"), again["run"].pop("created")
    assert first == again


def test_a_changed_file_is_looked_at_again(files, memory, counts, tmp_path):
    config, _ = load_study(tmp_path, study("energy", files))
    before = inspect_inputs(config, "train")
    path = files["gamma_train"]
    size = path.stat().st_size
    with tables.open_file(path, "r+") as file:
        rows = file.get_node(SHOWERS).read()
        rows["true_energy"] *= 2
        file.get_node(SHOWERS).modify_rows(0, rows=rows)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert path.stat().st_size == size
    after = inspect_inputs(config, "train")
    assert after.all_files()[0].sha256 != before.all_files()[0].sha256
    low, high = before.all_files()[0].energy_range_tev
    assert after.all_files()[0].energy_range_tev == pytest.approx((2 * low, 2 * high))


def test_other_options_are_another_look(files, memory, counts, tmp_path):
    config, _ = load_study(tmp_path, study("energy", files))
    cut = {"quality_criteria": [["bright", "hillas_intensity > 200"]]}
    other, _ = load_study(tmp_path, study("energy", files, data=cut))
    passing = [
        inspect_inputs(each, "train").all_files()[0].n_passing for each in (config, other, config)
    ]
    assert passing[0] == passing[2] > passing[1] > 0
    assert counts["hashes"][str(files["gamma_train"])] == 2


def test_what_is_wrong_is_not_remembered(files, memory, tmp_path):
    with tables.open_file(files["gamma_train"], "r+") as file:
        table = file.get_node("/dl1/event/telescope/images/tel_021")
        rows = table.read()
        rows["image"] = np.nan
        table.modify_rows(0, rows=rows)
    config, _ = load_study(tmp_path, study("energy", files))
    for _ in range(2):
        with pytest.raises(DataError, match="NaN image"):
            inspect_inputs(config, "train")
    assert not list(memory.glob("*.npz"))


def test_a_damaged_memory_is_no_obstacle(files, memory, tmp_path):
    config, _ = load_study(tmp_path, study("energy", files))
    before = inspect_inputs(config, "train")
    (stored,) = memory.glob("*.npz")
    stored.write_bytes(stored.read_bytes()[:100])
    assert inspect_inputs(config, "train") == before


def test_keys_are_remembered_whatever_the_options(files, memory, counts, tmp_path):
    config, _ = load_study(tmp_path, study("energy", files))
    inputs = inspect_inputs(config, "train")
    counts["opens"].clear()
    keys = file_look.recall_keys(files["gamma_train"])
    assert not counts["opens"][str(files["gamma_train"])]
    assert np.array_equal(keys, inputs.shower_keys())
    shutil.rmtree(memory)
    assert np.array_equal(file_look.recall_keys(files["gamma_train"]), keys)


def test_only_so_many_are_remembered(files, memory, monkeypatch, tmp_path):
    monkeypatch.setattr(file_look, "MOST_REMEMBERED", 1)
    config, _ = load_study(tmp_path, study("type", files))
    inspect_inputs(config, "train")
    assert len(list(memory.glob("*.npz"))) == 1


def test_many_files_are_shared_between_processes(files, memory, monkeypatch, tmp_path):
    config, _ = load_study(tmp_path, study("type", files))
    paths, checks = [files["gamma_train"], files["proton_train"]], Checks.of(config)
    alone = file_look.look_at_files(paths, checks)
    shutil.rmtree(memory)
    monkeypatch.setattr(file_look, "MANY_FILES", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    together = file_look.look_at_files(paths, checks)
    assert list(together) == paths
    for path in paths:
        assert together[path].file == alone[path].file
        assert np.array_equal(together[path].kept, alone[path].kept)
        assert together[path].candidates == alone[path].candidates
    files["proton_train"].write_bytes(b"no HDF5")
    with pytest.raises(DataError, match="expected an HDF5 file"):
        file_look.look_at_files([paths[0], paths[1]], checks, folder=tmp_path / "other")


class TestFindRows:
    """Rows with the same keys, and what is said of repeated ones."""

    @pytest.fixture
    def table(self, tmp_path):
        with tables.open_file(tmp_path / "t.h5", "w") as file:
            rows = [(2, 7, 1.0), (1, 7, 2.0), (1, 5, 3.0), (1, 7, 2.0)]
            dtype = [("obs_id", "i4"), ("event_id", "i8"), ("x", "f8")]
            file.create_table("/", "all", obj=np.array(rows, dtype))
            file.create_table("/", "unique", obj=np.array(rows[:3], dtype))
            file.create_table("/", "empty", obj=np.array(rows[:0], dtype))
            yield lambda name: StoredTable(file, f"/{name}")

    def test_in_any_order_and_where_there_is_none(self, table):
        wanted = Table({"obs_id": [1, 1, 2, 3, 2], "event_id": [5, 7, 7, 7, 5]})
        assert find_rows(wanted, table("unique"), EVENT_KEYS).tolist() == [2, 1, 0, -1, -1]
        assert find_rows(wanted, table("empty"), EVENT_KEYS).tolist() == [-1] * 5
        assert find_rows(wanted[:0], table("unique"), EVENT_KEYS).tolist() == []

    def test_repeated_rows_count_once_if_they_agree(self, table):
        wanted = Table({"obs_id": [1], "event_id": [7]})
        with pytest.raises(DataError, match="once, got {'obs_id': 1, 'event_id': 7} again"):
            find_rows(wanted, table("all"), EVENT_KEYS)
        assert find_rows(wanted, table("all"), EVENT_KEYS, agree_on=("x",)).tolist() == [1]
        assert find_rows(wanted, table("all"), EVENT_KEYS, agree_on=()).tolist() == [1]
        with pytest.raises(DataError, match="each obs_id once"):
            find_rows(wanted, table("all"), ("obs_id",), agree_on=("x",))
        assert find_rows(wanted, table("all"), ("obs_id",), agree_on=()).tolist() == [1]

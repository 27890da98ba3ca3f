"""Many files into a few: every row once, in order, or a refusal that names the files."""

import logging
import resource
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import tables
from ctapipe.io import HDF5Merger, TableLoader
from ctapipe.utils.arrays import recarray_drop_columns

from cherenkov_mlops.commands import merge, simulate
from cherenkov_mlops.conversion.merging import share_out
from cherenkov_mlops.data.dl1_file import inspect_dl1
from cherenkov_mlops.errors import DataError, UserError
from hdf5_content import change_column, differing_tables, read_tables, renumber, same_rows

INSTRUMENT, STATISTICS = "/configuration/instrument", "/dl1/service/image_statistics"
TRIGGER = "/dl1/event/subarray/trigger"


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> list[Path]:
    """Four small files of one array, of different sizes."""
    folder = tmp_path_factory.mktemp("parts")
    sizes = (10, 30, 12, 28)
    return [
        simulate.run(folder / f"part{n}.dl1.h5", n_images=size, seed=n, obs_id=n)
        for n, size in enumerate(sizes, start=1)
    ]


@pytest.fixture
def copies(parts, tmp_path) -> list[Path]:
    """Copies that a test may change."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    return [Path(shutil.copy(path, folder)) for path in parts]


def names(paths) -> list[str]:
    return [str(path) for path in paths]


def test_every_row_is_there_in_order(parts, tmp_path):
    order = [parts[2], parts[0], parts[3], parts[1]]
    (output,) = merge.run(names(order), tmp_path)
    assert output.name == "merged.dl1.h5"
    merged, inputs = read_tables(output), [read_tables(path) for path in order]
    assert set(merged) == set().union(*inputs)
    for name, rows in merged.items():
        held = [each[name] for each in inputs if name in each]
        if name.startswith(INSTRUMENT):
            assert same_rows(rows, held[0])
        elif name == STATISTICS:
            assert (rows["counts"] == sum(each["counts"] for each in held)).all()
        else:
            # All bits: images go through unchanged.
            assert rows.tobytes() == np.concatenate(held).tobytes(), name


def test_ctapipe_reads_it(parts, tmp_path):
    (output,) = merge.run(names(parts), tmp_path)
    inspect_dl1(output)
    with TableLoader(output) as loader:
        assert len(loader.read_subarray_events()) == count_events(parts)
        assert len(loader.read_telescope_events(dl1_images=True)) >= 80


def count_events(paths) -> int:
    return sum(len(read_tables(path)[TRIGGER]) for path in paths)


def test_several_outputs_are_balanced(parts, tmp_path):
    outputs = merge.run(names(parts), tmp_path, into=2, name="gamma")
    assert [path.name for path in outputs] == ["gamma_1.dl1.h5", "gamma_2.dl1.h5"]
    assert count_events(outputs) == count_events(parts)
    runs = [np.unique(read_tables(path)[TRIGGER]["obs_id"]).tolist() for path in outputs]
    assert runs == [[1, 2], [3, 4]]


@pytest.mark.parametrize("n_groups", [1, 2, 3, 5, 8])
def test_shares_are_whole_and_fair(n_groups):
    weights = [5, 0, 0, 9, 1, 1, 30, 2]
    slices = share_out(weights, n_groups)
    assert len(slices) == n_groups
    assert [number for part in slices for number in range(8)[part]] == list(range(8))
    assert all(len(weights[part]) for part in slices)
    many = share_out([1] * 1000, n_groups)
    sizes = [part.stop - part.start for part in many]
    assert max(sizes) - min(sizes) <= 1


def test_what_is_merged_is_not_merged_again(copies, tmp_path, caplog):
    outputs = merge.run(names(copies), tmp_path, into=2)
    times = [path.stat().st_mtime_ns for path in outputs]
    with caplog.at_level(logging.INFO, "cherenkov_mlops"):
        merge.run(names(copies), tmp_path, into=2)
    assert caplog.text.count("is merged already") == 2
    assert [path.stat().st_mtime_ns for path in outputs] == times
    outputs[1].unlink()
    merge.run(names(copies), tmp_path, into=2)
    assert outputs[0].stat().st_mtime_ns == times[0]
    assert outputs[1].exists()
    with pytest.raises(UserError, match="merged of other files.*--force.*--name"):
        merge.run(names(copies[:2]), tmp_path, into=2)
    merge.run(names(copies[:2]), tmp_path, into=2, force=True)


def test_inputs_are_removed_when_all_is_counted(copies, tmp_path, caplog):
    n_events = count_events(copies)
    with caplog.at_level(logging.INFO, "cherenkov_mlops"):
        outputs = merge.run(names(copies), tmp_path, into=2, remove_inputs=True)
    assert "4 inputs removed" in caplog.text
    assert not any(path.exists() for path in copies)
    assert count_events(outputs) == n_events


class Forgetful(HDF5Merger):
    """Loses the last row of one table."""

    def close(self):
        table = self.h5file.root.dl1.event.telescope.images._f_list_nodes()[0]
        table.remove_row(table.nrows - 1)
        super().close()


def test_a_lost_row_is_found(copies, tmp_path, monkeypatch):
    monkeypatch.setattr("cherenkov_mlops.conversion.merging.HDF5Merger", Forgetful)
    with pytest.raises(DataError, match=r"images/tel_\d+: expected \d+ rows.*nothing was written"):
        merge.run(names(copies), tmp_path / "out", remove_inputs=True)
    assert all(path.exists() for path in copies)
    assert [path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".h5"] == []


def add_table(path: Path, name: str, value: float) -> None:
    with tables.open_file(path, "a") as file:
        rows = np.array([(value,)], dtype=[("height", "<f8")])
        file.create_table("/simulation/service", name, obj=rows, createparents=True)


def test_what_ctapipe_does_not_merge_is_kept_if_all_agree(copies, tmp_path):
    for path in copies:
        add_table(path, "atmosphere_density_profile", 1.5)
    (output,) = merge.run(names(copies), tmp_path, remove_inputs=True)
    profile = read_tables(output)["/simulation/service/atmosphere_density_profile"]
    assert profile["height"].tolist() == [1.5]


def test_what_cannot_be_merged_keeps_the_inputs(copies, tmp_path, caplog):
    for number, path in enumerate(copies):
        add_table(path, "extra", number)
    with pytest.raises(DataError, match="inputs are kept: /simulation/service/extra"):
        merge.run(names(copies), tmp_path, remove_inputs=True)
    assert "extra is not in the outputs" in caplog.text
    assert all(path.exists() for path in copies)
    assert (tmp_path / "merged.dl1.h5").exists()


def test_events_that_are_given_twice(copies, tmp_path):
    twin = Path(shutil.copy(copies[0], tmp_path / "twin.dl1.h5"))
    with pytest.raises(DataError) as refused:
        merge.run(names([*copies, twin]), tmp_path)
    assert f"{twin}: run (obs_id) 1 is in {copies[0]} too, " in str(refused.value)
    assert not (tmp_path / "merged.dl1.h5").exists()


def test_equal_runs_of_other_events_are_refused_too(copies, tmp_path):
    renumber(copies[1], 1)
    with tables.open_file(copies[1], "r+") as file:
        change_column(file.get_node(TRIGGER), "event_id", lambda numbers: numbers + 10_000_000)
    with pytest.raises(DataError, match="0 events have the same numbers; give each run once"):
        merge.run(names(copies), tmp_path)


def test_other_arrays_are_refused_by_telescope(copies, tmp_path):
    with tables.open_file(copies[2], "r+") as file:
        layout = file.root.configuration.instrument.subarray.layout
        number = int(layout[1]["tel_id"])
        change_column(layout, "pos_x", lambda x: x + 3 * (layout.col("tel_id") == number))
    with pytest.raises(DataError) as refused:
        merge.run(names(copies), tmp_path)
    assert str(refused.value) == (
        f"{copies[2]}: expected the array of {copies[0]}: telescopes {number} differ; "
        "merge files of one array"
    )


def test_gammas_and_protons_of_different_arrays(real_data, tmp_path):
    files = [real_data / "dl1" / f"{name}_mst_flashcam.dl1.h5" for name in ("gamma", "proton")]
    with pytest.raises(DataError, match=r"telescopes 20, 21, .* are missing; telescopes 1, 2, "):
        merge.run(names(files), tmp_path)


def test_a_missing_table_is_named(copies, tmp_path):
    with tables.open_file(copies[1], "r+") as file:
        file.remove_node("/dl1/event/telescope/images", recursive=True)
    with pytest.raises(DataError) as refused:
        merge.run(names(copies), tmp_path)
    expected = f"{copies[1]}: has no /dl1/event/telescope/images, which {copies[0]} has"
    assert str(refused.value).startswith(expected)


def test_other_columns_are_refused(copies, tmp_path):
    with tables.open_file(copies[1], "r+") as file:
        rows = file.get_node(TRIGGER).read()
        file.remove_node(TRIGGER)
        fewer = recarray_drop_columns(rows, ["event_type"])
        file.create_table("/dl1/event/subarray", "trigger", obj=fewer)
    with pytest.raises(DataError, match="trigger has other columns than in"):
        merge.run(names(copies), tmp_path)


def test_another_data_model_is_refused(copies, tmp_path):
    with h5py.File(copies[1], "r+") as file:
        file.attrs["CTA PRODUCT DATA MODEL VERSION"] = "v7.2.0"
    with pytest.raises(DataError, match=r"expected 'CTA PRODUCT DATA MODEL VERSION'.*v7\.2\.0"):
        merge.run(names(copies), tmp_path)


@pytest.mark.parametrize("position", [0, 2])
def test_a_file_without_events_counts_for_its_showers(copies, tmp_path, position):
    with tables.open_file(copies[position], "r+") as file:
        for group in ("/dl1", "/simulation/event"):
            file.remove_node(group, recursive=True)
    (output,) = merge.run(names(copies), tmp_path)
    merged = read_tables(output)
    assert merged["/configuration/simulation/run"]["obs_id"].tolist() == [1, 2, 3, 4]
    assert set(merged[TRIGGER]["obs_id"]) == {1, 2, 3, 4} - {position + 1}


@pytest.mark.parametrize("into", [0, 5])
def test_the_number_of_outputs_is_possible(parts, tmp_path, into):
    with pytest.raises(UserError, match=r"--into: expected 1 to 4"):
        merge.run(names(parts), tmp_path, into=into)


def test_an_input_is_no_output(copies):
    with pytest.raises(UserError, match="is an input and an output; write another --name"):
        merge.run(names(copies), copies[0].parent, name="part1")


def test_files_that_are_no_data(parts, tmp_path):
    bad = tmp_path / "bad.h5"
    bad.write_text("no data")
    with pytest.raises(DataError, match="bad.h5: expected an HDF5 file"):
        merge.run(names([*parts, bad]), tmp_path)
    with tables.open_file(bad, "w") as file:
        file.create_group("/", "dl1")
    with pytest.raises(DataError, match="bad.h5: expected a file of ctapipe"):
        merge.run(names([*parts, bad]), tmp_path)


def test_many_files_need_few_open_files(parts, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(40):
        renumber(Path(shutil.copy(parts[0], folder / f"run{number:02}.dl1.h5")), 100 + number)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    n_open = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + 12, hard))
    try:
        (output,) = merge.run([str(folder)], tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(read_tables(output)[TRIGGER]) == 40 * count_events(parts[:1])


def test_one_file_stays_what_it_is(parts, tmp_path):
    (output,) = merge.run(names(parts[:1]), tmp_path)
    assert differing_tables(output, parts[0]) == []

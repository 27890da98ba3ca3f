"""Files without waveforms: what stays is bit-identical, and all readers take it."""

import logging
from pathlib import Path

import h5py
import pytest
import tables
from ctapipe.io import EventSource, TableLoader
from dl1_data_handler.reader import DLImageReader

from cherenkov_mlops.commands import merge, simulate, slim
from cherenkov_mlops.conversion import processing
from cherenkov_mlops.conversion.options import Conversion, ConvertOptions
from cherenkov_mlops.conversion.slimming import SlimOptions, slim_file
from cherenkov_mlops.data.dl1_file import inspect_dl1
from cherenkov_mlops.errors import DataError, UserError
from hdf5_content import read_tables, same_rows

TRUTH, MONITORING = "/simulation/event/telescope/", "/dl1/monitoring/"
SIMTEL = {
    "gamma_sst1m_prod4": "simtel.zst",
    "gamma_mst_flashcam": "simtel.gz",
    "proton_mst_flashcam": "simtel.zst",
}


@pytest.fixture(scope="module")
def fat(tmp_path_factory) -> Path:
    """A simulated file with true images, a table of DL2 and one of monitoring."""
    path = tmp_path_factory.mktemp("fat") / "fat.dl1.h5"
    simulate.run(path, n_images=60, seed=3, true_images=True)
    with tables.open_file(path, "a") as file:
        trigger = file.root.dl1.event.subarray.trigger
        for group in ("/dl2/event/subarray/energy", f"{MONITORING}telescope/muon_throughput"):
            folder, _, name = group.rpartition("/")
            trigger.copy(file.create_group(folder, name, createparents=True), "table")
        trigger.copy(
            file.create_group(f"{MONITORING}telescope", "pointing", createparents=True), "tel_001"
        )
        file.root.dl1._v_attrs["remark"] = "kept"
        file.create_array("/configuration", "numbers", [1.5, 2.5])
    return path


@pytest.fixture(scope="module", params=SIMTEL)
def waveforms(request, real_data, tmp_path_factory) -> Path:
    """A real file with R1 waveforms."""
    source = real_data / "simtel" / f"{request.param}.{SIMTEL[request.param]}"
    output = tmp_path_factory.mktemp("r1") / f"{request.param}.dl1.h5"
    options = ConvertOptions(waveforms=True, focal_length="EQUIVALENT")
    processing.convert_file(Conversion(source, output, options.make_config()))
    return output


def run(path: Path, folder: Path, **options) -> Path:
    """The slim file."""
    return slim.run([str(path)], folder, SlimOptions(**options))[0]


def read_attributes(path: Path) -> dict[str, dict]:
    """Node -> its attributes, but for those that say what PyTables reads of the type."""
    with tables.open_file(path) as file:
        return {
            node._v_pathname: {
                name: node._v_attrs[name]
                for name in node._v_attrs._v_attrnames
                if not name.startswith("FIELD_")
            }
            for node in file.walk_nodes("/")
        }


def test_what_stays_is_bit_identical(fat, tmp_path):
    before, after = read_tables(fat), read_tables(run(fat, tmp_path))
    dropped = set(before) - set(after)
    assert all(same_rows(rows, before[name]) for name, rows in after.items())
    assert f"{MONITORING}telescope/pointing/tel_001" in after
    assert {name.split("/")[1] for name in after} == {"configuration", "dl1", "simulation"}
    tops = (TRUTH, MONITORING, "/dl2/")
    assert {top for top in tops for name in dropped if name.startswith(top)} == set(tops)
    assert all(name.startswith(tops) for name in dropped)


def test_what_effective_areas_need_stays(fat, tmp_path):
    after = read_tables(run(fat, tmp_path))
    for name in ("/simulation/event/subarray/shower", "/configuration/simulation/run"):
        assert len(after[name])
    assert "/simulation/service/shower_distribution" in after


def test_attributes_stay(fat, tmp_path):
    before, after = read_attributes(fat), read_attributes(run(fat, tmp_path))
    new = {"CTA PRODUCT ID", "CTA PRODUCT CREATION TIME", "CTA ACTIVITY NAME"}
    changed = {
        name
        for node, attributes in after.items()
        for name, value in attributes.items()
        if str(before[node].get(name)) != str(value)
    }
    assert changed <= new | {"CTA PRODUCT DATA LEVELS", "NROWS", "FILTERS"}
    lost = {(node, name) for node in after for name in set(before[node]) - set(after[node])}
    assert lost == set()
    assert after["/dl1"]["remark"] == "kept"
    assert after["/"]["CTA ACTIVITY NAME"] == "cherenkov-mlops slim"
    assert after["/"]["CTA PRODUCT DATA LEVELS"].startswith("DL1")
    assert after["/"]["CTA PRODUCT ID"] != before["/"]["CTA PRODUCT ID"]


def test_arrays_stay(fat, tmp_path):
    with tables.open_file(run(fat, tmp_path)) as file:
        assert file.root.configuration.numbers.read() == [1.5, 2.5]


def test_the_truth_of_telescopes_can_stay(fat, tmp_path):
    before, after = read_tables(fat), read_tables(run(fat, tmp_path, telescope_truth=True))
    truth = {name for name in before if name.startswith(TRUTH)}
    assert truth
    assert all(same_rows(after[name], before[name]) for name in truth)


@pytest.mark.parametrize(("codec", "library"), [("lz4", "blosc:lz4"), ("zlib", "zlib")])
def test_the_compression_can_be_chosen(fat, tmp_path, codec, library):
    with tables.open_file(run(fat, tmp_path, codec=codec, level=3)) as file:
        filters = file.root.dl1.event.subarray.trigger.filters
    assert (filters.complib, filters.complevel, filters.fletcher32) == (library, 3, True)


def test_no_compression(fat, tmp_path):
    with tables.open_file(run(fat, tmp_path, level=0)) as file:
        assert file.root.dl1.event.subarray.trigger.filters.complevel == 0


def test_it_is_readable_with_hdf5_alone(fat, tmp_path):
    with h5py.File(run(fat, tmp_path, codec="zlib")) as file:
        assert len(file["dl1/event/subarray/trigger"][:]) > 0


def test_ctapipe_reads_it(fat, tmp_path):
    path = run(fat, tmp_path)
    inspect_dl1(path)
    with TableLoader(fat) as whole, TableLoader(path) as loader:
        expected = whole.read_telescope_events(dl1_images=True, dl2=False)
        events = loader.read_telescope_events(dl1_images=True, dl2=False)
    assert len(events) == len(expected) >= 60
    assert (events["image"][0] == expected["image"][0]).all()
    lost = set(expected.colnames) - set(events.colnames)
    assert all(name.startswith(("true_", "impact")) for name in lost), lost
    assert {"true_energy", "true_core_x", "true_alt"} <= set(events.colnames)
    assert merge.run([str(path)], tmp_path / "merged")


def test_event_sources_of_ctapipe_need_the_truth(fat, tmp_path):
    """`ctapipe-process` on DL1 files reads the truth of each telescope, without asking for it."""
    with EventSource(run(fat, tmp_path, telescope_truth=True)) as source:
        assert sum(len(event.dl1.tel) for event in source) >= 60


def test_ctlearn_reads_it(fat, tmp_path):
    batches = []
    for path in (fat, run(fat, tmp_path)):
        reader = DLImageReader(input_url_signal=[path])
        batch = reader.generate_mono_batch(list(range(20)))
        batches.append(batch["features"])
    assert (batches[0] == batches[1]).all()


def test_waveforms_were_most_of_the_file(waveforms, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "cherenkov_mlops"):
        path = run(waveforms, tmp_path)
    assert path.stat().st_size <= 0.15 * waveforms.stat().st_size
    assert f"{path}: " in caplog.text
    assert "% saved; without truth of single telescopes" in caplog.text
    before, after = read_tables(waveforms), read_tables(path)
    assert all(same_rows(rows, before[name]) for name, rows in after.items())
    assert not any(name.startswith("/r1") for name in after)
    with TableLoader(path, focal_length_choice="EQUIVALENT") as loader:
        assert len(loader.read_subarray_events()) == len(after["/dl1/event/subarray/trigger"])


def test_slim_files_are_not_made_again(fat, tmp_path, caplog):
    path = run(fat, tmp_path)
    made = path.stat().st_mtime_ns
    with caplog.at_level(logging.INFO, "cherenkov_mlops"):
        run(fat, tmp_path)
    assert "1 of 1 files are slim already" in caplog.text
    with pytest.raises(UserError, match="level: 5 -> 9.*--force"):
        run(fat, tmp_path, level=9)
    assert path.stat().st_mtime_ns == made


def test_what_a_kill_left_is_removed(fat, tmp_path):
    remains = [tmp_path / f".fat.dl1{name}.123.tmp.h5" for name in ("", ".copy")]
    others = [tmp_path / ".fat.dl1.h5.lock", tmp_path / ".fat2.dl1.123.tmp.h5"]
    for path in (*remains, *others):
        path.touch()
    run(fat, tmp_path)
    assert not any(path.exists() for path in remains)
    assert all(path.exists() for path in others)


def test_bad_inputs_leave_nothing(fat, tmp_path):
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(fat.read_bytes()[:100_000])
    foreign = tmp_path / "foreign.h5"
    with tables.open_file(foreign, "w") as file:
        file.create_group("/", "dl1")
    for path, reason in ((damaged, "damaged"), (foreign, "expected a DL1 file of ctapipe")):
        with pytest.raises(DataError, match=reason):
            slim_file(path, tmp_path / "out" / "x.h5", SlimOptions())
    assert list((tmp_path / "out").iterdir()) == []


def test_names_must_not_collide(fat, tmp_path):
    with pytest.raises(UserError, match="would be overwritten; write another folder"):
        run(fat, fat.parent)
    twin = tmp_path / fat.name
    twin.write_bytes(fat.read_bytes())
    with pytest.raises(UserError, match="slim them into two folders"):
        slim.run([str(fat), str(twin)], tmp_path / "out", SlimOptions())


@pytest.mark.parametrize("options", [{"level": 10}, {"codec": "gzip"}])
def test_options_out_of_range(options):
    with pytest.raises(UserError, match="expected"):
        SlimOptions(**options)

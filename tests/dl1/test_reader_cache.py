"""Batches from the cache are those of the files, and those of CTLearn, bit by bit."""

import numpy as np
import pytest
import tables
from astropy.table import vstack
from ctapipe.core import run_tool
from ctapipe.io import read_table
from ctapipe.tools.process import ProcessorTool
from ctlearn.core.loader import DLDataLoader
from dl1_data_handler.reader import DLImageReader, DLWaveformReader
from traitlets.config import Config

from cherenkov_mlops.dl1.data_set import allow_open_files
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.pixel_cache import PixelCache, find_entries
from cherenkov_mlops.dl1.pixels import crop_waveforms
from cherenkov_mlops.dl1.reader import CuredImageReader, CuredWaveformReader
from cherenkov_mlops.errors import DataError

CHANNELS = ["image", "cleaned_image", "peak_time"]


def traits(mapper="ShiftingMapper", **options):
    """Configuration of an image reader."""
    return Config({"DLImageReader": {"channels": CHANNELS, "image_mapper_type": mapper, **options}})


def opened(files, **options):
    """Our reader on the files of the signal class."""
    return CuredImageReader(input_url_signal=list(files), config=traits(**options))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return PixelCache(tmp_path_factory.mktemp("pixels"))


@pytest.mark.parametrize("mode", ["mono", "stereo"])
@pytest.mark.parametrize("mapper", ["ShiftingMapper", "BilinearMapper"])
def test_cached_batches_are_those_of_stock(dl1_files, cache, mode, mapper):
    files = [dl1_files["gamma_train"], dl1_files["gamma_test"]]
    options = {"mapper": mapper, "mode": mode}
    stock = DLImageReader(input_url_signal=files, config=traits(**options))
    ours = opened(files, **options)
    ours.use_cache(cache)
    rows = np.random.default_rng(1).permutation(ours.get_n_events())[:50]
    task = "skydirection" if mode == "stereo" else "cameradirection"
    arguments = {"tasks": ["energy", task], "batch_size": 50}
    theirs = DLDataLoader(stock, list(rows), **arguments)[0]
    cured = SampledLoader(ours, rows, **arguments)[0]
    # In stereo CTLearn sorts each batch by event number; ours keeps the order asked for.
    order = np.argsort(rows) if mode == "stereo" else np.arange(50)
    assert np.array_equal(theirs[0], cured[0][order])
    assert theirs[0].dtype == cured[0].dtype
    for name in theirs[1]:
        # CTLearn gives one number an event without an axis of its own.
        shape = (50, -1)
        labels = cured[1][name][order]
        assert np.array_equal(theirs[1][name].reshape(shape), labels.reshape(shape)), name
    ours.close_files()


def test_one_entry_a_file_shared_between_data_sets(dl1_files, tmp_path):
    cache = PixelCache(tmp_path)
    gammas, both = [dl1_files["gamma_train"]], [dl1_files["gamma_train"], dl1_files["proton_train"]]
    for files, n_entries in ((gammas, 1), (both, 2), (gammas, 2)):
        reader = opened(files)
        reader.use_cache(cache)
        assert len(find_entries(tmp_path)) == n_entries
        reader.close_files()


@pytest.mark.parametrize(
    ("change", "n_entries"),
    [
        ({"channels": ["image"]}, 2),
        ({"allowed_tels": [21]}, 2),
        # The mapping to squares is not part of what is kept.
        ({"mapper": "AxialMapper"}, 1),
    ],
)
def test_what_makes_another_entry(dl1_files, tmp_path, change, n_entries):
    cache = PixelCache(tmp_path)
    for options in ({}, change):
        reader = opened([dl1_files["gamma_test"]], **options)
        reader.use_cache(cache)
        reader.close_files()
    assert len(find_entries(tmp_path)) == n_entries


def test_other_cuts_are_another_entry(dl1_files, tmp_path):
    cache = PixelCache(tmp_path)
    for cut in ("hillas_intensity > 50", "hillas_intensity > 100"):
        config = traits()
        config.TableQualityQuery.quality_criteria = [("cut", cut)]
        reader = CuredImageReader(input_url_signal=[dl1_files["gamma_test"]], config=config)
        reader.use_cache(cache)
        assert len(reader.read_features(np.arange(3))) == 3
    assert len(find_entries(tmp_path)) == 2


def test_half_precision_is_close(dl1_files, tmp_path):
    reader = opened([dl1_files["gamma_test"]])
    rows = np.arange(40)
    exact = reader.read_features(rows)
    reader.use_cache(PixelCache(tmp_path, "float16"))
    half = reader.read_features(rows)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, exact, rtol=2e-3, atol=2e-3)
    assert not np.array_equal(half, exact)


def test_nan_is_refused_before_it_is_kept(dl1_files, tmp_path):
    damaged = tmp_path / "damaged.dl1.h5"
    damaged.write_bytes(dl1_files["gamma_test"].read_bytes())
    node = "/dl1/event/telescope/images/tel_021"
    with tables.open_file(damaged, "a") as file:
        row = file.get_node(node).read(5, 6)
        row["image"][0, 7] = np.nan
        file.get_node(node).modify_rows(5, 6, rows=row)
    reader = opened([damaged])
    with pytest.raises(DataError, match="tel_021: row 5: expected finite"):
        reader.use_cache(PixelCache(tmp_path / "cache"))
    assert not find_entries(tmp_path)
    reader.close_files()


def test_opening_finds_what_stock_finds(dl1_files):
    stock = DLImageReader(input_url_signal=[dl1_files["gamma_test"]], config=traits())
    ours = opened([dl1_files["gamma_test"]])
    for name in ("tel_type", "cam_name", "input_shape", "class_weight", "instrument_id"):
        assert getattr(stock, name) == getattr(ours, name), name
    assert list(stock.tel_ids) == list(ours.tel_ids)
    assert stock.dl1b_parameter_colnames == ours.dl1b_parameter_colnames
    for name in ("tel_trigger_table", "subarray_trigger_table"):
        assert len(getattr(stock, name)) == len(getattr(ours, name)) > 0
    assert stock.subarray == ours.subarray
    ours.close_files()


@pytest.mark.parametrize(
    ("limits", "set_to"),
    [((1024, 4096), []), ((256, 4096), [(2 * 100 + 200, 4096)]), ((-1, -1), [])],
)
def test_the_limit_of_open_files_is_raised(monkeypatch, limits, set_to):
    calls = []
    monkeypatch.setattr("resource.getrlimit", lambda _: limits)
    monkeypatch.setattr("resource.setrlimit", lambda _, values: calls.append(values))
    allow_open_files(100)
    assert calls == set_to


def test_too_many_files_are_refused(monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 4096))
    with pytest.raises(DataError, match="the system allows 4096"):
        allow_open_files(3000)


def test_an_event_that_is_twice_in_a_file_is_refused(dl1_files, tmp_path):
    doubled = tmp_path / "doubled.dl1.h5"
    doubled.write_bytes(dl1_files["gamma_test"].read_bytes())
    with tables.open_file(doubled, "a") as file:
        showers = file.root.simulation.event.subarray.shower
        showers.append(showers.read(0, 1))
    with pytest.raises(DataError, match="shower: expected each obs_id, event_id once"):
        opened([doubled])


def test_repeated_pointings_that_agree_are_no_matter(dl1_files, tmp_path):
    merged = tmp_path / "merged.dl1.h5"
    merged.write_bytes(dl1_files["gamma_test"].read_bytes())
    nodes = ["/configuration/telescope/pointing/tel_021", "/configuration/simulation/run"]
    with tables.open_file(merged, "a") as file:
        for node in nodes:
            table = file.get_node(node)
            table.append(table.read())
    reader = opened([merged])
    assert reader.get_n_events() == opened([dl1_files["gamma_test"]]).get_n_events()
    with tables.open_file(dl1_files["gamma_test"]) as file:
        n_images = sum(len(read_table(file, f"{PARAMETERS}/tel_{n:03d}")) for n in (21, 22))
    assert reader.cut_counts.as_rows(["signal"])[0]["signal"] == n_images


PARAMETERS = "/dl1/event/telescope/parameters"


def test_truth_is_that_of_the_files(dl1_files):
    reader = opened([dl1_files["gamma_test"]])
    examples = reader.example_identifiers
    with tables.open_file(dl1_files["gamma_test"]) as file:
        showers = read_table(file, "/simulation/event/subarray/shower")
        rows = vstack([read_table(file, f"{PARAMETERS}/tel_{n:03d}") for n in (21, 22)])
    energy = dict(zip(showers["event_id"], showers["true_energy"], strict=True))
    assert [energy[number] for number in examples["event_id"]] == list(examples["true_energy"])
    assert (rows["hillas_intensity"] > 50).sum() == len(examples)
    reader.close_files()


@pytest.fixture(scope="module")
def waveform_file(real_data, tmp_path_factory):
    """DL1 file of real SST-1M gammas that holds their waveforms."""
    output = tmp_path_factory.mktemp("waveforms") / "waveforms.dl1.h5"
    arguments = [
        f"--input={real_data}/simtel/gamma_sst1m_prod4.simtel.zst",
        f"--output={output}",
        "--write-images",
        "--write-parameters",
        "--DataWriter.write_r1_waveforms=True",
        "--SimTelEventSource.focal_length_choice=EQUIVALENT",
    ]
    run_tool(ProcessorTool(), arguments, cwd=output.parent, raises=True)
    return output


class TestWaveforms:
    """R1 waveforms go the same way, with a sequence of their samples as channels."""

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"sequence_length": 10},
            {"sequence_length": 7, "sequence_position": "center", "cleaning_type": "image"},
            {"sequence_length": 4, "sequence_position": "maximum"},
        ],
    )
    def test_as_stock_reads_them(self, waveform_file, tmp_path, options):
        with tables.open_file(waveform_file) as h5:
            telescopes = [int(t.name[-3:]) for t in h5.iter_nodes("/r1/event/telescope", "Table")]
        config = Config(
            {
                "DLWaveformReader": {
                    "image_mapper_type": "ShiftingMapper",
                    "allowed_tels": telescopes,
                    "focal_length_choice": "EQUIVALENT",
                    **options,
                }
            }
        )
        stock = DLWaveformReader(input_url_signal=[waveform_file], config=config)
        ours = CuredWaveformReader(input_url_signal=[waveform_file], config=config)
        assert stock.input_shape == ours.input_shape
        rows = np.random.default_rng(0).permutation(ours.get_n_events())[:20]
        theirs = stock.generate_mono_batch(list(rows))["features"].data
        assert np.array_equal(theirs, ours.read_features(rows))
        ours.use_cache(PixelCache(tmp_path))
        assert np.array_equal(theirs, ours.read_features(rows))
        ours.close_files()

    def test_a_sequence_too_long_is_refused(self, waveform_file):
        config = Config({"DLWaveformReader": {"sequence_length": 1000}})
        config.DLWaveformReader.focal_length_choice = "EQUIVALENT"
        with pytest.raises(DataError, match="sequence_length: expected 1 to"):
            CuredWaveformReader(input_url_signal=[waveform_file], config=config)

    def test_near_an_edge_the_sequence_is_moved_into_the_window(self):
        waveforms = np.zeros((2, 3, 10), dtype=np.float32)
        waveforms[0, :, 0] = waveforms[1, :, 9] = 5
        cropped = crop_waveforms(waveforms, 4, "maximum")
        assert cropped.shape == (2, 3, 4)
        assert cropped[0, 0].tolist() == [5, 0, 0, 0] and cropped[1, 0].tolist() == [0, 0, 0, 5]

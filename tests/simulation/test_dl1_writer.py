"""Files as ctapipe and dl1_data_handler read them, and what is left when writing fails."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tables
from ctapipe.core import run_tool
from ctapipe.io import EventSource, TableLoader
from ctapipe.tools.merge import MergeTool
from dl1_data_handler.reader import DLImageReader

from cherenkov_mlops.commands.simulate import run
from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.simulation import source as source_module
from cherenkov_mlops.simulation.dl1_writer import write_dl1
from cherenkov_mlops.simulation.instrument import sst1m_pair
from cherenkov_mlops.simulation.options import SimulationOptions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Small files of diffuse gammas and protons."""
    path = tmp_path_factory.mktemp("simulated")
    for particle in ("gamma", "proton"):
        run(
            path / f"{particle}.dl1.h5",
            particle=particle,
            n_images=120,
            energy_min_tev=3,
            viewcone_deg=2.0,
        )
    return path


def test_nothing_but_the_files_is_left(folder):
    assert sorted(p.name for p in folder.iterdir()) == ["gamma.dl1.h5", "proton.dl1.h5"]
    assert not Path("ctapipe-provenance.log").exists()


def test_table_loader_reads_all_of_it(folder):
    with TableLoader(folder / "gamma.dl1.h5") as loader:
        events = loader.read_telescope_events(simulated=True, dl1_images=True, instrument=True)
        run_config = loader.read_simulation_configuration()
        thrown = loader.read_shower_distribution()
        observation = loader.read_observation_information()
    assert len(events) >= 120
    assert events["image"].shape == events["peak_time"].shape == (len(events), 1296)
    assert np.isfinite(events["true_energy"]).all()
    assert np.isfinite(events["true_h_first_int"]).all()
    assert np.isfinite(events["true_x_max"]).all()
    assert (events["true_shower_primary_id"] == 0).all()
    assert events["true_energy"].min() >= 3
    bright = events["hillas_intensity"] > 50
    assert bright.mean() > 0.4
    assert np.isfinite(events["hillas_length"][bright]).all()
    assert run_config["n_showers"][0] >= events["event_id"].max()
    assert run_config["shower_reuse"][0] == 1
    assert run_config["max_viewcone_radius"].quantity[0].to_value("deg") == 2
    assert thrown["n_entries"][0] == run_config["n_showers"][0] == thrown["histogram"][0].sum()
    assert observation["subarray_pointing_lat"].quantity[0].to_value("deg") == pytest.approx(70)


def test_impact_is_ctapipes(folder):
    with TableLoader(folder / "gamma.dl1.h5") as loader:
        events = loader.read_telescope_events(simulated=True)
        positions = loader.subarray.positions
    tel = np.array([positions[i].to_value("m") for i in events["tel_id"]])
    core = np.column_stack([events["true_core_x"], events["true_core_y"], np.zeros(len(events))])
    alt, az = np.radians(events["true_alt"]), np.radians(events["true_az"])
    axis = np.column_stack([np.cos(alt) * np.cos(az), -np.cos(alt) * np.sin(az), np.sin(alt)])
    expected = np.linalg.norm(np.cross(tel - core, axis), axis=1)
    np.testing.assert_allclose(events["true_impact_distance"], expected, atol=0.05)


def test_headers_name_product_and_instrument(folder):
    with tables.open_file(folder / "gamma.dl1.h5") as file:
        attributes = file.root._v_attrs
        assert attributes["CTA PROCESS TYPE"] == "Simulation"
        assert attributes["CTA INSTRUMENT ID"] == "SST1M_pair"
        assert int(attributes["CTA PRODUCT DATA MODEL VERSION"][1]) >= 6
        assert attributes["CTA CONTACT NAME"] == "cherenkov_mlops"
        assert "/configuration/telescope/pointing/tel_021" in file


# dl1_data_handler joins tables whose descriptions of obs_id differ.
@pytest.mark.filterwarnings("ignore:In merged column")
@pytest.mark.parametrize("mode", ["mono", "stereo"])
def test_dl1_data_handler_reads_it(folder, mode):
    reader = DLImageReader(
        input_url_signal=[str(folder / "gamma.dl1.h5")],
        input_url_background=[str(folder / "proton.dl1.h5")],
        mode=mode,
        min_telescopes=2 if mode == "stereo" else 1,
        channels=["cleaned_image", "cleaned_relative_peak_time"],
        image_mapper_type="AxialMapper",
    )
    try:
        make_batch = getattr(reader, f"generate_{mode}_batch")
        batch = make_batch(list(range(8)))
    finally:
        for file in reader.files.values():
            file.close()
    assert np.isfinite(batch["features"]).all()
    assert batch["features"].shape[1:] == (95, 95, 2)


def test_ctapipe_merges_files(folder, tmp_path):
    merged = tmp_path / "merged.h5"
    arguments = [str(folder / f"{p}.dl1.h5") for p in ("gamma", "proton")]
    assert run_tool(MergeTool(), [*arguments, f"--output={merged}"], cwd=tmp_path) == 0
    with tables.open_file(merged) as file:
        assert len(file.root.configuration.simulation.run) == 2
        rows = file.root.dl1.event.telescope.images.tel_021.nrows
    assert rows > 100


def test_equal_options_write_equal_tables(tmp_path):
    files = [tmp_path / name for name in ("one.h5", "two.h5")]
    for path in files:
        write_dl1(path, SimulationOptions(n_images=30, seed=11))
    one, two = (_table_contents(path) for path in files)
    assert one.keys() == two.keys()
    # ctapipe's parameters may differ in the last digits with the place of arrays in memory.
    for name in (name for name in one if "parameters" not in name):
        assert one[name].tobytes() == two[name].tobytes(), name


def _table_contents(path):
    """All tables below ``/dl1`` and ``/simulation``."""
    with tables.open_file(path) as file:
        groups = (file.walk_nodes(group, "Table") for group in ("/dl1", "/simulation"))
        return {table._v_pathname: table.read() for group in groups for table in group}


def test_true_images_on_request(tmp_path):
    path = tmp_path / "true.h5"
    write_dl1(path, SimulationOptions(n_images=20, true_images=True, particle="proton"))
    with tables.open_file(path) as file:
        rows = file.root.simulation.event.telescope.images.tel_021.read()
        assert "/simulation/event/telescope/parameters/tel_021" in file
    np.testing.assert_array_equal(rows["true_image"].sum(axis=1), rows["true_image_sum"])
    with EventSource(path) as source:
        event = next(iter(source))
        assert source.is_simulation
        assert source.subarray == sst1m_pair()
    assert event.simulation.shower.shower_primary_id == 101
    tel_id = event.trigger.tels_with_trigger[0]
    assert event.monitoring.tel[tel_id].pointing.altitude.to_value("deg") == pytest.approx(70)


def test_number_of_showers_is_kept(tmp_path):
    path = tmp_path / "thrown.h5"
    written = write_dl1(path, SimulationOptions(n_showers=70, obs_id=5))
    assert written.n_showers == 70
    assert written.n_images >= written.n_events > 10
    with tables.open_file(path) as file:
        assert file.root.configuration.simulation.run[0]["n_showers"] == 70
        assert file.root.configuration.simulation.run[0]["obs_id"] == 5


def test_another_array_from_a_file(tmp_path):
    array = tmp_path / "array.h5"
    sst1m_pair().select_subarray([22], name="alone").to_hdf(array)
    path = run(tmp_path / "alone.h5", n_images=15, subarray=array)
    with tables.open_file(path) as file:
        assert file.root._v_attrs["CTA INSTRUMENT ID"] == "alone"
        names = file.root.dl1.event.telescope.images._v_children
        assert list(names) == ["tel_022"]


def test_existing_file_is_kept_unless_forced(tmp_path):
    path = tmp_path / "kept.h5"
    path.write_text("mine")
    with pytest.raises(UserError, match="--force"):
        run(path, n_images=10)
    assert path.read_text() == "mine"
    run(path, n_images=10, force=True)
    assert tables.is_hdf5_file(str(path))


def test_no_trigger_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "GIVE_UP_AFTER", 64)
    options = {"energy_min_tev": 0.02, "energy_max_tev": 0.03, "n_images": 5}
    with pytest.raises(DataError, match="none of 64 showers triggered"):
        run(tmp_path / "none.h5", **options)
    assert list(tmp_path.iterdir()) == []


def test_interrupt_leaves_nothing(tmp_path):
    def interrupt(signum, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "never.h5", n_images=10**6)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import json, resource, signal, sys
from pathlib import Path
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.commands.simulate import run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    run(Path(sys.argv[1]), n_images=200)
except DataError as error:
    sys.stdout.write(json.dumps(str(error)))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on file sizes")
def test_full_disk_is_said_and_leaves_nothing(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    output = tmp_path / "out" / "big.h5"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(output)],
        capture_output=True,
        env=environment,
        check=False,
        cwd=tmp_path,
    )
    assert "is the disk full?" in json.loads(done.stdout)
    assert list(output.parent.iterdir()) == []

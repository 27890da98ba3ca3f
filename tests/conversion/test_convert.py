"""Simulation files to DL1: what comes out, what is refused, what a kill leaves."""

import gzip
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tables
from ctapipe.instrument import CameraGeometry, SubarrayDescription
from traitlets.config import Config

from cherenkov_mlops.commands import convert, merge, simulate, slim
from cherenkov_mlops.conversion import converting, lanes, processing
from cherenkov_mlops.conversion.converting import find_shared_runs, refuse_failures
from cherenkov_mlops.conversion.options import (
    Conversion,
    ConvertOptions,
    find_simtel,
    name_outputs,
    read_ctapipe_config,
)
from cherenkov_mlops.conversion.slimming import SlimOptions
from cherenkov_mlops.errors import DataError, UserError
from hdf5_content import differing_tables, read_tables, same_rows
from simtel_files import keep_events, rewrite, with_particle, without_events

EQUIVALENT = ConvertOptions(focal_length="EQUIVALENT")
NAMES = ("gamma_mst_flashcam", "gamma_sst1m_prod4", "proton_mst_flashcam")


@pytest.fixture(scope="module", autouse=True)
def _compiled_once(tmp_path_factory):
    """Worker processes start faster where the libraries are compiled to byte code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        yield


@pytest.fixture(scope="module")
def protons(real_data, tmp_path_factory) -> Path:
    """A simulation of two triggered events."""
    target = tmp_path_factory.mktemp("simtel") / "protons.simtel.gz"
    return rewrite(real_data / "simtel" / "proton_mst_flashcam.simtel.zst", target, keep_events(2))


def convert_here(source: Path, folder: Path, options: ConvertOptions = EQUIVALENT) -> dict:
    """Facts of a file that this process converts."""
    output = folder / f"{source.name.partition('.')[0]}.dl1.h5"
    return processing.convert_file(Conversion(source, output, options.make_config()))["facts"]


@pytest.fixture
def in_this_process(monkeypatch):
    """Lets the stage work without processes of its own, which take seconds to start."""

    def run_each(function, arguments, jobs, prepare):
        for argument in arguments:
            yield lanes.Outcome(argument, function(argument), "")

    monkeypatch.setattr(converting, "run_each", run_each)


@pytest.fixture(scope="module")
def converted(real_data, tmp_path_factory):
    """Folder of the converted real files, with a text file among them, and what was said."""
    folder = tmp_path_factory.mktemp("converted")
    text = folder / "text.simtel.gz"
    text.write_text("no simulation at all")
    here = os.getcwd()
    os.chdir(folder)
    outcomes = convert.run([str(text), str(real_data / "simtel")], folder, EQUIVALENT, jobs=2)
    os.chdir(here)
    return folder, outcomes


@pytest.mark.parametrize("name", NAMES)
def test_the_outputs_equal_those_of_ctapipe(converted, real_data, name):
    folder, _ = converted
    output, reference = folder / f"{name}.dl1.h5", real_data / "dl1" / f"{name}.dl1.h5"
    assert differing_tables(output, reference, tolerance=1e-12) == []


def test_a_failure_does_not_stop_the_others(converted):
    folder, outcomes = converted
    assert [each.output.name for each in outcomes if each.reason] == ["text.dl1.h5"]
    assert [each.source.name for each in outcomes][0] == "text.simtel.gz"
    images = {each.output.name: each.facts.get("images") for each in outcomes}
    assert images["gamma_sst1m_prod4.dl1.h5"] == {"SST_1M_DigiCam": 129}
    assert images["proton_mst_flashcam.dl1.h5"]["MST_MST_FlashCam"] == 30
    with pytest.raises(DataError, match="1 of 4 files"):
        refuse_failures(outcomes, folder / "convert.log")


def test_only_outputs_and_their_record_are_left(converted):
    folder, _ = converted
    visible = {path.name for path in folder.iterdir() if path.name != ".convert.json.lock"}
    assert visible == {"text.simtel.gz", "convert.json", *(f"{name}.dl1.h5" for name in NAMES)}
    record = json.loads((folder / "convert.json").read_text())
    assert record["files"]["text.dl1.h5"]["state"] == "failed"
    entry = record["files"]["gamma_sst1m_prod4.dl1.h5"]
    assert len(entry["inputs"][0]["sha256"]) == len(entry["output"]["sha256"]) == 64
    assert len(entry["facts"]["provenance"]["activity"]) == 36
    assert (folder / "convert.json").stat().st_size < 10_000


def test_a_truncated_file_keeps_the_events_before_the_cut(converted):
    _, outcomes = converted
    notes = {each.output.name: each.facts.get("notes") for each in outcomes}
    assert notes["gamma_mst_flashcam.dl1.h5"][0].startswith("truncated: 6 events read")
    assert notes["gamma_sst1m_prod4.dl1.h5"] == []


def test_different_particles_are_said(converted):
    _, outcomes = converted
    assert "proton: proton_mst_flashcam" in converting.find_mixed_particles(outcomes)


def test_finished_files_are_skipped(converted, real_data, caplog):
    folder, outcomes = converted
    done = [each for each in outcomes if not each.reason]
    before = {each.output: each.output.stat().st_mtime_ns for each in done}
    with caplog.at_level(logging.INFO, "cherenkov_mlops"):
        again = convert.run([str(real_data / "simtel")], folder, EQUIVALENT)
    assert "3 of 3 files are converted already" in caplog.text
    assert not any(each.is_new for each in again)
    assert [each.facts for each in again] == [each.facts for each in done]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_other_options_are_not_applied_unasked(converted, real_data):
    folder, _ = converted
    source = str(real_data / "simtel" / "gamma_sst1m_prod4.simtel.zst")
    with pytest.raises(UserError, match=r"write_dl1_images: True -> False.*--force"):
        convert.run([source], folder, ConvertOptions(images=False, focal_length="EQUIVALENT"))


def test_damaged_outputs_and_changed_inputs_are_redone(protons, tmp_path, in_this_process):
    source, folder = tmp_path / "protons.simtel.gz", tmp_path / "dl1"
    shutil.copyfile(protons, source)
    output = convert.run([str(source)], folder, EQUIVALENT, jobs=1)[0].output
    reference = shutil.copyfile(output, tmp_path / "reference.h5")
    plan = converting.make_plan([source], folder, EQUIVALENT)
    assert (len(plan.todo), len(plan.finished)) == (0, 1)
    os.utime(source)
    os.utime(output)
    assert not converting.make_plan([source], folder, EQUIVALENT).todo
    with output.open("r+b") as stream:
        stream.truncate(1000)
    assert converting.make_plan([source], folder, EQUIVALENT).todo
    shutil.copyfile(reference, output)
    rewrite(protons, source, keep_events(1))
    assert convert.run([str(source)], folder, EQUIVALENT, jobs=1)[0].facts["events"] == 1


def test_a_file_of_somebody_else_is_not_replaced(protons, tmp_path):
    (tmp_path / "protons.dl1.h5").write_text("precious")
    with pytest.raises(UserError, match="did not make it; write --force"):
        convert.run([str(protons)], tmp_path, EQUIVALENT)
    assert (tmp_path / "protons.dl1.h5").read_text() == "precious"


def cut(source: Path, target: Path, size: int) -> Path:
    with source.open("rb") as stream:
        target.write_bytes(stream.read(size))
    return target


def test_an_output_does_not_depend_on_the_files_before(protons, tmp_path):
    convert_here(protons, tmp_path / "first")
    convert_here(protons, tmp_path / "second")
    outputs = [tmp_path / name / "protons.dl1.h5" for name in ("first", "second")]
    assert differing_tables(*outputs) == []


def test_a_cut_in_the_middle_of_an_event(real_data, tmp_path):
    source = real_data / "simtel" / "gamma_sst1m_prod4.simtel.zst"
    facts = convert_here(cut(source, tmp_path / "cut.simtel.zst", 3_000_000), tmp_path)
    assert facts["events"] == 12
    assert facts["notes"] == ["truncated: 12 events read; effective areas come out too small"]
    with tables.open_file(tmp_path / "cut.dl1.h5") as file:
        assert file.root.simulation.event.subarray.shower.nrows == 12


@pytest.mark.parametrize("size", [30_000, 4_000_000])
def test_a_cut_before_the_first_event_is_a_failure(real_data, tmp_path, size):
    source = real_data / "simtel" / "gamma_mst_flashcam.simtel.gz"
    with pytest.raises(DataError, match="truncated before its first event.*copy it again"):
        convert_here(cut(source, tmp_path / "cut.simtel.gz", size), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.simtel.gz"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"some text", "not a simtel file"),
        (gzip.compress(b"some text", mtime=0), "not a simtel file"),
        (b"\x1f\x8b", "cannot be read"),
        (b"\x28\xb5\x2f\xfd\x00", "not a simtel file|cannot be read"),
    ],
)
def test_files_that_are_no_simulation(tmp_path, content, reason):
    source = tmp_path / "bad.simtel.gz"
    source.write_bytes(content)
    with pytest.raises(DataError, match=reason):
        convert_here(source, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.simtel.gz"]


def test_no_triggered_event_is_no_failure(protons, tmp_path):
    # The showers that were thrown count for the effective area.
    source = rewrite(protons, tmp_path / "none.simtel.gz", without_events)
    facts = convert_here(source, tmp_path)
    assert (facts["events"], facts["images"]) == (0, {})
    assert facts["notes"] == ["no event triggered"]
    with tables.open_file(tmp_path / "none.dl1.h5") as file:
        assert file.root.configuration.simulation.run[0]["n_showers"] > 0
        assert file.root.simulation.service.shower_distribution.nrows == 1


def test_muons_are_named(protons, tmp_path):
    source = rewrite(protons, tmp_path / "muons.simtel.gz", with_particle(2))
    facts = convert_here(source, tmp_path)
    assert facts["particles"] == {"muon": 2}
    assert facts["notes"] == ["holds muon showers"]


def test_missing_focal_lengths_say_what_to_write(real_data, tmp_path):
    source = real_data / "simtel" / "gamma_mst_flashcam.simtel.gz"
    with pytest.raises(DataError, match="write --focal-length EQUIVALENT"):
        convert_here(source, tmp_path, ConvertOptions())


def test_what_is_written_can_be_chosen(protons, tmp_path):
    options = ConvertOptions(
        images=False, parameters=True, waveforms=True, focal_length="EQUIVALENT"
    )
    assert convert_here(protons, tmp_path, options)["images"] == {"MST_MST_FlashCam": 5}
    with tables.open_file(tmp_path / "protons.dl1.h5") as file:
        assert "/r1/event/telescope" in file
        assert "/dl1/event/telescope/images" not in file


def test_a_camera_of_40000_pixels(dl1_files, tmp_path):
    """The tool that converts has no limit; a simtel file of such a camera is not to be had."""
    source = simulate.run(
        tmp_path / "large.dl1.h5",
        n_images=4,
        true_images=True,
        subarray=write_large_array(dl1_files, tmp_path),
    )
    config = {
        "EventSource": {"input_url": str(source)},
        "DataWriter": {
            "output_path": str(tmp_path / "again.dl1.h5"),
            "write_dl1_images": True,
            "write_dl1_parameters": True,
        },
        "Processor": {"provenance_log": os.devnull, "force_recompute_dl1": True},
    }
    processing.run_tool(processing.Processor(config=Config(config)))
    with tables.open_file(tmp_path / "again.dl1.h5") as file:
        images = file.root.dl1.event.telescope.images
        assert {table.dtype["image"].shape for table in images} == {(40_000,)}
    (merged,) = merge.run([str(tmp_path / "again.dl1.h5")], tmp_path / "merged")
    (small,) = slim.run([str(merged)], tmp_path / "slim", SlimOptions())
    kept, whole = read_tables(small), read_tables(tmp_path / "again.dl1.h5")
    assert all(same_rows(rows, whole[name]) for name, rows in kept.items())


def write_large_array(dl1_files, folder) -> Path:
    """An array of one telescope whose camera has 200 x 200 pixels."""
    array = SubarrayDescription.read(dl1_files["gamma_train"])
    number = min(array.tel)
    telescope = array.tel[number]
    half = (np.ptp(telescope.camera.geometry.pix_x) / 2).to_value("m")
    geometry = CameraGeometry.make_rectangular(200, 200, (-half, half), (-half, half))
    geometry.name, geometry.frame = "Large", telescope.camera.geometry.frame
    readout = telescope.camera.readout
    readout.name, readout.n_pixels = "Large", 40_000
    telescope.camera.name, telescope.camera.geometry = "Large", geometry
    small = SubarrayDescription(
        "large",
        {number: array.positions[number]},
        {number: telescope},
        array.reference_location,
    )
    path = folder / "large_array.h5"
    small.to_hdf(path)
    return path


def test_equal_runs_are_said(tmp_path):
    outcomes = [
        converting.Converted(Path(name), tmp_path / f"{name}.dl1.h5", {"obs_ids": [7]})
        for name in ("one", "two")
    ]
    assert find_shared_runs(outcomes) == [
        "obs_id 7 is in 2 files: one.dl1.h5, two.dl1.h5; `merge` takes a run only once"
    ]


def test_equal_names_in_two_folders_are_refused_at_once(tmp_path):
    files = [tmp_path / folder / "run1.simtel.gz" for folder in ("a", "b")]
    with pytest.raises(UserError, match="would be written to"):
        name_outputs(files, tmp_path)


def test_inputs_are_files_patterns_and_folders(tmp_path):
    names = ["b.simtel.gz", "a.simtel.zst", "c.simtel", "notes.txt"]
    for name in names:
        (tmp_path / name).touch()
    found = find_simtel([str(tmp_path / "c.simtel"), str(tmp_path), str(tmp_path / "*.gz")])
    assert [path.name for path in found] == ["c.simtel", "a.simtel.zst", "b.simtel.gz"]
    assert [path.name for path in name_outputs(found, Path("o")).values()] == [
        "c.dl1.h5",
        "a.dl1.h5",
        "b.dl1.h5",
    ]
    with pytest.raises(DataError, match="no such file"):
        find_simtel([str(tmp_path / "missing.simtel")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"expected \.simtel\.gz"):
        find_simtel([str(tmp_path / "empty")])


CONFIGS = {
    "c.yaml": "DataWriter:\n  write_r1_waveforms: true\n",
    "c.toml": "[DataWriter]\nwrite_r1_waveforms = true\n",
    "c.json": '{"DataWriter": {"write_r1_waveforms": true}}',
    "c.py": "c = get_config()\nc.DataWriter.write_r1_waveforms = True\n",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_of_ctapipe_in_all_formats(tmp_path, name):
    path = tmp_path / name
    path.write_text(CONFIGS[name])
    assert read_ctapipe_config(path) == {"DataWriter": {"write_r1_waveforms": True}}
    config = ConvertOptions(ctapipe_config=path, images=False).make_config()
    assert config["DataWriter"] == {
        "write_dl1_images": False,
        "write_dl1_parameters": True,
        "write_r1_waveforms": True,
    }


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("c.yaml", "a: [1", "--ctapipe-config"),
        ("c.json", "{", "--ctapipe-config"),
        ("c.yaml", "just words", "expected sections"),
        ("c.txt", "", "expected a name ending in"),
        ("c.py", "c = = 1", "--ctapipe-config"),
    ],
)
def test_configurations_that_cannot_be_read(tmp_path, name, text, reason):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=reason):
        read_ctapipe_config(path)


def test_unknown_options_are_found_before_the_first_file(tmp_path, in_this_process):
    assert processing.check_option_names(
        {
            "DataWriter": {"write_dl1_imges": True, "output_path": "x.h5"},
            "ImageProcesor": {},
            "ProcessorTool": {"ImageProcessor": {"TailcutsImageCleaner": {"boundary_thresh": 5}}},
            "SimTelEventSource": {"allowed_tels": [1]},
        }
    ) == [
        "DataWriter.write_dl1_imges: no such option; did you mean 'write_dl1_images'?",
        "DataWriter.output_path: is set by `convert`; take it out",
        "ImageProcesor: ctapipe-process has no such component; did you mean 'ImageProcessor'?",
        "ProcessorTool.ImageProcessor.TailcutsImageCleaner.boundary_thresh: no such option; "
        "did you mean 'boundary_threshold_pe'?",
    ]
    path = tmp_path / "c.yaml"
    path.write_text("DataWritr: {}")
    source = tmp_path / "a.simtel.gz"
    source.touch()
    with pytest.raises(UserError, match="c.yaml: DataWritr: .*did you mean 'DataWriter'"):
        convert.run([str(source)], tmp_path / "o", ConvertOptions(ctapipe_config=path))
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("value", [0, -1])
def test_jobs_must_be_positive(tmp_path, value):
    with pytest.raises(UserError, match="--jobs"):
        convert.run(["x"], tmp_path, EQUIVALENT, jobs=value)
    with pytest.raises(UserError, match="--focal-length"):
        ConvertOptions(focal_length="LONG")


def test_a_process_that_dies_takes_nobody_along():
    words = ["1 + 1", "__import__('os')._exit(9)", "1 / 0", "2 + 2", "3 + 3"]
    outcomes = {each.argument: each for each in lanes.run_each(eval, words, jobs=2)}
    assert [outcomes[word].result for word in words] == [2, None, None, 4, 6]
    assert "its process died" in outcomes[words[1]].reason
    assert outcomes[words[2]].reason == "ZeroDivisionError: division by zero"


def test_processes_end_with_their_user():
    sleep = "(print(__import__('os').getpid(), flush=True), __import__('time').sleep(60))"
    program = (
        "from cherenkov_mlops.conversion.lanes import run_each\n"
        "if __name__ == '__main__':\n"
        f"    list(run_each(eval, [{sleep!r}], 1))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    number = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not is_alive(number))


def is_alive(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


KILLS = 5


def test_killed_at_any_moment_it_completes_to_the_same_files(protons, tmp_path):
    """SIGKILL and SIGTERM in turn, at random moments."""
    sources = [tmp_path / f"run{number}.simtel.gz" for number in range(3)]
    for source in sources:
        shutil.copyfile(protons, source)
    folder, moments = tmp_path / "dl1", random.Random(4)
    program = "from cherenkov_mlops.cli.app import main\nif __name__ == '__main__':\n    main()"
    command = [sys.executable, "-c", program, "convert", *map(str, sources)]
    command += ["-o", str(folder), "--focal-length", "EQUIVALENT", "--jobs", "2"]
    for number in range(KILLS):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        # Not before the work begins: most of the time goes into the start of the processes.
        wait_for((folder / "convert.json").exists)
        time.sleep(moments.uniform(0, 6))
        process.send_signal(signal.SIGTERM if number % 2 else signal.SIGKILL)
        process.communicate()
        for path in folder.glob("*.dl1.h5"):
            with tables.open_file(path) as file:
                assert file.root.dl1.event.subarray.trigger.nrows == 2
    subprocess.run(command, check=True, capture_output=True)
    hidden = [path.name for path in folder.glob(".*") if path.name != ".convert.json.lock"]
    assert hidden == []
    never_killed = convert.run([str(sources[0])], tmp_path / "reference", EQUIVALENT)[0].output
    for output in (folder / f"run{number}.dl1.h5" for number in range(3)):
        assert differing_tables(output, never_killed) == []

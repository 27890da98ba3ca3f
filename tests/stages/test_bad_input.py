"""Bad input: one clear line, the right exit code, nothing left behind."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tables

import cherenkov_mlops.models.template as template
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.pipeline import chain
from cherenkov_mlops.results import read_results
from cherenkov_mlops.stages import prepare, train
from simulated import load_study, merge, study

IMAGES = "/dl1/event/telescope/images/tel_021"


@pytest.fixture
def broken(dl1_files, tmp_path) -> Callable[[Callable[[tables.File], None]], Path]:
    """Function that gives a copy of a good file, changed by a function of the open file."""

    def spoil(change: Callable[[tables.File], None]) -> Path:
        path = tmp_path / "broken.dl1.h5"
        shutil.copyfile(dl1_files["gamma_train"], path)
        with tables.open_file(path, "r+") as file:
            change(file)
        return path

    return spoil


@pytest.fixture
def refuse(dl1_files, tmp_path) -> Callable[..., str]:
    """Function that prepares an energy run and gives the one line it is refused with."""

    def run(kind: type[UserError], file: Path | str | None = None, **over) -> str:
        content = study("energy", dl1_files, **over)
        if file is not None:
            content["data"]["train"]["signal"] = str(file)
        config, run_dir = load_study(tmp_path, content)
        with pytest.raises(kind) as caught:
            prepare.run(config, run_dir)
        assert type(caught.value).exit_code == kind.exit_code
        assert not run_dir.path.exists()
        message = str(caught.value)
        assert message.count("\n") == 0
        return message

    return run


def set_pixels(file: tables.File, column: str, value: float) -> None:
    """Spoil the first image that passes the cuts."""
    table = file.get_node(IMAGES)
    rows = table.read()
    intensity = file.get_node(IMAGES.replace("images", "parameters")).col("hillas_intensity")
    rows[column][np.flatnonzero(intensity > 100)[0]] = value
    table.modify_rows(0, rows=rows)
    table.flush()


def test_missing_file(refuse, tmp_path):
    message = refuse(DataError, tmp_path / "nowhere.dl1.h5")
    assert "study.yaml:" in message and "nowhere.dl1.h5: no such file" in message


def test_pattern_without_files(refuse, tmp_path):
    assert "no file matches this pattern" in refuse(DataError, tmp_path / "*.dl1.h5")


def test_not_hdf5(refuse, tmp_path):
    path = tmp_path / "text.dl1.h5"
    path.write_text("not HDF5")
    assert "expected an HDF5 file" in refuse(DataError, path)


def test_empty_file(refuse, tmp_path):
    path = tmp_path / "empty.dl1.h5"
    path.touch()
    assert "expected an HDF5 file" in refuse(DataError, path)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.7, 0.99])
def test_truncated(refuse, dl1_files, tmp_path, share):
    path = tmp_path / "cut.dl1.h5"
    content = dl1_files["gamma_train"].read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "truncated" in refuse(DataError, path)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ("/dl1/event/telescope/images", "--write-images"),
        ("/dl1/event/telescope/parameters", "--write-parameters"),
        ("/simulation/event/subarray/shower", "simulated showers"),
        ("/configuration/simulation/run", "settings of the simulation"),
        ("/configuration/instrument", "description of the telescopes"),
        ("/configuration/telescope/pointing/tel_021", "pointing"),
    ],
)
def test_a_table_is_missing(refuse, broken, node, words):
    path = broken(lambda file: file.remove_node(node, recursive=True))
    assert words in refuse(DataError, path)


@pytest.mark.filterwarnings("ignore:object name is not a valid Python identifier")
def test_old_data_format(refuse, broken):
    def age(file):
        file.root._v_attrs["CTA PRODUCT DATA MODEL VERSION"] = "v5.0.0"

    assert "expected data format v6.0.0 or later, got v5.0.0" in refuse(DataError, broken(age))


@pytest.mark.filterwarnings("ignore:object name is not a valid Python identifier")
def test_not_written_by_ctapipe(refuse, broken):
    def forget(file):
        del file.root._v_attrs["CTA INSTRUMENT ID"]

    assert "written by ctapipe" in refuse(DataError, broken(forget))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("image", np.nan, "NaN image"), ("peak_time", np.inf, "NaN peak_time"), ("image", 0, "all-")],
)
def test_bad_pixels(refuse, broken, column, value, words):
    path = broken(lambda file: set_pixels(file, column, value))
    message = refuse(DataError, path)
    assert words in message and "telescope 21, row " in message


def test_images_and_parameters_of_different_length(refuse, broken):
    def shorten(file):
        file.get_node(IMAGES).remove_rows(0, 2)

    assert "as many images as parameters" in refuse(DataError, broken(shorten))


def test_files_of_different_arrays(refuse, broken, dl1_files):
    def move(file):
        layout = file.get_node("/configuration/instrument/subarray/layout")
        rows = layout.read()
        rows["pos_x"][0] += 50
        layout.modify_rows(0, rows=rows)

    files = [str(dl1_files["gamma_test"]), str(broken(move))]
    over = {"data": {"train": {"signal": files}}}
    message = refuse(DataError, **over)
    assert "telescopes 21 differ" in message and "enforce_subarray_equality" in message


def test_a_telescope_without_table_is_used_elsewhere(broken, dl1_files, tmp_path, caplog):
    def drop(file):
        for group in ("images", "parameters"):
            file.remove_node(f"/dl1/event/telescope/{group}/tel_021")

    files = [str(broken(drop)), str(dl1_files["gamma_test"])]
    content = merge(study("energy", dl1_files), {"data": {"train": {"signal": files}}})
    config, run_dir = load_study(tmp_path, content)
    with caplog.at_level("INFO"):
        prepare.run(config, run_dir)
    assert caplog.text.count("has no tables of telescopes 21") == 1
    images = read_manifest(run_dir).counts.telescopes
    assert images["21"] > 0 and images["22"] > 0


def test_a_telescope_that_is_nowhere(refuse):
    assert "none of the allowed" in refuse(DataError, data={"allowed_tels": [7]})


def test_an_unknown_telescope_type(refuse):
    message = refuse(DataError, data={"allowed_tel_types": ["LST_LST_LSTCam"]})
    assert "the files have no telescope type" in message


def test_a_class_without_file(dl1_files, tmp_path):
    content = study("type", dl1_files)
    del content["data"]["train"]["background"]
    with pytest.raises(UserError, match="background"):
        config, run_dir = load_study(tmp_path, content)
        prepare.run(config, run_dir)


def test_the_same_file_twice(refuse, dl1_files, tmp_path):
    twin = tmp_path / "twin.dl1.h5"
    shutil.copyfile(dl1_files["gamma_train"], twin)
    files = [str(dl1_files["gamma_train"]), str(twin)]
    assert "given twice" in refuse(DataError, data={"train": {"signal": files}})


def test_no_event_after_the_cuts(refuse):
    over = {"data": {"quality_criteria": [["bright", "hillas_intensity > 1e9"]]}}
    assert "no event is left after the cuts bright" in refuse(DataError, **over)


def test_a_cut_on_an_unknown_column(refuse):
    over = {"data": {"quality_criteria": [["bright", "hillas_intensty > 100"]]}}
    assert "hillas_intensty" in refuse(UserError, **over)


def test_fewer_events_than_a_batch(dl1_files, tmp_path):
    over = {
        "train": {"batch_size": 4096, "n_epochs": 1},
        "test": {"batch_size": 4096},
        "data": {"quality_criteria": [["bright", "hillas_intensity > 2000"]]},
    }
    config, run_dir = load_study(tmp_path, study("energy", dl1_files, **over))
    chain.run(config, run_dir, until="evaluate")
    assert run_dir.metrics.exists()


def test_options_that_have_a_place_of_their_own(refuse):
    over = {"ctlearn": {"TrainCTLearnModel": {"n_epochs": 3}}}
    assert "write train.n_epochs instead" in refuse(UserError, **over)
    over = {"ctlearn": {"DLDataReader": {"mode": "stereo"}}}
    assert "write data.mode instead" in refuse(UserError, **over)
    over = {"ctlearn": {"QualityQuery": {"quality_criteria": [["x", "hillas_width > 0"]]}}}
    assert "write data.quality_criteria instead" in refuse(UserError, **over)
    over = {"ctlearn": {"TrainCTLearnModel": {"output_dir": "elsewhere"}}}
    assert "the run decides it" in refuse(UserError, **over)


def test_unknown_names_of_ctlearn(refuse):
    over = {"ctlearn": {"DLImageReader": {"chanels": ["image"]}}}
    assert "did you mean 'channels'?" in refuse(UserError, **over)
    over = {"ctlearn": {"DLImagReader": {"channels": ["image"]}}}
    assert "did you mean 'DLImageReader'?" in refuse(UserError, **over)
    over = {"ctlearn": {"TrainCTLearnModel": {"save_onnx": "many"}}}
    assert "ctlearn.TrainCTLearnModel.save_onnx" in refuse(UserError, **over)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"end_step": 10_000}, "pruning.end_step: expected at most "),
        ({"exclude": ["*conv*", "fc*"]}, "pruning: expected at least one layer to prune, got none"),
        ({"layers": {"block1*": 0.5}}, "fits none of "),
    ],
)
def test_pruning_that_cannot_be(dl1_files, tmp_path, options, said):
    content = study("energy", dl1_files, pruning={"final_sparsity": 0.5} | options)
    config, run_dir = load_study(tmp_path, content)
    prepare.run(config, run_dir)
    with pytest.raises(UserError) as caught:
        train.run(config, run_dir)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert not run_dir.train_dir.exists()


def test_a_model_of_another_task(refuse, completed_runs):
    _, other = completed_runs["type"]
    message = refuse(UserError, model=loaded(other.trained_model))
    assert "task 'energy' expects the output {'energy': (n, 1)}, got (n, 2)" in message


def loaded(path: Path) -> dict:
    unused = {"architecture": None, "attention_mechanism": None, "head_layers": None}
    return {"type": "loaded", "load_model_from": str(path), **unused}


def test_a_model_file_that_is_none(refuse, tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("nothing")
    assert "expected a Keras model" in refuse(UserError, model=loaded(path))


def test_an_existing_run_with_another_config(dl1_files, tmp_path):
    config, run_dir = load_study(tmp_path, study("energy", dl1_files))
    prepare.run(config, run_dir)
    before = run_dir.manifest.read_bytes()
    other, _ = load_study(tmp_path, study("energy", dl1_files, data={"channels": ["image"]}))
    with pytest.raises(UserError) as caught:
        prepare.run(other, run_dir)
    message = str(caught.value)
    assert "data.channels" in message
    assert all(way in message for way in ("take those back", "--force", "run.name"))
    assert run_dir.manifest.read_bytes() == before
    prepare.run(other, run_dir, force=True)
    assert run_dir.manifest.exists()


def test_a_forced_attempt_that_fails_gives_back_what_was_there(dl1_files, tmp_path):
    config, run_dir = load_study(tmp_path, study("energy", dl1_files))
    prepare.run(config, run_dir)
    before = run_dir.manifest.read_bytes()
    over = {"data": {"quality_criteria": [["bright", "hillas_intensity > 1e9"]]}}
    other, _ = load_study(tmp_path, study("energy", dl1_files, **over))
    with pytest.raises(DataError):
        prepare.run(other, run_dir, force=True)
    assert run_dir.manifest.read_bytes() == before
    assert not list(run_dir.path.glob(".*previous"))


def test_training_with_other_settings_than_prepared(dl1_files, tmp_path):
    config, run_dir = load_study(tmp_path, study("energy", dl1_files))
    prepare.run(config, run_dir)
    over = {"data": {"quality_criteria": [["any", "hillas_intensity > 10"]]}}
    other, _ = load_study(tmp_path, study("energy", dl1_files, **over))
    with pytest.raises(UserError, match="stage 'prepare' was made with other settings"):
        train.run(other, run_dir)
    assert not run_dir.train_dir.exists()


def test_rows_that_no_longer_fit_the_files(dl1_files, tmp_path):
    config, run_dir = load_study(tmp_path, study("energy", dl1_files))
    prepare.run(config, run_dir)
    text = run_dir.manifest.read_text().replace('"examples_sha256": "', '"examples_sha256": "0')
    run_dir.manifest.write_text(text)
    with pytest.raises(DataError, match="other events now than at prepare"):
        train.run(config, run_dir)


def test_a_model_file_that_changed_is_noticed(dl1_files, tmp_path):
    path = tmp_path / "my_model.py"
    shutil.copyfile(template.__file__, path)
    section = {"type": "custom", "file": str(path), "class": "TemplateModel"}
    config, run_dir = load_study(tmp_path, study("energy", dl1_files) | {"model": section})
    prepare.run(config, run_dir)
    prepare.run(config, run_dir)
    path.write_text(path.read_text().replace('activation="relu"', 'activation="tanh"'))
    with pytest.raises(UserError, match="my_model.py"):
        prepare.run(config, run_dir)


def test_what_a_kill_left_set_aside_comes_back(dl1_files, tmp_path):
    config, run_dir = load_study(tmp_path, study("energy", dl1_files))
    prepare.run(config, run_dir)
    whole = run_dir.manifest.read_bytes()
    # As kill -9 leaves it in the middle of prepare --force.
    folder = run_dir.manifest.parent
    folder.rename(folder.with_name(".prepare.previous"))
    folder.mkdir()
    (folder / "manifest.json").write_text("half")
    over = {"data": {"quality_criteria": [["bright", "hillas_intensity > 1e9"]]}}
    other, _ = load_study(tmp_path, study("energy", dl1_files, **over))
    with pytest.raises(DataError):
        prepare.run(other, run_dir, force=True)
    assert run_dir.manifest.read_bytes() == whole


def test_a_failed_attempt_leaves_the_stage_complete(dl1_files, tmp_path):
    config, run_dir = load_study(tmp_path, study("energy", dl1_files, train={"n_epochs": 1}))
    prepare.run(config, run_dir)
    over = {"data": {"quality_criteria": [["bright", "hillas_intensity > 1e9"]]}}
    other, _ = load_study(tmp_path, study("energy", dl1_files, train={"n_epochs": 1}, **over))
    with pytest.raises(DataError):
        prepare.run(other, run_dir, force=True)
    train.run(config, run_dir)
    assert run_dir.trained_model.exists()


def test_two_processes_on_one_run(dl1_files, tmp_path):
    config, run_dir = load_study(tmp_path, study("energy", dl1_files))
    prepare.run(config, run_dir)
    hold = "import fcntl, sys, time; s = open(sys.argv[1], 'a+'); fcntl.lockf(s, fcntl.LOCK_EX);"
    hold += "s.truncate(0); s.write('process 7 on host,'); s.flush(); print('held', flush=True);"
    command = [sys.executable, "-c", hold + "time.sleep(60)", str(run_dir.lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="process 7 on host, works on this run"):
            train.run(config, run_dir)
        other.kill()
    assert not run_dir.train_dir.exists()


def test_test_files_of_the_same_name_and_without_telescopes(dl1_files, broken, tmp_path):
    def drop(file):
        for group in ("images", "parameters"):
            file.remove_node(f"/dl1/event/telescope/{group}/tel_021")

    without = broken(drop)
    (tmp_path / "a").mkdir()
    for folder, name in (("a", "gamma_test"), ("", "proton_test")):
        shutil.copyfile(dl1_files[name], tmp_path / folder / "same.dl1.h5")
    files = [str(tmp_path / "a" / "same.dl1.h5"), str(tmp_path / "same.dl1.h5"), str(without)]
    over = {
        "train": {"n_epochs": 1},
        "data": {"allowed_tels": [21], "test": {"signal": files}},
    }
    content = study("energy", dl1_files, **over)
    config, run_dir = load_study(tmp_path, content)
    chain.run(config, run_dir, until="evaluate")
    names = sorted(path.name for path in run_dir.predict_dir.glob("*.h5"))
    assert names == ["signal_same.dl2.h5", "signal_same_2.dl2.h5"]
    results = read_results(run_dir.metrics)
    n_bright = 0
    for path in files[:2]:
        with tables.open_file(path) as file:
            node = file.get_node(IMAGES.replace("images", "parameters"))
            n_bright += int((node.col("hillas_intensity") > 50).sum())
    assert results.tasks["energy"].test.signal == n_bright


def test_a_test_with_another_camera(real_data, dl1_files, completed_runs, tmp_path):
    _, done = completed_runs["energy"]
    shutil.copytree(done.path, tmp_path / "runs" / "tiny_energy")
    over = {
        "data": {
            "test": {"signal": str(real_data / "dl1" / "gamma_mst_flashcam.dl1.h5")},
            "allowed_tel_types": None,
        }
    }
    content = study("energy", dl1_files, **over)
    config, run_dir = load_study(tmp_path, content)
    with pytest.raises(DataError, match=r"on which the model was trained|one type|focal"):
        chain.test(config, run_dir, force=True)


def test_a_stage_before_its_time(dl1_files, tmp_path):
    config, run_dir = load_study(tmp_path, study("energy", dl1_files))
    with pytest.raises(UserError, match="cherenkov-mlops prepare"):
        train.run(config, run_dir)
    assert not run_dir.path.exists()


def test_a_training_file_that_changed(dl1_files, broken, tmp_path):
    path = broken(lambda file: None)
    over = {"data": {"train": {"signal": str(path)}}}
    config, run_dir = load_study(tmp_path, study("energy", dl1_files, **over))
    prepare.run(config, run_dir)
    with path.open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(DataError, match="bytes as at prepare"):
        train.run(config, run_dir)
    assert not run_dir.train_dir.exists()

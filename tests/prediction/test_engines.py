"""``test --engine``: the same DL2 by other engines, exported once, refused where it cannot be."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from ctapipe.io import read_table

from cherenkov_mlops.commands import compress
from cherenkov_mlops.config.load import open_run
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.forms import EXACT_FORMS, FORMS
from cherenkov_mlops.models import exported
from cherenkov_mlops.pipeline import chain
from cherenkov_mlops.prediction import engine_choice
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.tasks import TASKS

TOLERANCE = 1e-5


@pytest.fixture
def copied(completed_runs, tmp_path):
    """Function that gives a copy of the run of a task, with options of its test."""

    def copy(task="type", **options):
        folder = tmp_path / task
        if not folder.exists():
            shutil.copytree(completed_runs[task][1].path, folder)
        return open_run(folder, [f"test.{key}={value}" for key, value in options.items()])

    return copy


def read_values(run_dir, dl1_file, task):
    """Predicted columns of the first telescope."""
    known = TASKS[task]
    path = f"/dl2/event/telescope/{known.dl2.group}/{known.dl2.prefix}/tel_021"
    table = read_table(run_dir.dl2(dl1_file, "signal"), path)
    names = [name for name in table.colnames if table[name].dtype.kind == "f"]
    return {name: np.asarray(table[name]) for name in names}


def assert_same(got, expected):
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=3e-5, atol=TOLERANCE, err_msg=name)


def test_all_tasks_go_through_the_engine(completed_runs, copied, dl1_files, monkeypatch):
    used = []
    original = exported.NETWORKS[".xml"]

    def note(path):
        used.append(path.name.partition("_")[0])
        return original(path)

    monkeypatch.setitem(exported.NETWORKS, ".xml", note)
    config, run_dir = copied(engine="openvino", with_runs=completed_runs["energy"][1].path)
    chain.test(config, run_dir, force=True)
    assert set(used) == {"type", "energy"}
    for task in ("type", "energy"):
        expected = read_values(completed_runs[task][1], dl1_files["gamma_test"], task)
        assert_same(read_values(run_dir, dl1_files["gamma_test"], task), expected)
    facts = read_results(run_dir.metrics).facts
    assert facts["engine"] == "openvino"
    assert facts["engine_difference"] <= TOLERANCE
    assert sorted({path.suffix for path in run_dir.engines.iterdir()}) == [".bin", ".xml"]


def test_auto_takes_one_that_is_exact_and_says_so(copied, caplog):
    config, run_dir = copied(engine="auto")
    with caplog.at_level(logging.INFO):
        chain.test(config, run_dir, force=True)
    engine = read_results(run_dir.metrics).facts["engine"]
    assert engine in ("keras", *EXACT_FORMS)
    for name in EXACT_FORMS:
        assert f"engine {name}: " in caplog.text
    assert f"predicting with {engine}, the fastest of 4 engines" in caplog.text


def test_engines_that_do_not_fit_are_passed_over(copied, caplog, monkeypatch):
    original = exported.import_module

    def missing(name):
        if name.startswith("onnx"):
            raise ImportError(name)
        return original(name)

    monkeypatch.setattr(exported, "import_module", missing)
    monkeypatch.setattr(engine_choice, "TOLERANCE", -1.0)
    config, run_dir = copied(engine="auto")
    with caplog.at_level(logging.INFO):
        chain.test(config, run_dir, force=True)
    assert read_results(run_dir.metrics).facts["engine"] == "keras"
    assert "engine litert is passed over: differs by more than" in caplog.text
    assert "engine onnx is passed over: " in caplog.text
    assert "the fastest of 1 engines" in caplog.text
    with pytest.raises(UserError, match=r"not installed; pip install 'cherenkov-mlops\[engines\]'"):
        chain.test(*copied(engine="onnx"), force=True)
    assert read_results(run_dir.metrics).facts["engine"] == "keras"


def test_exports_are_made_once_for_each_model(copied):
    config, run_dir = copied(engine="litert")
    chain.test(config, run_dir, force=True)
    (made,) = run_dir.engines.iterdir()
    before = made.stat().st_mtime_ns
    chain.test(config, run_dir, force=True)
    assert [path.stat().st_mtime_ns for path in run_dir.engines.iterdir()] == [before]
    shutil.copy(run_dir.untrained_model, run_dir.trained_model)
    chain.test(config, run_dir, force=True)
    (again,) = run_dir.engines.iterdir()
    assert again.name != made.name


def test_another_engine_is_another_test(copied):
    config, run_dir = copied(engine="litert")
    with pytest.raises(UserError, match=r'test\.engine: "keras" -> "litert"'):
        chain.test(config, run_dir)


def test_exports_have_an_engine_of_their_own(copied):
    config, run_dir = copied(task="energy", engine="onnx")
    (made,) = compress.run(config, run_dir, ["packed"])
    export, _ = open_run(made.run_dir.path)
    assert export.test.engine == "keras"
    export, export_dir = open_run(made.run_dir.path, ["test.engine=onnx"])
    with pytest.raises(UserError, match=r"test\.engine: expected none for an export, .*, got onnx"):
        chain.test(export, export_dir)
    config, run_dir = copied(engine="litert", with_runs=export_dir.path)
    with pytest.raises(UserError, match=r"a trained run for test\.engine litert, got an export"):
        chain.test(config, run_dir, force=True)


def test_unknown_engines_are_refused(copied):
    with pytest.raises(UserError, match=r"expected one of keras, litert, onnx, openvino, auto"):
        copied(engine="tensorrt")


def test_folders_know_every_file_of_an_export(tmp_path):
    names = {path.name for path in RunDir(tmp_path).exports}
    assert {Path(name).suffix for name in names} == {
        *(form.suffix for form in FORMS.values()),
        ".bin",
    }

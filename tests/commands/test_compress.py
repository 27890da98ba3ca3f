"""``compress``: exports that are runs of their own, close to the Keras model, ranked like it."""

import json
import shutil

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from cherenkov_mlops.commands import compare, compress
from cherenkov_mlops.config.load import load_config, open_run
from cherenkov_mlops.dl2.read import read_events
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.forms import FORMS
from cherenkov_mlops.models import exported
from cherenkov_mlops.pipeline import chain
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.stages import prepare, report
from simulated import load_study, study

#: All forms for one task, and some for the other.
FORMATS = {
    "type": ("float16", *(name for name in FORMS if name != "float16")),
    "energy": ("float16", "int8", "onnx", "packed"),
}
#: Mean absolute difference of a score or of log10 E from the Keras model's. In single events int8
#: is farther off: brighter ones than those of the calibration are cut.
TOLERANCE = {
    "float32": 1e-6,
    "float16": 1e-3,
    "dynamic": 0.01,
    "int8": 0.03,
    "onnx": 1e-6,
    "onnx-int8": 0.03,
    "openvino": 1e-6,
    "packed": 0.03,
}


@pytest.fixture(scope="module", params=["type", "energy"])
def exports(request, completed_runs, tmp_path_factory):
    """Configuration and folder of a trained run, and what became of its exports."""
    _, done = completed_runs[request.param]
    folder = tmp_path_factory.mktemp("exports") / "base"
    config, run_dir = open_run(shutil.copytree(done.path, folder))
    return config, run_dir, compress.run(config, run_dir, FORMATS[request.param])


def predictions(config, run_dir, dl1_file):
    """Scores, or log10 of the energies, of the gammas."""
    dl2 = run_dir.dl2(dl1_file, "signal")
    events, _ = read_events(dl2, config.tasks[0], "mono", signal=True)
    return events["gh_score"] if config.tasks[0] == "type" else np.log10(events["reco_energy"])


def test_exports_are_runs_that_are_tested_with_them(exports, dl1_files, tmp_path, monkeypatch):
    config, run_dir, made = exports
    expected = predictions(config, run_dir, dl1_files["gamma_test"])
    used = []
    for suffix, runtime in exported.NETWORKS.items():

        def note(path, runtime=runtime):
            used.append(path)
            return runtime(path)

        monkeypatch.setitem(exported.NETWORKS, suffix, note)
    forms = FORMATS[config.tasks[0]]
    for kind, each in zip(forms, made, strict=True):
        assert each.run_dir.path == run_dir.path.with_name(f"base_{kind}")
        export_config, export_dir = open_run(each.run_dir.path)
        assert export_config.export.format == kind
        chain.test(export_config, export_dir)
        without_keras = {export_dir.exported_model(kind)} if kind != "packed" else set()
        assert set(used) == without_keras
        used.clear()
        got = predictions(export_config, export_dir, dl1_files["gamma_test"])
        assert len(got) == len(expected)
        assert np.abs(got - expected).mean() <= TOLERANCE[kind], kind
        assert each.difference <= 20 * TOLERANCE[kind]
        facts = read_results(export_dir.metrics).facts
        assert facts["model_size_mb"] == each.size / 1e6
        assert facts["engine"] == FORMS[kind].engine
    report.run(export_config, export_dir)
    assert f"base_{forms[-1]}" in export_dir.report.read_text(encoding="utf-8")
    page = tmp_path / "comparison.html"
    runs = [run_dir.path, *(each.run_dir.path for each in made)]
    compare.run(runs, page, baseline=config.run.name)
    text = page.read_text(encoding="utf-8")
    assert all(f"base_{kind}" in text for kind in forms)


def test_every_operation_of_int8_is_int8(exports):
    _, run_dir, _ = exports
    export = RunDir(run_dir.path.with_name("base_int8"))
    interpreter = Interpreter(str(export.exported_model("int8")))
    details = interpreter._get_ops_details()
    tensors = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    computing = [op for op in details if op["op_name"] in ("CONV_2D", "FULLY_CONNECTED")]
    assert len(computing) >= 3
    for op in computing:
        assert {tensors[n] for n in op["outputs"] if n >= 0} == {np.int8}, op


def test_what_a_run_is_made_from_stays(exports):
    _, run_dir, made = exports
    record = json.loads(made[0].run_dir.record.read_text(encoding="utf-8"))
    source = json.loads(run_dir.record.read_text(encoding="utf-8"))
    assert record["exported_from"] == source["id"] != record["id"]
    assert record["stages"]["train"] == source["stages"]["train"]
    assert not [path for path in run_dir.path.parent.iterdir() if path.name.startswith(".")]


def test_what_is_there_is_not_replaced_unasked(exports):
    config, run_dir, made = exports
    with pytest.raises(UserError, match=r"base_int8: is there already; write --force"):
        compress.run(config, run_dir, ["int8"])
    before = made[0].run_dir.exported_model("float16").read_bytes()
    (again,) = compress.run(config, run_dir, ["float16"], force=True)
    assert again.run_dir.exported_model("float16").read_bytes() == before
    assert not again.run_dir.metrics.exists()


def test_exports_of_exports_and_of_untrained_runs_are_refused(exports, dl1_files, tmp_path):
    *_, made = exports
    with pytest.raises(UserError, match="expected a trained run, got an export"):
        compress.run(*open_run(made[0].run_dir.path), ["int8"])
    config, run_dir = load_study(tmp_path, study("energy", dl1_files))
    prepare.run(config, run_dir)
    with pytest.raises(UserError, match="expected a trained run, got a run that is not trained"):
        compress.run(config, run_dir, ["int8"])


def test_a_lost_export_is_named(exports, tmp_path):
    *_, made = exports
    copy = RunDir(shutil.copytree(made[0].run_dir.path, tmp_path / "copy"))
    copy.exported_model("float16").unlink()
    config, run_dir = open_run(copy.path)
    with pytest.raises(UserError, match=r"found no file; make it again: compress .*base --to flo"):
        chain.test(config, run_dir, force=True)


def test_a_failure_leaves_nothing(exports, monkeypatch):
    config, run_dir, _ = exports
    monkeypatch.setattr(compress, "export_model", lambda *_: (_ for _ in ()).throw(UserError("no")))
    fresh = RunDir(shutil.copytree(run_dir.path, run_dir.path.with_name("fresh")))
    with pytest.raises(UserError, match="^no$"):
        compress.run(config, fresh, ["int8"])
    assert not fresh.path.with_name("fresh_int8").exists()
    assert not [path for path in fresh.path.parent.iterdir() if path.name.endswith(".tmp")]
    shutil.rmtree(fresh.path)


def test_the_section_is_typed(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "run: {name: a}\ntask: energy\ndata: {train: {signal: a.h5}, test: {signal: b.h5}}\n"
        "export: {format: int8, of: runs/a}\n"
    )
    assert load_config(path).export.of == tmp_path / "runs" / "a"

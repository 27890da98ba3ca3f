"""The table of stages: what is remade, what is refused, records of before, a stranger's stage."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cherenkov_mlops.commands import status
from cherenkov_mlops.config.load import load_config, open_run
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.metrics import METRICS, base
from cherenkov_mlops.pipeline import chain, stage
from cherenkov_mlops.pipeline.lifecycle import describe_plan
from cherenkov_mlops.pipeline.record import RunRecord
from cherenkov_mlops.pipeline.stage import (
    COMMANDS,
    STAGES,
    ancestors,
    check_cluster_names,
    expand,
    names,
    owner_of,
    up_to,
)
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir
from simulated import study, write_study

EVALUATE = """
import sys
from pathlib import Path
from cherenkov_mlops.cli.app import app
try: app(["evaluate", sys.argv[1], "--force"])
except SystemExit as end: assert not end.code, end.code
heavy = {"tensorflow", "keras", "ctlearn", "dl1_data_handler"} & set(sys.modules)
sys.exit(f"loaded: {sorted(heavy)}" if heavy else 0)
"""
STRANGER = '''
"""A stage of somebody else: how many events were evaluated."""

from cherenkov_mlops.pipeline.stage import STAGES, Stage
from cherenkov_mlops.results import read_results


def count(config, run_dir, attempt):
    n_events = read_results(run_dir.metrics).tasks["type"].test.total
    (run_dir.path / "count.txt").write_text(str(n_events))


STAGES.add(
    "count",
    Stage(
        "count",
        "Count what was evaluated.",
        count,
        lambda run_dir: [run_dir.path / "count.txt"],
        after=("evaluate",),
        on_change="remake",
    ),
)
'''


@pytest.fixture
def tested(completed_runs, tmp_path):
    """Configuration and folder of a copy of a run that went through all stages."""
    _, done = completed_runs["type"]
    return open_run(Path(shutil.copytree(done.path, tmp_path / "copy")))


def again(run_dir: RunDir, *overrides: str):
    """Configuration of the run with other options."""
    return load_config(run_dir.resolved_config, overrides)


def test_the_table_is_in_order():
    assert names() == ["prepare", "train", "predict", "evaluate", "report"]
    assert ancestors("evaluate") == ["prepare", "train", "predict"]
    assert up_to("train") == ["prepare", "train"] and up_to("test")[-1] == "evaluate"
    assert expand(["report", "test"], "--stages") == ["predict", "evaluate", "report"]
    with pytest.raises(UserError, match="--stages: no stage 'tset'; did you mean 'test'"):
        expand(["tset"], "--stages")
    assert {part for parts in COMMANDS.values() for part in parts} <= set(names())
    costly = [name for name, stage in STAGES.items() if stage.on_change == "refuse"]
    assert costly == ["prepare", "train", "predict"]


@pytest.mark.parametrize(
    ("key", "owner"),
    [
        ("data.train.signal", "prepare"),
        ("data.test.signal", "predict"),
        ("data.classes.signal", "evaluate"),
        ("data.cache", None),
        ("data.cache_dtype", "train"),
        ("train.split_by", "prepare"),
        ("test.engine", "predict"),
        ("test.threshold", "evaluate"),
        ("report.title", "report"),
        ("slurm.time", None),
        ("database", None),
    ],
)
def test_the_longest_key_owns(key, owner):
    assert owner_of(key) == owner


def test_a_threshold_remakes_evaluate_and_report_only_and_says_why(tested, caplog):
    config, run_dir = tested
    kept = {path: path.stat().st_mtime_ns for path in run_dir.predict_dir.iterdir()}
    with caplog.at_level("INFO"):
        chain.run(again(run_dir, "test.threshold=0.25"), run_dir)
    assert "evaluate: made again: test.threshold: 0.5 -> 0.25" in caplog.messages
    assert "report: made again: what 'evaluate' made has changed" in caplog.messages
    assert caplog.text.count("complete and unchanged") == 3
    assert {path: path.stat().st_mtime_ns for path in run_dir.predict_dir.iterdir()} == kept
    assert read_results(run_dir.metrics).evaluation.threshold == 0.25


def test_a_title_remakes_the_page(tested, caplog):
    _, run_dir = tested
    title = again(run_dir, "report.title=Gammas and protons")
    assert describe_plan(title, run_dir, names())[-1] == (
        'report: would run (report.title: null -> "Gammas and protons")'
    )
    chain.run(title, run_dir, until="report")
    assert "Gammas and protons" in run_dir.report.read_text(encoding="utf-8")


def test_a_changed_metric_remakes_evaluate_and_what_costs_is_refused(tested, monkeypatch):
    config, run_dir = tested
    (key,) = STAGES["evaluate"].definitions()
    changed = replace(STAGES["evaluate"], definitions=lambda: {key: "another"})
    monkeypatch.setitem(STAGES._entries, "evaluate", changed)
    plan = describe_plan(config, run_dir, names())
    assert "would do nothing" in plan[2]
    assert f"evaluate: would run ({key}: " in plan[3] and '-> "another"' in plan[3]
    assert plan[4] == "report: would run (what 'evaluate' made has changed)"
    (refusal,) = describe_plan(again(run_dir, "test.batch_size=7"), run_dir, ["predict"])
    assert "would refuse" in refusal and "test.batch_size: 64 -> 7" in refusal


def test_the_digest_is_of_names_sources_and_version(monkeypatch):
    definitions = stage._definitions.__wrapped__
    before = definitions()
    assert definitions() == before
    monkeypatch.setattr(base, "DEFINITIONS_VERSION", 0)
    assert definitions() != before
    monkeypatch.undo()
    some = next(iter(METRICS))
    monkeypatch.setitem(METRICS._entries, "another", METRICS[some])
    assert definitions() != before


def test_evaluate_loads_no_tensorflow(tested):
    _, run_dir = tested
    before = read_results(run_dir.metrics)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", EVALUATE, str(run_dir.path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    after = read_results(run_dir.metrics)
    assert after.metrics == before.metrics and after.tasks == before.tasks


def test_a_run_of_the_version_before_is_complete_and_unchanged(tested, caplog):
    config, run_dir = tested
    run_dir.predict_dir.rename(run_dir.old_predict_dir)
    (run_dir.old_predict_dir / run_dir.prediction_record.name).unlink()
    record = json.loads(run_dir.record.read_text(encoding="utf-8"))
    stages = record["stages"]
    predict, evaluate = stages.pop("predict"), stages.pop("evaluate")
    made_of = predict["made_of"] | evaluate["made_of"]
    made_of = {key: made_of[key] for key in made_of if not key.startswith(("stage p", "defini"))}
    stages["test"] = predict | {"made_of": made_of}
    page = stages.pop("report")
    page["made_of"]["stage test"] = predict["completion"]
    del page["made_of"]["stage evaluate"]
    stages["report"] = page
    if "tasks" in stages["prepare"]["made_of"]:
        (stages["prepare"]["made_of"]["task"],) = stages["prepare"]["made_of"].pop("tasks")
    run_dir.record.write_text(json.dumps(record | {"schema_version": 1}), encoding="utf-8")

    assert all("would do nothing" in line for line in describe_plan(config, run_dir, names()))
    assert list(RunRecord.read(run_dir).content["stages"]) == names()
    assert run_dir.predict_dir == run_dir.old_predict_dir
    assert status.read_status(run_dir).stage == "report"
    chain.run(again(run_dir, "report.title=old"), run_dir)
    assert json.loads(run_dir.record.read_text(encoding="utf-8"))["schema_version"] == 2
    # What evaluating needs to know, that version did not keep.
    lower = again(run_dir, "test.threshold=0.25")
    with pytest.raises(UserError, match="an earlier version .* predict .* --force"):
        chain.run(lower, run_dir)
    assert run_dir.metrics.is_file()
    chain.test(config, run_dir, force=True)
    assert run_dir.prediction_record.is_file() and not run_dir.old_predict_dir.exists()


def test_without_the_test_files_the_images_are_left_out(tested, caplog):
    config, run_dir = tested
    text = run_dir.prediction_record.read_text(encoding="utf-8")
    gone = text.replace("gamma_test.dl1.h5", "gamma_gone.dl1.h5")
    for path in run_dir.predict_dir.glob("signal_*"):
        path.rename(path.with_name(path.name.replace("gamma_test", "gamma_gone")))
    run_dir.prediction_record.write_text(gone, encoding="utf-8")
    chain.run_stages(["evaluate", "report"], config, run_dir, force=True)
    assert "no example images" in caplog.text
    assert read_results(run_dir.metrics).tasks["type"].test.signal > 0


def test_names_of_stages_in_the_cluster_section(dl1_files, tmp_path):
    stages = {"test": {"cpus": 2}, "evalaute": {"cpus": 1}}
    content = study("energy", dl1_files) | {"slurm": {"stages": stages}}
    config = load_config(write_study(tmp_path, content))
    (line,) = check_cluster_names(config)
    assert line.startswith(f"{tmp_path / 'study.yaml'}:")
    assert line.endswith("slurm.stages.evalaute: no such stage; did you mean 'evaluate'?")


@pytest.fixture
def stranger(tmp_path):
    """Environment in which a package with a stage of its own is installed."""
    folder = tmp_path / "site"
    about = folder / "stranger-1.dist-info"
    about.mkdir(parents=True)
    (folder / "stranger_count.py").write_text(STRANGER)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    (about / "entry_points.txt").write_text(
        "[cherenkov_mlops.extensions]\ncount = stranger_count\n"
    )
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}


def test_a_stage_of_another_package_is_a_stage_as_any_other(stranger, tested):
    _, run_dir = tested

    def call(*words: str) -> str:
        program = "from cherenkov_mlops.cli.app import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            env=stranger,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    folder = str(run_dir.path)
    assert "Count what was evaluated." in call("--help")
    assert "count: would run (not run yet)" in call("run", folder, "--dry-run")
    assert "count: would" not in call("run", folder, "--dry-run", "--until", "report")
    assert "count" in call("status", folder)
    said = call("submit", folder, "--stages", "count", "--dry-run")
    assert f"stage.sbatch count {run_dir.path}" in said
    call("run", folder)
    results = read_results(run_dir.metrics)
    n_events = results.tasks["type"].test.total
    assert (run_dir.path / "count.txt").read_text() == str(n_events)
    assert "complete and unchanged" in call("count", folder)
    record = json.loads(run_dir.record.read_text(encoding="utf-8"))
    assert record["stages"]["count"]["state"] == "complete"
    said = call("run", folder, "-o", "test.threshold=0.4")
    assert "count: made again: what 'evaluate' made has changed" in said

"""The commands themselves: help without heavy imports, plans, configurations, templates."""

import json
import os
import subprocess
import sys
from inspect import signature

import pytest

from cherenkov_mlops import __version__
from cherenkov_mlops.cli.app import app, simulate
from cherenkov_mlops.pipeline.stage import COMMANDS, names
from cherenkov_mlops.simulation.options import SimulationOptions

HEAVY = (
    "tensorflow", "keras", "ctlearn", "ctapipe", "dl1_data_handler", "matplotlib", "numpy",
    "pandas", "astropy", "h5py", "tables", "sklearn", "ruamel.yaml", "jinja2", "rich.console",
    "cherenkov_mlops.config", "cherenkov_mlops.stages", "cherenkov_mlops.engine",
)  # fmt: skip
STAGES = {name: [name] for name in names()} | COMMANDS | {"run": names()}
ALL = [
    [], *([name] for name in STAGES), ["compare"], ["demo"],
    ["simulate"], ["init"], ["config"], ["config", "check"], ["config", "show"],
    ["config", "schema"], ["config", "convert"], ["sweep"], ["study"],
]  # fmt: skip


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_help_says_what_each_command_does(command, capsys):
    with pytest.raises(SystemExit) as end:
        app([*command, "--help"], prog_name="cherenkov-mlops")
    assert end.value.code == 0
    assert "Usage: cherenkov-mlops" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["--help", "train --help", "--version"])
def test_help_imports_nothing_heavy(command):
    program = (
        "import sys\nfrom cherenkov_mlops.cli.app import app\n"
        f"try: app({command.split()!r})\n"
        f"except SystemExit: sys.exit(str([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stderr.strip() == "[]"


def test_version(start):
    assert start("--version").stdout == f"cherenkov-mlops {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["train"], ["train", "a.yaml", "--fast"], ["compare"]]
)
def test_wrong_usage_ends_with_2(call, arguments):
    result = call(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_five_mistakes_print_five_lines(start, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "run: {name: a b}\ntask: x\ndata: {train: {signal: g.h5}}\n"
        "train: {n_epoch: 1, batch_size: 0}\nfoo: 1\n"
    )
    result = start("train", path)
    assert result.returncode == 2
    lines = result.stderr.splitlines()
    assert [line.split(": ")[:3] for line in lines] == [
        ["error", f"{path}:1:7", "run.name"],
        ["error", f"{path}:2:1", "task"],
        ["error", f"{path}:4:9", "train.n_epoch"],
        ["error", f"{path}:4:21", "train.batch_size"],
        ["error", f"{path}:5:1", "foo"],
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_dry_run_shows_configuration_and_plan_and_writes_nothing(call, study, stage, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    result = call(stage, study, "--dry-run", "-o", "train.n_epochs=3")
    assert result.returncode == 0, result.stderr
    assert "n_epochs: 3" in result.stdout
    # Alone, a stage does not run before the ones it needs.
    verb = "refuse" if stage in ("train", "predict", "evaluate", "test") else "run"
    for planned in STAGES[stage]:
        assert f"{planned}: would {verb}" in result.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_config_show_prints_yaml_that_loads_to_the_same(call, study, tmp_path):
    shown = call("config", "show", study).stdout
    again = tmp_path / "again.yaml"
    again.write_text(shown)
    assert call("config", "show", again).stdout == shown


def test_config_check_finds_missing_files(call, study, tmp_path):
    study.write_text(study.read_text() + "model: {type: custom, class: A, file: my.py}\n")
    result = call("config", "check", study)
    assert result.returncode == 2
    assert result.stderr.splitlines()[0].startswith(
        f"error: {study}:5:5: data.train.signal[0]: {tmp_path}/gammas.h5: no such file"
    )
    assert f"model.file: {tmp_path}/my.py: no such file" in result.stderr.splitlines()[1]


def test_config_check_is_content_when_the_files_are_there(call, study, tmp_path):
    (tmp_path / "gammas.h5").touch()
    result = call("config", "check", study)
    assert (result.returncode, result.stdout) == (0, f"{study}: no mistakes\n")


def test_config_check_finds_names_that_ctlearn_does_not_know(start, study, tmp_path):
    (tmp_path / "gammas.h5").touch()
    study.write_text(study.read_text() + "ctlearn:\n  DLImageReader:\n    modus: mono\n")
    result = start("config", "check", study)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {study}:8:5: ctlearn.DLImageReader.modus: ")
    assert result.stderr.count("\n") == 1


def test_config_schema_prints_json(call):
    assert "properties" in json.loads(call("config", "schema").stdout)


def test_config_schema_into_a_closed_pipe_leaves_no_traceback(tmp_path):
    program = "from cherenkov_mlops.cli.app import app; app(['config', 'schema'])"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), errors) == (1, b"")


def test_config_convert_writes_a_file_and_warns(call, tmp_path):
    old = tmp_path / "old.yaml"
    old.write_text("prepare_model: {num_classes: 2}\ntraining_model: {}\n")
    result = call("config", "convert", old, "--output", "new.yaml")
    assert (result.returncode, result.stdout) == (0, "new.yaml: written\n")
    assert result.stderr.startswith("warning: prepare_model.num_classes: 2: left out: ")
    assert (tmp_path / "new.yaml").read_text().startswith("# prepare_model.num_classes")


def test_init_writes_a_configuration_that_loads_and_never_replaces_one(call, tmp_path):
    arguments = ["init", "--task", "type", "--telescope", "SST1M", "--output", "mine.yaml"]
    assert call(*arguments).stdout == "mine.yaml: written\n"
    assert call("config", "show", "mine.yaml").returncode == 0
    again = call(*arguments)
    assert again.returncode == 2
    assert again.stderr.startswith("error: mine.yaml: exists already; write --force")
    assert call(*arguments, "--force").returncode == 0


@pytest.mark.parametrize(
    "arguments", [["init"], ["config", "schema"], ["config", "convert", "old.yaml"]], ids=" ".join
)
def test_a_minus_is_the_terminal_and_no_file(call, tmp_path, arguments):
    (tmp_path / "old.yaml").write_text("prepare_model: {num_classes: 2}\ntraining_model: {}\n")
    before = sorted(tmp_path.iterdir())
    result = call(*arguments, "--output", "-")
    assert result.returncode == 0 and len(result.stdout.splitlines()) > 3
    assert sorted(tmp_path.iterdir()) == before


def test_a_moved_run_folder_stands_for_its_configuration(call, study, tmp_path):
    body = "logging.getLogger('cherenkov_mlops').info(f'{config.run.name} {run_dir.path}')\n"
    call("report", study, body=body + "config.write_to(run_dir)")
    (tmp_path / "runs" / "first").rename(tmp_path / "moved")
    assert call("report", "moved", body=body).stdout == f"first {tmp_path}/moved\n"


def test_a_folder_that_is_no_run_is_one_line(call, tmp_path):
    result = call("report", tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1


def test_options_of_simulate_are_those_of_the_simulation():
    ours = {name: p.default for name, p in signature(simulate).parameters.items()}
    theirs = {name: p.default for name, p in signature(SimulationOptions).parameters.items()}
    assert ours.keys() - theirs.keys() == {"output", "force"}
    assert theirs == {name: ours[name] for name in theirs}


def test_a_sweep_with_mistakes_ends_with_2_and_a_dry_run_writes_nothing(call, study, tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("base: study.yaml\ngrid: {train.n_epochs: [1, 0]}\n")
    result = call("sweep", path)
    assert result.returncode == 2
    place = f"error: {path}:2:28: train.n_epochs: expected a whole number of at least 1, got 0"
    assert result.stderr == f"{place} (in run n_epochs0)\n"
    path.write_text("base: study.yaml\ngrid: {train.n_epochs: [1, 2]}\n")
    before = sorted(tmp_path.rglob("*"))
    result = call("sweep", path, "--local", "2", "--dry-run")
    assert result.stdout.splitlines()[1:] == ["n_epochs1: would run", "n_epochs2: would run"]
    assert sorted(tmp_path.rglob("*")) == before


def test_run_ends_after_the_stage_that_is_asked_for(call, study):
    result = call("run", study, "--until", "train", "--dry-run")
    assert [line.split(":")[0] for line in result.stdout.splitlines()[-2:]] == ["prepare", "train"]

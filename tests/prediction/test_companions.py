"""``test.with_runs``: the tasks of several runs in one DL2 file, in one pass over the images."""

import shutil

import numpy as np
import pytest
from ctapipe.io import read_table

from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.dl1.reader import CuredImageReader
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.pipeline import chain
from cherenkov_mlops.results import read_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.tasks import TASKS
from simulated import load_study, study

OTHERS = ("energy", "cameradirection")


@pytest.fixture
def together(completed_runs, dl1_files, tmp_path):
    """Function that gives a copy of the run of the particle type, with options of its test."""

    def copy(**options):
        config, run_dir = load_study(tmp_path, study("type", dl1_files, test=options))
        if not run_dir.path.exists():
            shutil.copytree(completed_runs["type"][1].path, run_dir.path)
        return config, run_dir

    return copy


def folders(completed_runs, tasks):
    """Run folders of the tasks."""
    return [str(completed_runs[task][1].path) for task in tasks]


def read_values(dl2, task):
    """Table of the first telescope that a prediction of the task left in the file."""
    known = TASKS[task]
    path = f"/dl2/event/telescope/{known.dl2.group}/{known.dl2.prefix}/tel_021"
    return read_table(dl2, path)


def test_one_file_holds_all_tasks_and_is_read_once(
    completed_runs, together, dl1_files, monkeypatch
):
    config, run_dir = together(with_runs=folders(completed_runs, OTHERS))
    n_read = []
    original = CuredImageReader.read_features

    def count(self, rows):
        n_read.append(len(rows))
        return original(self, rows)

    monkeypatch.setattr(CuredImageReader, "read_features", count)
    chain.test(config, run_dir, force=True)
    gammas = dl1_files["gamma_test"]
    dl2 = run_dir.dl2(gammas, "signal")
    for task in ("type", *OTHERS):
        alone = read_values(completed_runs[task][1].dl2(gammas, "signal"), task)
        ours = read_values(dl2, task)
        for name in alone.colnames:
            np.testing.assert_array_equal(ours[name], alone[name], err_msg=name)
    results = read_results(run_dir.metrics)
    assert sum(n_read) == results.facts["n_testing_events"]
    # Each task is evaluated as in the run of its own model.
    assert list(results.tasks) == ["type", *OTHERS]
    for task, found in results.tasks.items():
        alone = read_results(completed_runs[task][1].metrics).tasks[task]
        assert found.source == ("" if task == "type" else completed_runs[task][1].name)
        assert found.model_copy(update={"source": ""}) == alone


def test_a_changed_companion_is_noticed(completed_runs, together, tmp_path):
    other = shutil.copytree(completed_runs["energy"][1].path, tmp_path / "other")
    config, run_dir = together(with_runs=str(other))
    chain.test(config, run_dir, force=True)
    before = run_dir.record.read_bytes()
    chain.test(config, run_dir)
    assert run_dir.record.read_bytes() == before
    shutil.copy(run_dir.untrained_model, RunDir(other).trained_model)
    with pytest.raises(UserError, match=r"other/train/ctlearn_model.keras"):
        chain.test(config, run_dir)


def test_companions_that_cannot_be_used(completed_runs, together, tmp_path):
    type_run, energy_run = folders(completed_runs, ("type", "energy"))
    empty = tmp_path / "empty"
    empty.mkdir()
    for given, said in (
        (type_run, "a run of another task than type, got type"),
        ([energy_run, energy_run], "a run of another task than type, energy, got energy"),
        (str(empty), "the folder of a trained run, got a folder without a trained model"),
        (str(tmp_path / "none"), "the folder of a trained run, got no folder"),
        (folders(completed_runs, ["skydirection"]), "data.mode: mono, as in this run, got stereo"),
    ):
        config, run_dir = together(with_runs=given)
        with pytest.raises(UserError, match=rf"^test\.with_runs: .*: expected {said}$"):
            chain.test(config, run_dir, force=True)
        assert run_dir.metrics.exists()


def test_paths_are_those_of_the_file_that_names_them(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "run: {name: a, dir: runs}\ntask: energy\ndata: {train: {signal: a.h5}, "
        "test: {signal: b.h5}}\ntest: {with_runs: runs/b}\n"
    )
    assert load_config(path).test.with_runs == [str(tmp_path / "runs" / "b")]

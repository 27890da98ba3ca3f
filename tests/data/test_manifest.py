"""Manifests of this version, of an older one, and of one that is not known."""

import json
import shutil

import pytest

from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.run_dir import RunDir

NEW_FILE_KEYS = ("productions", "pointings", "particles", "n_passing", "n_empty")


@pytest.fixture
def prepared(completed_runs, tmp_path) -> RunDir:
    """A copy of the folder of a prepared run."""
    _, done = completed_runs["type"]
    run_dir = RunDir(tmp_path / "run")
    shutil.copytree(done.manifest.parent, run_dir.manifest.parent)
    return run_dir


def rewrite(run_dir: RunDir, change) -> None:
    content = json.loads(run_dir.manifest.read_text())
    change(content)
    run_dir.manifest.write_text(json.dumps(content))


def test_the_manifest_says_what_was_simulated(prepared):
    content = json.loads(prepared.manifest.read_text())
    assert content["schema_version"] == 2
    assert [each["name"] for each in content["classes"]] == ["gamma", "proton"]
    assert content["classes"][0]["productions"][0]["spectral_index"] == -2.0
    for file in content["files"]["signal"]:
        assert set(NEW_FILE_KEYS) <= set(file)
    assert read_manifest(prepared).inputs.all_files()[0].pointings == [(20.0, 0.0)]


def test_a_manifest_of_version_1_can_be_read(prepared):
    whole = read_manifest(prepared)

    def make_old(content):
        content["schema_version"] = 1
        for key in ("classes", "findings", "idle_telescopes"):
            del content[key]
        for files in content["files"].values():
            for file in files:
                for key in NEW_FILE_KEYS:
                    del file[key]

    rewrite(prepared, make_old)
    old = read_manifest(prepared)
    assert old.findings == []
    assert old.counts == whole.counts
    assert [file.sha256 for file in old.inputs.all_files()] == [
        file.sha256 for file in whole.inputs.all_files()
    ]


def test_a_manifest_of_a_later_version_is_refused_in_one_line(prepared):
    rewrite(prepared, lambda content: content.update(schema_version=9))
    with pytest.raises(DataError, match="schema_version 1 to 2, got 9") as caught:
        read_manifest(prepared)
    assert "\n" not in str(caught.value) and "prepare --force" in str(caught.value)


def test_a_damaged_manifest_is_refused_in_one_line(prepared):
    prepared.manifest.write_text("{}")
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(prepared)

"""Files that are never found half-written."""

import os

import pytest

from cherenkov_mlops.run_dir import (
    atomic_path,
    remove_temporary_files,
    write_json_atomically,
    write_text_atomically,
)


def test_the_old_content_stays_until_the_new_one_is_complete(tmp_path):
    path = write_text_atomically(tmp_path / "new" / "model.keras", "old")
    with atomic_path(path) as temporary:
        assert temporary.suffix == ".keras" and temporary.parent == path.parent
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_writer_that_fails_leaves_nothing(tmp_path, error):
    path = write_text_atomically(tmp_path / "x.json", "old")
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_text("ne")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_that_are_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json_atomically(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_only_what_killed_writers_left_is_removed(tmp_path):
    number = os.getpid()
    stays = [".lock", ".train.previous", "x.tmp", ".x.tmp", "a.json", f".a.{number}.json"]
    goes = [f".state.{number}.tmp.npz", ".run.7.tmp.json", ".x.7.tmp"]
    for name in stays + goes:
        (tmp_path / name).touch()
    remove_temporary_files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(stays)
    remove_temporary_files(tmp_path / "missing")

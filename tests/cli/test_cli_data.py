"""``convert``, ``merge`` and ``slim`` as commands: exit codes, one-line errors, the table."""

import shutil
from pathlib import Path

import pytest

from cherenkov_mlops.commands import simulate


@pytest.fixture(scope="module")
def dl1(tmp_path_factory) -> list[Path]:
    """Two small files of different runs."""
    folder = tmp_path_factory.mktemp("dl1")
    return [
        simulate.run(folder / f"run{number}.dl1.h5", n_images=8, seed=number, obs_id=number)
        for number in (1, 2)
    ]


@pytest.mark.parametrize("command", ["convert", "merge", "slim"])
def test_the_help_needs_no_heavy_package(start, command):
    answer = start(command, "--help")
    assert answer.returncode == 0
    assert "-o" in answer.stdout


def test_merge_and_slim(call, dl1, tmp_path):
    answer = call("merge", *dl1, "-o", tmp_path / "merged", "--name", "gamma")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "merged/gamma.dl1.h5: 2 files, " in answer.stdout
    answer = call("slim", tmp_path / "merged", "-o", tmp_path / "slim")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "% saved" in answer.stdout
    assert (tmp_path / "slim" / "gamma.dl1.h5").is_file()


def test_inputs_that_cannot_be_merged(call, dl1, tmp_path):
    twin = shutil.copy(dl1[0], tmp_path / "twin.dl1.h5")
    answer = call("merge", *dl1, twin, "-o", tmp_path / "merged", "--remove-inputs")
    assert answer.returncode == 3
    assert answer.stderr.startswith(f"error: {twin}: run (obs_id) 1 is in {dl1[0]} too")
    assert len(answer.stderr.splitlines()) == 1
    assert all(path.exists() for path in dl1)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["merge", "missing.h5", "-o", "out"], 3, "merge: missing.h5: no such file"),
        (["slim", "missing.h5", "-o", "out"], 3, "slim: missing.h5: no such file"),
        (["convert", "missing.simtel.gz", "-o", "out"], 3, "convert: missing.simtel.gz: no such"),
        (["convert", "x", "-o", "out", "--jobs", "0"], 2, "--jobs: expected a positive number"),
        (["convert", "x", "-o", "out", "--focal-length", "LONG"], 2, "expected EFFECTIVE or"),
        (["convert", "x", "-o", "out", "--ctapipe-config", "c.yml"], 2, "c.yml: no such file"),
        (["slim", "x", "-o", "out", "--level", "12"], 2, "--level: expected 0 to 9"),
    ],
)
def test_mistakes_are_one_line(call, tmp_path, words, code, said):
    if "c.yml" in words:
        (tmp_path / "x").touch()
    answer = call(*words)
    assert answer.returncode == code
    assert said in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_convert_ends_with_a_table(call, tmp_path):
    source = tmp_path / "text.simtel.gz"
    source.write_text("no simulation")
    answer = call("convert", source, "-o", "out", "--jobs", "1")
    assert answer.returncode == 3
    header, row = [line.split() for line in answer.stdout.splitlines()]
    assert header == ["file", "events", "images", "seconds", "particles", "notes"]
    assert row[:2] == ["text.simtel.gz", "failed:"]
    assert "1 of 1 files could not be converted; details: out/convert.log" in answer.stderr

"""The container's definition, as far as it can be checked without building it."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "container"
DEFINITION = (FOLDER / "cherenkov_mlops.def").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^%(\w+)", DEFINITION, re.MULTILINE)
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE)


def section(name: str) -> str:
    """Text of one section, without comments."""
    text = re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", DEFINITION, re.MULTILINE | re.DOTALL).group(1)
    return re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)


def pinned(text: str) -> dict[str, str]:
    """Package -> version."""
    return dict(PINNED.findall(text))


def test_sections():
    expected = {"arguments", "labels", "files", "post", "environment", "runscript", "test", "help"}
    assert set(SECTIONS) == expected
    assert "From: {{ base }}" in DEFINITION and "base=python:3.12-slim" in section("arguments")
    assert section("runscript").strip() == 'exec cherenkov-mlops "$@"'


def test_nothing_of_the_host_is_mixed_in():
    commands = "".join(section(name) for name in ("post", "environment", "runscript", "test"))
    assert "LD_LIBRARY_PATH" not in commands
    assert not re.search(r"--bind.*cuda", DEFINITION)


def test_all_files_that_go_in_exist():
    for line in section("files").split("\n"):
        if line.strip():
            source, target = line.split()
            assert (ROOT / source).exists() and target == f"/opt/cherenkov_mlops/{source}"
    for device in ("cpu", "gpu"):
        assert (FOLDER / f"requirements-{device}.lock").is_file()
    assert "container/requirements-{{ device }}.lock" in section("post")


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_versions_are_those_that_were_tested(device):
    tested = pinned((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    text = (FOLDER / f"requirements-{device}.lock").read_text(encoding="utf-8")
    contained = pinned(text)
    assert {"tensorflow", "keras", "ctlearn", "dl1-data-handler", "ctapipe"} <= set(contained)
    assert {name: tested.get(name, version) for name, version in contained.items()} == contained
    # Each has a hash, and pip takes nothing without one.
    for part in re.split(r"\n(?=[A-Za-z])", text)[1:]:
        assert "--hash=sha256:" in part, part
    assert "--require-hashes --no-deps" in section("post")
    extra = set(contained) - set(tested)
    assert all(name.startswith("nvidia-") for name in extra), extra
    assert bool(extra) == (device == "gpu")


def test_the_conda_environment_is_the_same_list():
    content = YAML(typ="safe").load((FOLDER / "environment.yml").read_text(encoding="utf-8"))
    packages = pinned("\n".join(content["dependencies"][-1]["pip"]))
    locked = (FOLDER / "requirements-cpu.lock").read_text(encoding="utf-8")
    assert packages == pinned(locked)
    assert content["dependencies"][0] == "python=3.12"

"""What the README and the pages promise is there."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from cherenkov_mlops.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def written_commands(page):
    """Words of each command line of the program on the page, comments left out."""
    lines = re.findall(r"^(?:\$ )?cherenkov-mlops (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_understood(page):
    for words in written_commands(page):
        command = get_command(app)
        while hasattr(command, "commands"):
            command, words = command.commands[words[0]], words[1:]
        # Unknown options and missing arguments end here.
        command.make_context(command.name, list(words))


def test_the_readme_shows_the_stages():
    shown = {words[0] for words in written_commands(ROOT / "README.md")}
    assert {"init", "prepare", "train", "test", "report", "run", "compare"} <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    written = set(
        re.findall(r"\bmake (demo|test|install|docs|lint|lock)\b", page.read_text("utf-8"))
    )
    assert written <= targets

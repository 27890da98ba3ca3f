"""What the README and the pages promise is there."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from cherenkov_mlops.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page):
    commands = get_command(app).commands
    written = re.findall(r"^cherenkov-mlops (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(written) <= set(commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    written = set(
        re.findall(r"\bmake (demo|test|install|docs|lint|lock)\b", page.read_text("utf-8"))
    )
    assert written <= targets

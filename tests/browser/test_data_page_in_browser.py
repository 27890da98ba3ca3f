"""The page about the training files in a real browser."""

from pathlib import Path

import pytest

from cherenkov_mlops.reporting.data_page import render_data_page
from simulated import describe_files, load_study, study


@pytest.fixture(scope="module")
def data_page(dl1_files, tmp_path_factory) -> Path:
    """A page with a finding of each level."""
    folder = tmp_path_factory.mktemp("data_page")
    config, _ = load_study(folder, study("type", dl1_files))
    description = describe_files(config)
    description["findings"] = [
        {"level": level, "check": "core", "text": f"Something odd: a {level}."}
        for level in ("failure", "warning", "hint")
    ]
    page = folder / "data.html"
    page.write_text(render_data_page(description), encoding="utf-8")
    return page


def test_the_page_needs_nothing_from_outside_and_shows_its_pictures(data_page, visit):
    visited = visit(data_page)
    assert visited.messages == []
    assert [url for url in visited.requests if not url.startswith("data:")] == [data_page.as_uri()]
    pictures = visited.page.locator("figure .drawing svg")
    assert pictures.count() == 13
    for box in [pictures.nth(place).bounding_box() for place in range(pictures.count())]:
        assert min(box["width"], box["height"]) > 100


@pytest.mark.parametrize("width", [1360, 420])
def test_the_page_is_no_wider_than_its_window(data_page, visit, width):
    page = visit(data_page, width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_axe_finds_no_serious_violation(data_page, visit, scheme):
    assert visit(data_page, scheme).find_violations() == []


def test_files_can_be_sorted_and_figures_saved(data_page, visit):
    page = visit(data_page).page
    head = page.locator("#files thead th").nth(2)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    with page.expect_download() as caught:
        page.locator("[data-save=data_energy]").click()
    assert caught.value.suggested_filename == "data_energy.svg"

"""What a reader meets: reports and comparisons in a real browser."""

import pytest

from synthetic import TASKS

PAGES = [*TASKS, "comparison", "study"]
COLUMN = """table => [...table.tBodies[0].rows].map(row => Number(row.cells[1].dataset.sort))"""
FOCUS = """() => {
  const item = document.activeElement;
  const box = item.getBoundingClientRect();
  return [item.tagName, item.id || item.textContent.trim().slice(0, 30), box.width * box.height];
}"""
FOCUSABLE = """() => [...document.querySelectorAll(
  'a[href], button, input, summary, [tabindex="0"]')].filter(item => item.checkVisibility()).length
"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_nothing_from_outside_and_shows_all_figures(pages, visit, name):
    visited = visit(pages[name])
    assert visited.messages == []
    assert [url for url in visited.requests if not url.startswith(("file://", "data:"))] == []
    assert len([url for url in visited.requests if url.startswith("file://")]) == 1
    pictures = visited.page.locator("figure .drawing svg")
    assert pictures.count() > 8
    for box in [pictures.nth(place).bounding_box() for place in range(pictures.count())]:
        assert box["width"] > 150
        assert box["height"] > 100
    images = visited.page.evaluate(
        "[...document.querySelectorAll('svg image')].every(item => item.getBBox().width > 0)"
    )
    assert images


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [1360, 420])
def test_no_page_is_wider_than_its_window(pages, visit, name, width):
    page = visit(pages[name], width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_violation(pages, visit, name, scheme):
    assert visit(pages[name], scheme).find_violations() == []


def test_axe_would_find_one(pages, visit):
    visited = visit(pages["type"])
    visited.page.add_style_tag(content="figcaption { color: #999999 !important; }")
    assert any(item.startswith("color-contrast") for item in visited.find_violations())


@pytest.mark.parametrize("name", ["type", "comparison"])
def test_tables_sort_by_value_in_both_directions(pages, visit, name):
    page = visit(pages[name]).page
    table = page.locator("table.sortable").first
    button = table.locator("thead th").nth(1).locator("button")
    button.click()
    rising = table.evaluate(COLUMN)
    assert table.locator("thead th").nth(1).get_attribute("aria-sort") == "ascending"
    button.press("Enter")
    falling = table.evaluate(COLUMN)
    assert table.locator("thead th").nth(1).get_attribute("aria-sort") == "descending"
    assert rising == sorted(rising)
    assert falling == rising[::-1]
    assert len(set(rising)) > 1


def test_the_filter_hides_rows_without_the_word(pages, visit):
    page = visit(pages["type"]).page
    box = page.get_by_label("Filter rows of Table of metrics")
    box.fill("recall")
    shown = page.locator("#metrics tbody tr:visible")
    assert 0 < shown.count() < page.locator("#metrics tbody tr").count()
    assert all("recall" in text.lower() for text in shown.all_text_contents())
    box.fill("")
    assert page.locator("#metrics tbody tr[hidden]").count() == 0


def test_the_theme_switches_and_is_remembered(pages, visit, scheme):
    page = visit(pages["energy"], scheme).page
    back = "getComputedStyle(document.body).backgroundColor"
    line = "getComputedStyle(document.querySelector('#figure-loss text')).fill"
    before = page.evaluate(f"[{back}, {line}]")
    page.locator("#theme").click()
    after = page.evaluate(f"[{back}, {line}]")
    assert before[0] != after[0]
    assert before[1] != after[1]
    page.reload()
    assert page.evaluate(f"[{back}, {line}]") == after


def test_the_keyboard_reaches_everything_and_sees_where_it_is(pages, visit):
    page = visit(pages["cameradirection"]).page
    n_focusable = page.evaluate(FOCUSABLE)
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS)[1] == "Skip to content"
    reached = []
    for _ in range(n_focusable - 1):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUS))
    assert all(area > 0 for *_, area in reached)
    assert "BODY" not in {tag for tag, *_ in reached}
    assert reached[-1][0] in ("PRE", "A", "SUMMARY", "DIV", "INPUT", "BUTTON")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_skip_link_leads_to_the_content(pages, visit):
    page = visit(pages["type"]).page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_figures_and_numbers_can_be_saved(pages, visit, tmp_path):
    page = visit(pages["type"], "dark").page
    with page.expect_download() as caught:
        page.locator("[data-save=roc]").click()
    picture = tmp_path / caught.value.suggested_filename
    caught.value.save_as(picture)
    text = picture.read_text(encoding="utf-8")
    assert picture.name == "roc.svg"
    assert text.startswith("<svg")
    assert "var(" not in text
    assert "#0a6cb0" in text
    with page.expect_download() as caught:
        page.locator("#figure-roc .save a").click()
    table = tmp_path / caught.value.suggested_filename
    caught.value.save_as(table)
    assert table.name == "roc.csv"
    assert table.read_text().startswith("run,background_efficiency,signal_efficiency,threshold")


def test_a_page_prints_on_paper_with_its_details_open(pages, visit):
    page = visit(pages["type"]).page
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.locator("#theme").is_hidden()
    document = page.pdf(prefer_css_page_size=True, print_background=True)
    assert document.startswith(b"%PDF")
    assert page.locator("details.card:not([open])").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"

"""The page about the training files: content, structure, nothing from outside."""

import copy

import pytest

from cherenkov_mlops.reporting.data_page import render_data_page
from page_checks import check_page
from simulated import describe_files, load_study, study

FIGURES = ("energy", "intensity", "core", "offset", "telescopes")


@pytest.fixture(scope="module")
def described(dl1_files, tmp_path_factory) -> dict:
    """Content of ``data.json`` for two classes with names of their own."""
    classes = {"signal": "cosmics & co", "background": "<nsb>"}
    content = study("type", dl1_files, data={"classes": classes})
    config, _ = load_study(tmp_path_factory.mktemp("described"), content)
    return describe_files(config)


def test_the_page_is_whole_and_small(described):
    text = render_data_page(described)
    page = check_page(text)
    assert {f"figure-data_{name}" for name in FIGURES} <= set(page.ids)
    assert {"checks", "simulation", "samples", "distributions", "images", "files"} <= set(page.ids)
    assert text.count('class="card example"') == 8
    assert len(text.encode()) < 1_500_000


def test_classes_bear_the_names_of_the_configuration(described):
    text = render_data_page(described)
    assert "cosmics &amp; co" in text
    assert "&lt;nsb&gt;" in text
    assert "<nsb>" not in text
    assert "proton: " not in text and "gamma: " not in text


def test_legends_say_how_many_and_axes_say_their_unit(described):
    text = render_data_page(described)
    counts = described["figures"]["data_energy"]
    for kind, words in (("all", "all"), ("kept", "after the cuts")):
        n = sum(counts[kind]["cosmics & co"])
        assert f"cosmics &amp; co: {words}, N = {n:,}" in text
    for label in ("True energy [TeV]", "Intensity [p.e.]", "of the core [m]", "pointing [deg]"):
        assert label in text


def test_equal_descriptions_give_equal_bytes(described):
    assert render_data_page(described) == render_data_page(copy.deepcopy(described))


def test_findings_stand_at_the_top_the_worst_first(described):
    other = copy.deepcopy(described)
    other["findings"] = [
        {"level": "hint", "check": "core", "text": "A small thing."},
        {"level": "failure", "check": "pointing", "text": "A grave thing."},
        {"level": "warning", "check": "mask", "text": "An odd thing."},
    ]
    text = render_data_page(other)
    places = [text.index(words) for words in ("A grave", "An odd", "A small", 'id="simulation"')]
    assert places == sorted(places)
    assert "1 failure, 1 warning, 1 hint" in text
    assert "Doubtful" in text
    other["findings"] = []
    assert "All clear" in render_data_page(other)


def test_a_class_without_showers_and_figures_without_data(described):
    other = copy.deepcopy(described)
    other["classes"][1] |= {"has_showers": False, "particles": {"no shower": 5}}
    for kind in ("all", "kept"):
        counts = other["figures"]["data_energy"][kind]
        counts["<nsb>"] = [0] * len(counts["<nsb>"])
    other["figures"]["data_core"] = {}
    other["examples"] = {"cameras": {}, "events": []}
    other["files"][0] |= {"energy_range_tev": [0.0, 0.0], "pointings": [[20.0, 0.0], [40.0, 0.0]]}
    text = render_data_page(other)
    check_page(text)
    assert "no shower (5)" in text
    assert "2 different" in text
    assert 'id="figure-data_core"' not in text


def test_files_that_are_not_listed_are_counted(described):
    text = render_data_page(described | {"n_files": 500})
    assert "498 more files are in manifest.json" in text

"""Distributions of the training files: numbers that agree with the split."""

import json

import numpy as np
import pytest

from cherenkov_mlops.data.distributions import gather_distributions
from cherenkov_mlops.data.file_look import Candidate
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.data.sample_images import BRIGHTNESS, pick_candidates
from simulated import describe_files, load_study, study


@pytest.fixture(scope="module")
def described(dl1_files, tmp_path_factory) -> dict:
    """Content of ``data.json`` for a run of the task ``type``."""
    config, _ = load_study(tmp_path_factory.mktemp("described"), study("type", dl1_files))
    return describe_files(config)


def total(arrays: dict, kind: str) -> dict[str, int]:
    return {name: sum(counts) for name, counts in arrays[kind].items()}


def test_histograms_hold_all_events(described):
    n_showers = {each["name"]: each["n_showers"] for each in described["classes"]}
    figures = described["figures"]
    for name in ("data_energy", "data_core", "data_offset"):
        assert total(figures[name], "all") == n_showers
        assert total(figures[name], "kept") == total(figures["data_energy"], "kept")
    files = {file["label"]: file for file in described["files"]}
    for kind, key in (("all", "n_images"), ("kept", "n_passing")):
        expected = {"gamma": files["signal"][key], "proton": files["background"][key]}
        assert total(figures["data_telescopes"], kind) == expected
    assert total(figures["data_intensity"], "kept") == expected


def test_the_content_is_json(described):
    assert json.loads(json.dumps(described, allow_nan=False)) == described


def test_a_point_source_has_one_offset(described):
    filled = np.flatnonzero(described["figures"]["data_offset"]["all"]["gamma"])
    assert list(filled) == [0]


def test_images_go_from_faint_to_bright(described):
    events = described["examples"]["events"]
    for label in ("signal", "background"):
        of_class = [event for event in events if event["label"] == label]
        assert [event["kind"] for event in of_class] == list(BRIGHTNESS)
        intensities = [event["intensity"] for event in of_class]
        assert intensities == sorted(intensities) and intensities[0] > 50


def test_events_are_left_as_the_split_has_them(completed_runs):
    for task in ("type", "skydirection"):
        config, run_dir = completed_runs[task]
        described = json.loads(run_dir.data_description.read_text())
        manifest = json.loads(run_dir.manifest.read_text())
        n_left = sum(total(described["figures"]["data_energy"], "kept").values())
        n_split = sum(sum(part.values()) for part in manifest["counts"]["sets"].values())
        if config.data.mode == "stereo":
            assert n_left == n_split
        else:
            images = total(described["figures"]["data_telescopes"], "kept")
            assert sum(images.values()) == n_split
        assert described["counts"]["sets"] == manifest["counts"]["sets"]


def test_rows_that_do_not_line_up_give_the_same_image(dl1_files, tmp_path):
    config, _ = load_study(tmp_path, study("energy", dl1_files, data={"force_dl1_lookup": True}))
    looked_up = gather_distributions(config, inspect_inputs(config, "train"))
    config, _ = load_study(tmp_path, study("energy", dl1_files))
    assert gather_distributions(config, inspect_inputs(config, "train"))["signal"].candidates == (
        looked_up["signal"].candidates
    )


def test_no_image_is_shown_twice(tmp_path):
    few = [Candidate(10.0 * number, 1.0, tmp_path, 1, number) for number in (1, 2, 3)]
    picked = pick_candidates(few)
    assert len(set(picked.values())) == len(picked) == 3
    assert pick_candidates([]) == {}


def test_a_class_without_light_shows_its_night_sky(tmp_path):
    dark = [Candidate(0.0, np.nan, tmp_path, number, 0) for number in (1, 2, 3)]
    assert list(pick_candidates(dark).values()) == dark[:2]
    bright = Candidate(50.0, 1.0, tmp_path, 4, 0)
    assert list(pick_candidates([*dark, bright]).values()) == [bright]

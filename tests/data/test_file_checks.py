"""Damaged files: each with one line that says where, what was expected, what came."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tables

from cherenkov_mlops.data import image_checks
from cherenkov_mlops.data.dl1_file import inspect_dl1
from cherenkov_mlops.data.inputs import Inputs, inspect_inputs
from cherenkov_mlops.errors import DataError, UserError
from simulated import load_study, merge, study

EVENT = "/dl1/event/telescope"
IMAGES = f"{EVENT}/images/tel_021"
PARAMETERS = f"{EVENT}/parameters/tel_021"
SHOWERS = "/simulation/event/subarray/shower"


@pytest.fixture
def inspect(dl1_files, tmp_path) -> Callable[..., Inputs]:
    """Function that checks a copy of a good file, changed by a function of the open file."""

    def run(change: Callable[[tables.File], None] | None = None, **data) -> Inputs:
        path = tmp_path / "changed.dl1.h5"
        shutil.copyfile(dl1_files["gamma_train"], path)
        if change is not None:
            with tables.open_file(path, "r+") as file:
                change(file)
        content = merge(study("energy", dl1_files), {"data": data})
        content["data"]["train"]["signal"] = str(path)
        config, _ = load_study(tmp_path, content)
        return inspect_inputs(config, "train")

    return run


@pytest.fixture
def refuse(inspect) -> Callable[..., str]:
    """Function that gives the one line with which a changed file is refused."""

    def run(change: Callable[[tables.File], None] | None = None, **data) -> str:
        with pytest.raises(DataError) as caught:
            inspect(change, **data)
        assert "\n" not in str(caught.value)
        assert "changed.dl1.h5" in str(caught.value)
        return str(caught.value)

    return run


def edit(file: tables.File, node: str, change: Callable[[np.ndarray], None]) -> None:
    table = file.get_node(node)
    rows = table.read()
    change(rows)
    table.modify_rows(0, rows=rows)
    table.flush()


def swap(rows: np.ndarray) -> None:
    rows[[3, 5]] = rows[[5, 3]]


def only_file(inputs: Inputs):
    (file,) = inputs.all_files()
    return file


def test_a_good_file_passes_with_its_facts(inspect):
    file = only_file(inspect())
    (production,) = file.productions
    assert (production.spectral_index, production.energy_max_tev) == (-2.0, 100.0)
    assert production.viewcone_deg == (0.0, 0.0)
    assert production.n_thrown >= file.n_showers
    assert file.pointings == [(20.0, 0.0)]
    assert file.particles == {"gamma": file.n_showers}
    assert 0 < file.n_passing < sum(file.images.values())
    assert file.n_empty == 0


def test_rows_that_do_not_line_up_are_refused_or_looked_up(inspect, refuse):
    message = refuse(lambda file: edit(file, IMAGES, swap))
    assert "telescope 21, row 3: expected the image of obs_id" in message
    assert "(2 such rows)" in message and "data.force_dl1_lookup: true" in message
    aligned = only_file(inspect())
    looked_up = only_file(inspect(lambda file: edit(file, IMAGES, swap), force_dl1_lookup=True))
    assert looked_up.n_passing == aligned.n_passing


def test_a_missing_image_is_no_obstacle_where_images_are_looked_up(inspect):
    def shorten(file):
        file.get_node(IMAGES).remove_rows(0, 2)

    assert only_file(inspect(shorten, force_dl1_lookup=True)).n_passing > 0


def test_pixels_are_judged_by_the_parameters_of_their_own_row(refuse):
    def spoil(file):
        intensity = file.get_node(PARAMETERS).col("hillas_intensity")
        row = int(np.flatnonzero(intensity > 100)[0])

        def break_and_move(rows):
            rows["image"][row] = 0
            rows[:] = np.roll(rows, 1)

        edit(file, IMAGES, break_and_move)

    assert "all-zero image (1 such rows)" in refuse(spoil, force_dl1_lookup=True)


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (SHOWERS, "shower, row 1: expected each event once, got obs_id"),
        ("/dl1/event/subarray/trigger", "trigger, row 1: expected each event once"),
        (IMAGES, "telescope 21, row 1: expected each image once"),
    ],
)
def test_what_is_there_twice(refuse, node, words):
    def repeat(rows):
        rows[1] = rows[0]

    assert words in refuse(lambda file: edit(file, node, repeat))


def test_a_column_of_the_truth_is_missing(refuse):
    def drop(file):
        table = file.get_node(SHOWERS)
        rows, names = table.read(), [name for name in table.colnames if name != "true_x_max"]
        attributes = {name: table._v_attrs[name] for name in table._v_attrs._f_list()}
        file.remove_node(SHOWERS)
        made = file.create_table(*SHOWERS.rsplit("/", 1), obj=rows[names].copy())
        for name, value in attributes.items():
            made._v_attrs[name] = value

    assert "expected a column 'true_x_max'" in refuse(drop)


def test_a_run_without_settings_or_pointing(refuse):
    def forget(rows):
        rows["obs_id"] = 77

    message = refuse(lambda file: edit(file, "/configuration/simulation/run", forget))
    assert "expected the settings of all runs, got none of obs_id" in message
    node = "/configuration/telescope/pointing/tel_021"
    assert "expected a pointing in all runs" in refuse(lambda file: edit(file, node, forget))


def test_empty_masks_are_counted_among_those_that_pass(inspect):
    def empty(file):
        intensity = file.get_node(PARAMETERS).col("hillas_intensity")
        bright = np.flatnonzero(intensity > 50)[:7]

        def clear(rows):
            rows["image_mask"][bright] = False
            # Below the cut: not counted.
            rows["image_mask"][intensity < 50] = False

        edit(file, IMAGES, clear)

    assert only_file(inspect(empty)).n_empty == 7
    without_cuts = only_file(inspect(quality_criteria=[]))
    assert without_cuts.n_passing == sum(without_cuts.images.values())
    parameters = without_cuts.n_passing - without_cuts.n_empty
    assert (
        parameters
        == only_file(inspect(quality_criteria=[["any", "hillas_intensity > 0"]])).n_passing
    )


def test_cuts_may_use_truth_and_trigger(inspect):
    cuts = [["bright", "hillas_intensity > 50"]]
    all_images = only_file(inspect(quality_criteria=cuts)).n_passing
    for cut in ("true_energy > 5", "tels_with_trigger.sum(axis=1) > 1"):
        assert 0 < only_file(inspect(quality_criteria=[*cuts, ["x", cut]])).n_passing < all_images


def test_a_cut_that_cannot_be_computed_is_named_before_pixels_are_read(inspect, monkeypatch):
    monkeypatch.setattr(image_checks, "_read_images", None)
    with pytest.raises(UserError) as caught:
        inspect(quality_criteria=[["bright", "hillas_intensty > 50"]])
    message = str(caught.value)
    assert "study.yaml:" in message and "data.quality_criteria" in message
    assert "'hillas_intensty' is not defined" in message and "hillas_intensity" in message
    assert "\n" not in message


def test_waveforms_that_are_not_there(refuse):
    message = refuse(reader="waveforms")
    assert "telescope 21: expected waveforms in /r1/event/telescope/tel_021" in message


def test_events_without_a_shower_have_no_energy(inspect):
    def darken(rows):
        for name in ("true_energy", "true_core_x", "true_core_y"):
            rows[name] = np.nan

    file = only_file(inspect(lambda file: edit(file, SHOWERS, darken)))
    assert file.energy_range_tev == (0.0, 0.0)
    assert file.particles == {"no shower": file.n_showers}


def test_large_cameras_are_read_in_small_pieces(inspect, monkeypatch):
    expected = only_file(inspect())
    monkeypatch.setattr(image_checks, "BYTES_A_PIECE", 1)
    assert only_file(inspect()).n_passing == expected.n_passing


def test_facts_survive_a_manifest(dl1_files):
    file = inspect_dl1(Path(dl1_files["proton_train"]))
    content = file.as_dict()
    content["images"] = {str(number): n for number, n in content["images"].items()}
    assert type(file).from_dict(content) == file
    old = {name: content[name] for name in list(content)[:7]}
    assert type(file).from_dict(old).productions == []

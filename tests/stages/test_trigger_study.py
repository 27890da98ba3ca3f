"""A trigger study: waveforms of showers against windows with night-sky light alone."""

import json

import pytest

from cherenkov_mlops.commands import simulate
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.pipeline import chain as run
from cherenkov_mlops.stages import prepare
from simulated import load_study, study

CLASSES = {"signal": ("cosmics", "proton"), "background": ("nsb", "nsb")}


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """Files of readout windows by class and part."""
    folder = tmp_path_factory.mktemp("windows")
    files = {}
    for seed, (part, n_images) in enumerate({"train": 320, "test": 160}.items()):
        for label, (name, particle) in CLASSES.items():
            files[part, label] = simulate.run(
                folder / f"{name}_{part}.dl1.h5",
                particle=particle,
                n_images=n_images,
                seed=seed,
                waveforms=True,
            )
    return files


def trigger_study(folder, windows, **data):
    """Configuration and run folder of a study on the windows."""
    # `study` names the files of its classes by particles.
    names = {"gamma": "signal", "proton": "background"}
    files = {
        f"{name}_{part}": windows[part, label]
        for part in ("train", "test")
        for name, label in names.items()
    }
    content = study("type", files)
    content["data"] |= {
        "reader": "waveforms",
        "sequence_length": 16,
        "classes": {label: name for label, (name, _) in CLASSES.items()},
        "image_mapper_type": "AxialMapper",
        "quality_criteria": [],
        **data,
    }
    content["train"]["n_epochs"] = 5
    return load_study(folder, content)


def test_showers_are_told_from_the_night_sky(windows, tmp_path):
    config, run_dir = trigger_study(tmp_path, windows)
    run.run(config, run_dir)
    results = json.loads(run_dir.metrics.read_text(encoding="utf-8"))
    assert results["tasks"]["type"]["metrics"]["auc"]["value"] > 0.95
    page = run_dir.report.read_text(encoding="utf-8")
    assert "cosmics" in page and "nsb" in page
    # Energies are known for the showers alone: each bin of them is compared with all windows.
    assert results["run"]["classes"] == {"signal": "cosmics", "background": "nsb"}


def test_files_without_waveforms_are_refused(windows, dl1_files, tmp_path):
    files = windows | {("train", "signal"): dl1_files["proton_train"]}
    config, run_dir = trigger_study(tmp_path, files)
    with pytest.raises(DataError, match="proton_train.*/r1/event/telescope"):
        prepare.run(config, run_dir)


def test_a_sequence_longer_than_the_window_is_refused(windows, tmp_path):
    config, run_dir = trigger_study(tmp_path, windows, sequence_length=51)
    with pytest.raises(DataError, match="expected 1 to 50 samples"):
        prepare.run(config, run_dir)

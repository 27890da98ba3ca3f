"""What is odd about files, though they can be used: one finding for each oddity, none without."""

from dataclasses import replace

import pytest

from cherenkov_mlops.data.comparability import class_findings, training_findings
from cherenkov_mlops.data.findings import (
    DataClass,
    balance_findings,
    file_findings,
    join,
    particle_findings,
    share,
    tell,
)
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.data.overlap import overlap_findings
from cherenkov_mlops.data.production import Production
from simulated import load_study, study

THROWN = Production(-2.0, 0.1, 100.0, (0.0, 5.0), 400.0, 1000)
GAMMA = DataClass("signal", "gamma", [THROWN], [(20.0, 180.0)], {"gamma": 50}, 1, 50)
PROTON = DataClass("background", "proton", [THROWN], [(20.0, 180.0)], {"proton": 50}, 1, 50)


def thrown(**changes) -> dict:
    return {"productions": [replace(THROWN, **changes)]}


def test_classes_that_are_alike_give_no_finding():
    assert class_findings([GAMMA, PROTON]) == []
    assert class_findings([GAMMA]) == []
    assert particle_findings([GAMMA, PROTON]) == []


@pytest.mark.parametrize(
    ("changes", "level", "check", "words"),
    [
        ({"pointings": [(40.0, 180.0)]}, "failure", "pointing", "zenith 20 deg, 'proton' at 40"),
        ({"pointings": [(20.0, 180.0), (40.0, 0.0)]}, "warning", "pointing", "Zenith 40 deg is"),
        ({"pointings": [(20.0, 0.0)]}, "warning", "pointing", "Azimuth 180 deg"),
        (thrown(spectral_index=-2.7), "warning", "spectrum", "index -2, 'proton' with -2.7"),
        (thrown(energy_max_tev=250.0), "hint", "spectrum", "from 0.1 to 250 TeV: usual"),
        (thrown(energy_min_tev=1.0), "warning", "spectrum", "from 1 to 100 TeV: where only one"),
        (thrown(viewcone_deg=(0.0, 0.0)), "warning", "direction", "'proton' from one direction"),
        (thrown(viewcone_deg=(0.0, 10.0)), "warning", "direction", "from a cone of 10 deg"),
        (thrown(scatter_radius_m=800.0), "hint", "core", "up to 800 m"),
    ],
)
def test_what_a_classifier_could_learn_instead(changes, level, check, words):
    found = class_findings([GAMMA, replace(PROTON, **changes)])
    assert {(finding.level, finding.check) for finding in found} == {(level, check)}
    assert any(words in finding.text for finding in found)
    assert all("\n" not in finding.text for finding in found)


@pytest.mark.parametrize(
    "pointings", [[(20.4, 180.0)], [(20.0, 183.0)], [(20.0, 180.0), (19.8, 179.0)]]
)
def test_pointings_that_hardly_differ_are_the_same(pointings):
    assert class_findings([GAMMA, replace(PROTON, pointings=pointings)]) == []


def test_azimuths_wrap_around_and_do_not_matter_at_the_zenith():
    north = [replace(each, pointings=[(20.0, az)]) for each, az in ((GAMMA, 359.0), (PROTON, 1.0))]
    assert class_findings(north) == []
    up = [replace(each, pointings=[(0.0, az)]) for each, az in ((GAMMA, 0.0), (PROTON, 90.0))]
    assert class_findings(up) == []


def test_settings_that_differ_between_files_of_a_class():
    mixed = replace(GAMMA, productions=[THROWN, replace(THROWN, spectral_index=-2.7)])
    (finding,) = class_findings([mixed])
    assert "2 different settings" in finding.text


def test_open_windows_have_no_spectrum_to_compare():
    dark = {"particles": {"no shower": 50}, **thrown(spectral_index=-3.0, energy_min_tev=1.0)}
    nsb = replace(PROTON, name="nsb", **dark)
    cosmics = replace(GAMMA, name="cosmics", particles={"proton": 50})
    assert class_findings([cosmics, nsb]) == []
    assert particle_findings([cosmics, nsb]) == []


def test_muons_given_as_gammas():
    (finding,) = particle_findings([replace(GAMMA, particles={"muon": 50})])
    assert finding.level == "warning"
    assert "The class 'gamma' holds muon" in finding.text
    assert "data.classes.signal" in finding.text
    assert particle_findings([replace(GAMMA, name="Muon", particles={"muon": 50})]) == []


def test_mixed_and_shared_particles():
    mixed = replace(PROTON, name="cosmics", particles={"proton": 40, "helium": 10})
    (finding,) = particle_findings([GAMMA, mixed])
    assert finding.level == "hint" and "40 proton, 10 helium" in finding.text
    same = replace(PROTON, name="background", particles={"gamma": 50})
    (finding,) = particle_findings([GAMMA, same])
    assert finding.level == "warning" and "Both classes hold gamma" in finding.text


def test_test_files_that_leave_the_training():
    assert training_findings([GAMMA, PROTON], [GAMMA, PROTON]) == []
    (finding,) = training_findings([GAMMA], [replace(GAMMA, pointings=[(50.0, 180.0)])])
    assert "zenith 50 deg" in finding.text and "zenith 20 deg" in finding.text
    (finding,) = training_findings([GAMMA], [replace(GAMMA, particles={"electron": 3})])
    assert "hold electron" in finding.text
    # A manifest of an older version does not know the pointings.
    assert training_findings([replace(GAMMA, pointings=[], particles={})], [GAMMA]) == []


def test_balance():
    classes = [GAMMA, PROTON]
    assert balance_findings(classes, {"signal": 100, "background": 40}) == []
    (finding,) = balance_findings(classes, {"signal": 100, "background": 20})
    assert finding.level == "hint" and "100 gamma, 20 proton" in finding.text
    assert balance_findings([GAMMA], {"signal": 100}) == []


@pytest.fixture
def inputs(dl1_files, tmp_path):
    """Configuration and checked files of a run of the task ``type``."""
    config, _ = load_study(tmp_path, study("type", dl1_files))
    return config, inspect_inputs(config, "train")


def with_file(inputs, **changes):
    signal = [replace(file, **changes) for file in inputs.files["signal"]]
    return replace(inputs, files=inputs.files | {"signal": signal})


def test_good_files_give_no_finding(inputs):
    config, checked = inputs
    assert file_findings(config, checked) == []
    assert overlap_findings(config, checked) == []


def test_empty_masks_matter_to_cleaned_channels(inputs):
    config, checked = inputs
    (finding,) = file_findings(config, with_file(checked, n_empty=3))
    assert finding.level == "warning"
    assert finding.text.startswith("3 of ") and "empty cleaning mask" in finding.text
    raw = config.model_copy(update={"data": config.data.model_copy(update={"channels": ["image"]})})
    (finding,) = file_findings(raw, with_file(checked, n_empty=3))
    assert finding.level == "hint"


def test_telescopes_without_tables_are_listed(inputs):
    config, checked = inputs
    first, second = file_findings(config, replace(with_file(checked, images={22: 5}), idle=[7, 9]))
    assert "Telescopes 7, 9 have no images in any file" in first.text
    assert "21 (1 of 2 files)" in second.text


def test_files_that_share_run_numbers(inputs):
    config, checked = inputs
    background = checked.files["background"][0].obs_ids
    (finding,) = file_findings(config, with_file(checked, obs_ids=background))
    assert f"(obs_id) {background[0]}" in finding.text and finding.level == "hint"


def test_test_files_that_are_trained_on(dl1_files, tmp_path):
    (tmp_path / "broken.dl1.h5").write_text("no HDF5")
    files = [str(dl1_files["gamma_train"]), str(tmp_path / "*.dl1.h5"), str(tmp_path / "later.h5")]
    content = study("energy", dl1_files, data={"test": {"signal": files}})
    config, _ = load_study(tmp_path, content)
    inputs = inspect_inputs(config, "train")
    (finding,) = overlap_findings(config, inputs)
    n_events = inputs.all_files()[0].n_showers
    assert finding.level == "failure"
    assert f"gamma_train.dl1.h5 ({n_events} events)" in finding.text


def test_findings_are_said_once(caplog):
    findings = class_findings([GAMMA, replace(PROTON, **thrown(energy_max_tev=250.0))])
    findings += class_findings([GAMMA, replace(PROTON, pointings=[(40.0, 180.0)])])
    with caplog.at_level("INFO"):
        tell(findings)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


def test_shares_and_lists_in_words():
    assert [share(n, 1000) for n in (1, 34, 500)] == ["0.1 %", "3.4 %", "50 %"]
    assert join(range(8)) == "0, 1, 2, 3, 4, 5 and 2 more"

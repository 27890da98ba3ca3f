"""Event tables: the same numbers as ctapipe's own loader, and truth in, truth out."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import tables
from astropy.coordinates import angular_separation
from ctapipe.io import TableLoader

from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.dl1.preparation import open_reader
from cherenkov_mlops.dl1.split import examples_of
from cherenkov_mlops.dl2.read import read_events
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.prediction.predictor import predict_file

TRUTH = {
    "energy": ["log_true_energy"],
    "cameradirection": ["cam_coord_offset_x", "cam_coord_offset_y"],
    "skydirection": ["fov_lon", "fov_lat"],
}


def output_of(completed_runs, dl1_files, task):
    _, run_dir = completed_runs[task]
    return run_dir.dl2(dl1_files["gamma_test"], "signal")


def test_telescope_rows_are_those_of_ctapipe(completed_runs, dl1_files):
    path = output_of(completed_runs, dl1_files, "energy")
    ours, _ = read_events(path, "energy", "mono", signal=True)
    with TableLoader(path, dl2=True, simulated=True) as loader:
        table = loader.read_telescope_events()
    table = table[table["CTLearnRegressor_tel_is_valid"]]
    theirs = table["obs_id", "event_id", "tel_id", "CTLearnRegressor_tel_energy", "true_energy"]
    theirs = theirs.to_pandas().sort_values(["event_id", "tel_id"], ignore_index=True)
    ours = ours.sort_values(["event_id", "tel_id"], ignore_index=True)
    np.testing.assert_array_equal(ours["tel_id"], theirs["tel_id"])
    np.testing.assert_allclose(ours["reco_energy"], theirs["CTLearnRegressor_tel_energy"])
    np.testing.assert_allclose(ours["true_energy"], theirs["true_energy"])


def test_array_rows_are_those_of_ctapipe(completed_runs, dl1_files):
    path = output_of(completed_runs, dl1_files, "skydirection")
    ours, n_invalid = read_events(path, "skydirection", "stereo", signal=True)
    with TableLoader(path, dl2=True, simulated=True) as loader:
        table = loader.read_subarray_events()
    valid = table["CTLearnSkyReconstructor_is_valid"]
    assert len(ours) == valid.sum() and n_invalid == (~valid).sum()
    np.testing.assert_allclose(
        ours.sort_values("event_id")["reco_alt"],
        table[valid].to_pandas().sort_values("event_id")["CTLearnSkyReconstructor_alt"],
    )


@pytest.mark.parametrize("task", list(TRUTH))
def test_truth_in_truth_out(completed_runs, dl1_files, tmp_path, task):
    """A network that predicts the training targets exactly has no error in the DL2 file."""

    class Truth:
        """Answers with the labels, batch after batch, in the order of the reader."""

        tasks, sees, frame = (task,), ("images",), "camera"

        def __init__(self, values):
            self.values, self.n_done = values, 0

        def predict(self, batch):
            rows = slice(self.n_done, self.n_done + len(batch["images"]))
            self.n_done = rows.stop
            return {task: self.values[rows]}

    config, run_dir = completed_runs[task]
    inputs = inspect_inputs(config, "test", read_manifest(run_dir).inputs)
    single = replace(inputs, files={"signal": inputs.files["signal"]})
    with open_reader(config, single) as reader:
        events = examples_of(reader)
        names = [np.asarray(events[name], dtype=float) for name in TRUTH[task]]
    output = tmp_path / "truth.dl2.h5"
    predict_file(config, [Truth(np.stack(names, axis=1))], single, output)
    events, _ = read_events(output, task, config.data.mode, signal=True)
    if task == "energy":
        np.testing.assert_allclose(events["reco_energy"], events["true_energy"], rtol=1e-5)
        return
    names = ("true_az", "true_alt", "reco_az", "reco_alt")
    error = angular_separation(*(np.deg2rad(events[name]) for name in names))
    assert len(events) > 50
    assert np.rad2deg(error).max() < 1e-4


def test_pointing_is_that_of_the_simulation(completed_runs, dl1_files):
    path = output_of(completed_runs, dl1_files, "cameradirection")
    events, _ = read_events(path, "cameradirection", "mono", signal=True)
    assert set(np.round(events["pointing_alt"], 6)) == {70.0}
    distance = angular_separation(
        *(np.deg2rad(events[n]) for n in ("true_az", "true_alt", "pointing_az", "pointing_alt"))
    )
    assert np.rad2deg(distance).max() < 5


def test_a_prediction_without_truth_is_refused(completed_runs, dl1_files, tmp_path):
    path = tmp_path / "no_truth.dl2.h5"
    shutil.copyfile(output_of(completed_runs, dl1_files, "energy"), path)
    with tables.open_file(path, "r+") as file:
        file.root.simulation.event.subarray.shower.remove_rows(0, 5)
    with pytest.raises(DataError, match="have no truth"):
        read_events(path, "energy", "mono", signal=True)

"""From simulation files to a tested run: convert, merge, slim, prepare, train, test."""

import numpy as np
import pytest
import tables

from cherenkov_mlops.commands import convert, merge, slim
from cherenkov_mlops.conversion.options import ConvertOptions
from cherenkov_mlops.conversion.slimming import SlimOptions
from cherenkov_mlops.data.dl1_file import inspect_dl1
from cherenkov_mlops.pipeline import chain as run
from cherenkov_mlops.results import read_results
from hdf5_content import read_tables
from simulated import TINY_MODEL, load_study
from simulated import merge as merge_settings

IMAGES = "/dl1/event/telescope/images/"
FILES = {
    "type": ("gamma_mst_flashcam.simtel.gz", "proton_mst_flashcam.simtel.zst"),
    "energy": ("gamma_sst1m_prod4.simtel.zst",),
}


def raw_study(task, files):
    """Tiny study on the files: FlashCam for the particle type, SST-1M for the energy."""
    sides = dict(zip(("signal", "background"), map(str, files), strict=False))
    content = {
        "run": {"name": f"raw_{task}", "dir": "runs", "seed": 1},
        "task": task,
        "data": {
            "train": sides,
            "test": sides,
            "image_mapper_type": "AxialMapper",
            "focal_length_choice": "EQUIVALENT",
            "enforce_subarray_equality": False,
        },
        "model": TINY_MODEL,
        "train": {"n_epochs": 1, "batch_size": 16, "validation_split": 0.3},
        "test": {"batch_size": 16, "n_bootstrap": 10},
    }
    kinds = {"data": {"allowed_tel_types": ["MST_MST_FlashCam"]}} if task == "type" else {}
    return merge_settings(content, kinds)


@pytest.mark.parametrize("task", FILES)
def test_from_raw_simulation_to_a_tested_run(real_data, tmp_path, task):
    sources = [str(real_data / "simtel" / name) for name in FILES[task]]
    options = ConvertOptions(waveforms=True, focal_length="EQUIVALENT")
    converted = convert.run(sources, tmp_path / "dl1", options)
    files = []
    for each in converted:
        name = each.output.name.partition(".")[0]
        (merged,) = merge.run([str(each.output)], tmp_path / "merged", name=name)
        (small,) = slim.run([str(merged)], tmp_path / "slim", SlimOptions())
        assert small.stat().st_size <= 0.15 * merged.stat().st_size
        check_content(small, real_data / "dl1" / small.name)
        files.append(small)
    config, run_dir = load_study(tmp_path, raw_study(task, files))
    run.run(config, run_dir)
    assert sum(task.test.total for task in read_results(run_dir.metrics).tasks.values()) > 20


def check_content(path, reference):
    """Counts and images are those of the file that ctapipe alone made."""
    mine, theirs = inspect_dl1(path), inspect_dl1(reference)
    assert (mine.n_showers, mine.images) == (theirs.n_showers, theirs.images)
    expected = read_tables(reference)
    with tables.open_file(path) as file:
        for name in (name for name in expected if name.startswith(IMAGES)):
            assert np.array_equal(file.get_node(name).col("image"), expected[name]["image"])

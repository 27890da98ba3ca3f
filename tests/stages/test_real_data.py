"""The chain on real telescope simulations: too few for physics, right for behaviour."""

import numpy as np
import pytest
import tables

from cherenkov_mlops.dl2.read import read_events
from cherenkov_mlops.pipeline import chain as run
from cherenkov_mlops.results import read_results
from simulated import TINY_MODEL, load_study, merge

PARAMETERS = "/dl1/event/telescope/parameters"


def real_study(task, folder, **over):
    """Tiny study on the real files: FlashCam for the particle type, SST-1M for the rest."""
    if task == "type":
        signal, background = (
            str(folder / "dl1" / f"{particle}_mst_flashcam.dl1.h5")
            for particle in ("gamma", "proton")
        )
        files = {"signal": signal, "background": background}
        telescopes = {"allowed_tel_types": ["MST_MST_FlashCam"]}
    else:
        files = {"signal": str(folder / "dl1" / "gamma_sst1m_prod4.dl1.h5")}
        telescopes = {}
    content = {
        "run": {"name": f"real_{task}", "dir": "runs", "seed": 1},
        "task": task,
        "data": {
            "train": files,
            "test": files,
            "image_mapper_type": "AxialMapper",
            "focal_length_choice": "EQUIVALENT",
            "enforce_subarray_equality": False,
            **telescopes,
        },
        "model": TINY_MODEL,
        "train": {"n_epochs": 1, "batch_size": 16, "validation_split": 0.3},
        "test": {"batch_size": 16, "n_bootstrap": 10},
    }
    return merge(content, over)


@pytest.mark.parametrize("task", ["type", "energy", "cameradirection"])
def test_the_chain_runs(real_data, tmp_path, task):
    config, run_dir = load_study(tmp_path, real_study(task, real_data))
    run.run(config, run_dir)
    results = read_results(run_dir.metrics)
    # Training and testing on the same file is said, never hidden.
    assert len(results.data.overlap) == (2 if task == "type" else 1)
    n_valid = n_rows = 0
    for label in ("signal", "background"):
        for pattern in getattr(config.data.test, label):
            output = run_dir.dl2(pattern, label)
            events, n_invalid = read_events(output, task, "mono", signal=label == "signal")
            n_valid += len(events)
            n_rows += len(events) + n_invalid
            check_rows(pattern, output, events)
    assert n_valid == results.tasks[task].test.total
    assert n_rows > n_valid > 40


def check_rows(source, output, events):
    """As many rows as DL1 has for the telescopes used; the bright ones are the valid ones."""
    with tables.open_file(source) as dl1, tables.open_file(output) as dl2:
        tables_of_dl2 = {table.name for table in dl2.iter_nodes(PARAMETERS, "Table")}
        bright = 0
        for name in tables_of_dl2:
            table = dl1.get_node(f"{PARAMETERS}/{name}")
            assert len(dl2.get_node(f"{PARAMETERS}/{name}")) == len(table)
            bright += int((table.col("hillas_intensity") > 50).sum())
    assert len(events) == bright
    assert np.isfinite(events.select_dtypes("number").to_numpy()).all()

"""What a model sees beside pixels: rows as in the file, and views that nobody reads refused."""

import numpy as np
import pytest
import tables

from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.dl1.parameters import check_views, read_parameters
from cherenkov_mlops.dl1.preparation import open_reader
from cherenkov_mlops.errors import DataError, UserError
from simulated import load_study, study


def test_rows_are_those_of_the_examples(dl1_files, tmp_path):
    config, _ = load_study(tmp_path, study("type", dl1_files))
    inputs = inspect_inputs(config, "train")
    with open_reader(config, inputs) as reader:
        rows = np.random.default_rng(1).permutation(reader.get_n_events())[:50]
        found = read_parameters(reader, rows)["hillas_width"]
        examples = reader.example_identifiers[rows]
        files = list(reader.files)
    expected = {}
    for index, path in enumerate(files):
        with tables.open_file(path) as file:
            for table in file.iter_nodes("/dl1/event/telescope/parameters", "Table"):
                columns = (table.col(name).tolist() for name in ("event_id", "tel_id"))
                widths = table.col("hillas_width")
                for event_id, tel_id, width in zip(*columns, widths, strict=True):
                    expected[index, event_id, tel_id] = width
    names = ("file_index", "event_id", "tel_id")
    keys = zip(*(np.asarray(examples[name]).tolist() for name in names), strict=True)
    np.testing.assert_allclose(found, [expected[key] for key in keys])


def test_array_events_have_none(dl1_files, tmp_path):
    config, _ = load_study(tmp_path, study("skydirection", dl1_files))
    with (
        open_reader(config, inspect_inputs(config, "train")) as reader,
        pytest.raises(DataError, match="write mono"),
    ):
        read_parameters(reader, np.arange(3))


def test_a_view_that_is_not_read_is_refused(dl1_files, tmp_path):
    config, _ = load_study(tmp_path, study("energy", dl1_files))
    check_views(config, {"images", "parameters"})
    with pytest.raises(UserError, match=r"the model sees waveforms, expected any of parameters, i"):
        check_views(config, {"images", "waveforms"})

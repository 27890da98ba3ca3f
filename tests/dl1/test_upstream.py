"""Each defect of CTLearn that our tools cure: seen in CTLearn, absent here.

The first tests to fail when upstream moves. The letters are those of docs/upstream.md.
"""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tables
from astropy.table import Table
from ctapipe.core import run_tool as run_stock_tool
from ctapipe.core.tool import ToolConfigurationError
from ctapipe.io import TableLoader, read_table
from ctapipe.tools.merge import MergeTool
from ctlearn.core.loader import DLDataLoader
from ctlearn.core.model import ResNet
from ctlearn.tools.predict_model import MonoPredictCTLearnModel
from ctlearn.tools.train_model import TrainCTLearnModel
from dl1_data_handler.reader import DLImageReader
from traitlets.config import Config

from cherenkov_mlops.commands import simulate
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.data.manifest import read_manifest
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.reader import CuredImageReader
from cherenkov_mlops.dl1.split import split_events
from cherenkov_mlops.dl2.read import read_events
from cherenkov_mlops.models.base import load_model
from cherenkov_mlops.prediction.predictor import predict_file

CLASSIFIER = "/dl2/event/telescope/particle_type/CTLearnClassifier"


def open_both(files, channels, **options):
    """CTLearn's reader and ours on the same files."""
    traits = Config(
        {"DLImageReader": {"channels": channels, "image_mapper_type": "ShiftingMapper", **options}}
    )
    stock = DLImageReader(input_url_signal=list(files), config=traits)
    ours = CuredImageReader(input_url_signal=list(files), config=traits)
    return stock, ours


@pytest.fixture(scope="module")
def readers(dl1_files):
    stock, ours = open_both(
        [dl1_files["gamma_train"]], ["image", "cleaned_relative_peak_time", "peak_time"]
    )
    yield stock, ours
    ours.close_files()


@pytest.fixture(scope="module")
def stock_dl2(completed_runs, dl1_files, tmp_path_factory):
    """DL2 file that stock CTLearn makes of the tiny type model, with batches of 64."""
    _, run_dir = completed_runs["type"]
    output = tmp_path_factory.mktemp("stock") / "stock.dl2.h5"
    arguments = [
        f"--input_url={dl1_files['gamma_test']}",
        f"--type_model={run_dir.trained_model}",
        f"--output={output}",
        "--DLImageReader.image_mapper_type=ShiftingMapper",
        "--DLImageReader.channels=cleaned_image",
        "--DLImageReader.channels=cleaned_relative_peak_time",
        "--PredictCTLearnModel.batch_size=64",
        "--no-dl1-images",
        "--no-true-images",
        "--overwrite",
    ]
    run_stock_tool(MonoPredictCTLearnModel(), arguments, cwd=output.parent, raises=True)
    return output


def read_scores(path):
    """Valid scores of a DL2 file, by telescope, in the order of the rows."""
    with tables.open_file(path) as file:
        names = [table._v_pathname for table in file.iter_nodes(CLASSIFIER, "Table")]
    rows = {name: read_table(path, name) for name in names}
    return {
        name: np.asarray(table["CTLearnClassifier_tel_prediction"])[
            np.asarray(table["CTLearnClassifier_tel_is_valid"])
        ]
        for name, table in rows.items()
    }


def signal_of(config, run_dir):
    """The gamma test file, as a prediction takes it."""
    inputs = inspect_inputs(config, "test", read_manifest(run_dir).inputs)
    return replace(inputs, files={"signal": inputs.files["signal"]})


class TestA:
    """The method that counts examples was renamed in dl1_data_handler 0.14.11."""

    def test_our_readers_have_both_names(self, readers):
        stock, ours = readers
        name = "get_n_events" if hasattr(stock, "get_n_events") else "_get_n_events"
        assert getattr(stock, name)() == ours._get_n_events() == ours.get_n_events() > 0


class TestB:
    """CTLearn writes 0.0 with is_valid = True for the last incomplete batch."""

    def test_stock_leaves_zeros_and_ours_does_not(self, stock_dl2, completed_runs, dl1_files):
        _, run_dir = completed_runs["type"]
        stock = read_scores(stock_dl2)
        ours = read_scores(run_dir.dl2(dl1_files["gamma_test"], "signal"))
        n_events = sum(len(scores) for scores in ours.values())
        assert n_events % 64
        # Events are predicted in the order of their numbers, not of telescopes: compare values.
        n_zero = sum(int((scores == 0).sum()) for scores in stock.values())
        assert n_zero == n_events % 64
        for name, scores in ours.items():
            assert (scores > 0).all()
            right = stock[name] != 0
            np.testing.assert_allclose(scores[right], stock[name][right], rtol=0, atol=1e-6)

    def test_as_many_rows_as_dl1(self, completed_runs, dl1_files):
        _, run_dir = completed_runs["type"]
        for label, particle in (("signal", "gamma"), ("background", "proton")):
            source = dl1_files[f"{particle}_test"]
            output = run_dir.dl2(source, label)
            with tables.open_file(source) as dl1, tables.open_file(output) as dl2:
                for table in dl1.iter_nodes("/dl1/event/telescope/parameters", "Table"):
                    assert len(dl2.get_node(f"{CLASSIFIER}/{table.name}")) == len(table)


class TestC:
    """Keras 3 refuses class_weight with targets in a dictionary."""

    def test_weights_come_with_the_batch(self, dl1_files):
        traits = Config({"DLImageReader": {"image_mapper_type": "ShiftingMapper"}})
        reader = CuredImageReader(
            input_url_signal=[dl1_files["gamma_train"]],
            input_url_background=[dl1_files["proton_train"]],
            config=traits,
        )
        rows = np.arange(reader.get_n_events())
        weight = {0: 3.0, 1: 0.5}
        loader = SampledLoader(reader, rows, ["type"], 50, class_weight=weight)
        _, labels, weights = loader[0]
        np.testing.assert_allclose(weights, np.where(labels[:, 1] == 1, 0.5, 3.0))
        two_tasks = SampledLoader(reader, rows, ["type", "energy"], 50, class_weight=weight)
        np.testing.assert_allclose(two_tasks[0][2], weights)
        reader.close_files()


class TestD:
    """ResNet's initial layer replaces the input instead of following it."""

    def test_stock_rejects_its_own_option(self):
        traits = Config({"ResNet": {"init_layer": {"filters": 4, "kernel_size": 3, "strides": 1}}})
        model = ResNet((48, 48, 2), ["energy"], config=traits).model
        with pytest.raises(ValueError, match="incompatible"):
            model(np.zeros((1, 48, 48, 2), dtype=np.float32))


class TestE:
    """CTLearn refuses files with fewer events than a batch."""

    def test_stock_refuses_and_ours_predicts(self, completed_runs, dl1_files, tmp_path):
        config, run_dir = completed_runs["type"]
        arguments = [
            f"--input_url={dl1_files['gamma_test']}",
            f"--type_model={run_dir.trained_model}",
            f"--output={tmp_path / 'stock.dl2.h5'}",
            "--DLImageReader.image_mapper_type=ShiftingMapper",
            "--PredictCTLearnModel.batch_size=100000",
        ]
        with pytest.raises(ToolConfigurationError, match="not enough"):
            run_stock_tool(MonoPredictCTLearnModel(), arguments, cwd=tmp_path, raises=True)
        large = config.model_copy(
            update={"test": config.test.model_copy(update={"batch_size": 100_000})}
        )
        model, output = load_model(config, run_dir), tmp_path / "ours.dl2.h5"
        record = predict_file(large, [model], signal_of(config, run_dir), output)
        assert 0 < record.n_events < 100_000


class TestF:
    """CTLearn seeds numpy's global generator, again each epoch."""

    def test_stock_touches_the_global_generator_and_ours_does_not(self, readers):
        stock, ours = readers
        before = np.random.get_state()[1].copy()
        SampledLoader(ours, np.arange(20), ["energy"], 8, seed=1).on_epoch_end()
        assert np.array_equal(before, np.random.get_state()[1])
        DLDataLoader(stock, list(range(20)), ["energy"], 8, random_seed=1)
        assert not np.array_equal(before, np.random.get_state()[1])


class TestG:
    """CTLearn splits by row: images of one shower fall on both sides."""

    def test_no_shower_on_both_sides(self, readers):
        _, ours = readers
        events = ours.example_identifiers
        keys = np.stack([events["obs_id"], events["event_id"]], axis=1)

        def n_shared(training, validation):
            sides = [{tuple(row) for row in keys[rows]} for rows in (training, validation)]
            return len(sides[0] & sides[1])

        training, validation = split_events(ours, 0.3, "event", seed=1)
        assert len(training) + len(validation) == len(events)
        assert n_shared(training, validation) == 0
        order = np.random.default_rng(1).permutation(len(events))
        assert n_shared(order[len(validation) :], order[: len(validation)]) > 0


class TestH:
    """CTLearn drops the last partial batch."""

    def test_every_row_is_in_a_batch(self, readers):
        stock, ours = readers
        rows = np.arange(21)
        assert len(DLDataLoader(stock, list(rows), ["energy"], 8)) == 2
        loader = SampledLoader(ours, rows, ["energy"], 8, seed=1)
        assert sorted(len(loader[number][0]) for number in range(len(loader))) == [5, 8, 8]


class TestJ:
    """CTLearn reads and maps the file once for each model."""

    def test_one_pass_for_two_models(self, completed_runs, dl1_files, tmp_path, monkeypatch):
        config, type_run = completed_runs["type"]
        energy_config, energy_run = completed_runs["energy"]
        n_read = []
        original = CuredImageReader.read_features

        def count(self, rows):
            n_read.append(len(rows))
            return original(self, rows)

        monkeypatch.setattr(CuredImageReader, "read_features", count)
        models = [load_model(config, type_run), load_model(energy_config, energy_run)]
        output = tmp_path / "ours.dl2.h5"
        record = predict_file(config, models, signal_of(config, type_run), output)
        assert sum(n_read) == record.n_events
        alone, _ = read_events(
            energy_run.dl2(dl1_files["gamma_test"], "signal"), "energy", "mono", signal=True
        )
        together, _ = read_events(output, "energy", "mono", signal=True)
        np.testing.assert_allclose(together["reco_energy"], alone["reco_energy"], rtol=1e-5)


class TestK:
    """A relative peak time masks later channels; an empty mask gives NaN."""

    def test_later_channels_stay_whole(self, readers):
        stock, ours = readers
        rows = list(range(30))
        theirs, cured = (reader.generate_mono_batch(rows)["features"].data for reader in readers)
        assert np.array_equal(theirs[..., :2], cured[..., :2])
        assert (theirs[..., 2] == 0).mean() > (cured[..., 2] == 0).mean()

    @pytest.mark.parametrize(
        "channel",
        ["image", "log_image", "cleaned_image", "log_cleaned_image", "peak_time"]
        + ["relative_peak_time", "cleaned_peak_time", "cleaned_relative_peak_time"],
    )
    def test_each_channel_alone_is_bit_identical(self, dl1_files, channel):
        stock, ours = open_both([dl1_files["gamma_test"]], [channel])
        rows = list(np.random.default_rng(0).permutation(stock._get_n_events()))
        theirs, cured = (
            reader.generate_mono_batch(rows)["features"].data for reader in (stock, ours)
        )
        assert np.array_equal(theirs, cured)
        ours.close_files()


class TestL:
    """Histograms, a provenance log in the current folder, no resolved configuration."""

    def test_what_training_leaves(self, completed_runs):
        _, run_dir = completed_runs["energy"]
        saved = json.loads(run_dir.reader_config.read_text(encoding="utf-8"))
        options = saved["CuredImageReader"]["ImageOptions"]
        assert "ShiftingMapper" in options["image_mapper_type"]
        events = [path for path in run_dir.tensorboard.rglob("events*") if path.is_file()]
        assert events and all(path.stat().st_size < 100_000 for path in events)
        assert not list(run_dir.path.glob("*provenance*"))


class TestDropIn:
    """Stock tools of CTLearn and ctapipe read what we write."""

    def test_readers_agree_on_every_column(self, dl1_files):
        for mode in ("mono", "stereo"):
            stock, ours = open_both(
                [dl1_files["gamma_train"], dl1_files["gamma_test"]], ["image"], mode=mode
            )
            theirs, cured = stock.example_identifiers, ours.example_identifiers
            assert set(theirs.colnames) == set(cured.colnames)
            for name in theirs.colnames:
                if name == "angular_separation":
                    # CTLearn's goes through another frame and back, and rounds on the way.
                    np.testing.assert_allclose(theirs[name], cured[name], rtol=0, atol=1e-9)
                    continue
                assert np.array_equal(np.asarray(theirs[name]), np.asarray(cured[name])), name
            ours.close_files()

    @pytest.mark.parametrize("stacked", [True, False])
    def test_stereo_batches_are_bit_identical(self, dl1_files, stacked):
        options = {"mode": "stereo", "min_telescopes": 1}
        stock, ours = open_both([dl1_files["gamma_train"]], ["image", "peak_time"], **options)
        rows = np.random.default_rng(1).permutation(ours.get_n_events())[:40]
        arguments = {"tasks": ["skydirection"], "batch_size": 40}
        theirs = DLDataLoader(stock, list(rows), **arguments, stack_telescope_images=stacked)[0]
        cured = SampledLoader(ours, rows, **arguments, stack_telescope_images=stacked)[0]
        # CTLearn sorts each batch by event number; ours keeps the order asked for.
        order = np.argsort(rows)
        assert np.array_equal(theirs[0], cured[0][order])
        assert np.array_equal(theirs[1]["skydirection"], cured[1]["skydirection"][order])
        # Some events were seen by one telescope only: the other's image is empty.
        assert (cured[0].reshape(40, -1) == 0).mean() > 0.05
        ours.close_files()

    def test_stereo_events_of_two_files_never_mix(self, tmp_path):
        files = [
            simulate.run(tmp_path / f"{seed}.dl1.h5", n_images=60, seed=seed, obs_id=7)
            for seed in (1, 2)
        ]
        readers = [open_both([file], ["image"], mode="stereo")[1] for file in files]
        _, both = open_both(files, ["image"], mode="stereo")
        n_events = [reader.get_n_events() for reader in readers]
        assert both.get_n_events() == sum(n_events)
        shuffled = np.random.default_rng(2).permutation(sum(n_events))
        loader = SampledLoader(both, shuffled, ["energy"], 1000)
        images, labels = loader[0]
        alone = [
            SampledLoader(reader, np.arange(n), ["energy"], 1000)[0]
            for reader, n in zip(readers, n_events, strict=True)
        ]
        energies = np.concatenate([part[1]["energy"][:, 0] for part in alone])
        pixels = np.concatenate([part[0] for part in alone])
        labelled = labels["energy"][:, 0]
        found = np.argsort(labelled), np.argsort(energies)
        assert np.array_equal(labelled[found[0]], energies[found[1]])
        assert np.array_equal(images[found[0]], pixels[found[1]])
        for reader in (*readers, both):
            reader.close_files()

    def test_stock_trains_on_simulated_files(self, dl1_files, tmp_path):
        arguments = [
            f"--signal={dl1_files['gamma_train'].parent}",
            "--pattern-signal=gamma_train.dl1.h5",
            f"--background={dl1_files['proton_train'].parent}",
            "--pattern-background=proton_train.dl1.h5",
            "--reco=type",
            f"--output={tmp_path / 'stock'}",
            "--TrainCTLearnModel.n_epochs=1",
            "--TrainCTLearnModel.batch_size=16",
            "--TrainCTLearnModel.model_type=SingleCNN",
            "--DLImageReader.image_mapper_type=ShiftingMapper",
        ]
        run_stock_tool(TrainCTLearnModel(), arguments, cwd=tmp_path, raises=True)
        assert (tmp_path / "stock" / "ctlearn_model.keras").exists()

    def test_ctapipe_merges_and_loads_dl2(self, completed_runs, dl1_files, tmp_path):
        _, run_dir = completed_runs["type"]
        inputs = [
            run_dir.dl2(dl1_files[f"{particle}_test"], label)
            for label, particle in (("signal", "gamma"), ("background", "proton"))
        ]
        merged = tmp_path / "merged.dl2.h5"
        arguments = [*(str(path) for path in inputs), f"--output={merged}"]
        run_stock_tool(MergeTool(), arguments, cwd=tmp_path, raises=True)
        n_rows = 0
        for path in [*inputs, merged]:
            with TableLoader(path, dl2=True, simulated=True) as loader:
                events: Table = loader.read_telescope_events()
            assert "CTLearnClassifier_tel_prediction" in events.colnames
            n_rows += len(events) if path != merged else -len(events)
        assert n_rows == 0

    def test_stock_keras_loads_the_trained_model(self, completed_runs):
        _, run_dir = completed_runs["type"]
        model = keras.saving.load_model(run_dir.trained_model)
        assert model.layers[1].name == "SingleCNN_block"
        assert isinstance(model.layers[-1], keras.layers.Softmax)

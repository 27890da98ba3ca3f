"""CTLearn's training tool: seeded, split without leaks, every batch used, nothing written aside."""

from pathlib import Path as FilePath

import keras
from ctapipe.core.traits import CaselessStrEnum, Float, List, Path
from ctlearn.tools.train_model import TrainCTLearnModel

from cherenkov_mlops.data.manifest import Manifest
from cherenkov_mlops.engine.callbacks import (
    EpochFacts,
    EpochLines,
    History,
    ProgressBar,
    RefuseNaN,
    checkpoint,
    reduce_learning_rate,
)
from cherenkov_mlops.engine.loader import SampledLoader
from cherenkov_mlops.engine.reader import CuredImageReader
from cherenkov_mlops.engine.running import GuestTool
from cherenkov_mlops.engine.split import digest_examples
from cherenkov_mlops.engine.strategy import device_strategy
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.run_dir import RunDir


class TrainTool(GuestTool, TrainCTLearnModel):
    """Trains a prepared model on given rows of given files.

    It differs from ``ctlearn-train-model`` in this: files and rows come from the run's manifest,
    the model from ``prepare``; weights, order and dropout are seeded; the last partial batch is
    kept; class weights travel as sample weights; the best model, ``history.csv`` and TensorBoard
    logs (without histograms) go to the run folder.

    Parameters
    ----------
    run_dir : RunDir
        Where model, history and logs go.
    manifest : Manifest
        Rows of the reader in each set, and the digest of what they refer to.
    show_progress : bool
        Show a bar over the batches of each epoch.
    """

    name = "cherenkov-mlops-train"

    signal_files = List(Path(exists=True), help="Files of the signal class").tag(config=True)
    background_files = List(Path(exists=True), help="Files of the background class").tag(
        config=True
    )
    prepared_model = Path(exists=True, directory_ok=False, help="Model made by prepare").tag(
        config=True
    )
    percentage_per_epoch = Float(1.0, help="Share of the batches drawn each epoch").tag(config=True)
    # Upstream requires this folder of its file search, which is not used here.
    input_dir_signal = Path(default_value=None, allow_none=True).tag(config=True)
    reco_tasks = List(
        CaselessStrEnum(["type", "energy", "cameradirection", "skydirection"]),
        help="Tasks of the model",
    ).tag(config=True)

    def __init__(
        self,
        run_dir: RunDir,
        manifest: Manifest,
        show_progress: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.run_dir, self.manifest = run_dir, manifest
        self.rows = {"training": manifest.training_rows, "validation": manifest.validation_rows}
        self.show_progress = show_progress

    def setup(self) -> None:
        """Open the files, make the loaders and the callbacks."""
        keras.utils.set_random_seed(self.random_seed)
        self.strategy = device_strategy()
        self.dl1dh_reader = CuredImageReader(
            input_url_signal=[FilePath(file) for file in self.signal_files],
            input_url_background=[FilePath(file) for file in self.background_files],
            parent=self,
        )
        if digest_examples(self.dl1dh_reader) != self.manifest.examples_sha256:
            raise DataError(
                "the files give other events now than at prepare, so its split does not fit them; "
                "prepare again: prepare --force"
            )
        self.training_loader = self._make_loader(
            "training", seed=self.random_seed, fraction=self.percentage_per_epoch
        )
        self.validation_loader = self._make_loader("validation")
        self.callbacks = self._make_callbacks()

    def _make_loader(self, part: str, **sampling) -> SampledLoader:
        # As upstream, the loss of the validation set is not weighted by class.
        weighted = part == "training" and "type" in self.reco_tasks
        return SampledLoader(
            self.dl1dh_reader,
            self.rows[part],
            tasks=list(self.reco_tasks),
            batch_size=self.batch_size * self.strategy.num_replicas_in_sync,
            class_weight=self.dl1dh_reader.class_weight if weighted else None,
            sort_by_intensity=self.sort_by_intensity,
            stack_telescope_images=self.stack_telescope_images,
            **sampling,
        )

    def _make_callbacks(self) -> list[keras.callbacks.Callback]:
        self.history = History(self.run_dir.history)
        callbacks = [
            EpochFacts(self.training_loader),
            RefuseNaN(),
            checkpoint(self.run_dir.trained_model, self.save_best_validation_only),
            keras.callbacks.TensorBoard(self.run_dir.tensorboard, write_graph=False),
        ]
        if self.lr_reducing:
            options = {key: self.lr_reducing[key] for key in self.lr_reducing}
            callbacks.append(reduce_learning_rate(**options, fraction=self.percentage_per_epoch))
        if self.early_stopping:
            callbacks.append(keras.callbacks.EarlyStopping(**self.early_stopping))
        if self.show_progress:
            callbacks.append(ProgressBar(self.n_epochs))
        return [*callbacks, self.history, EpochLines(self.n_epochs)]

    def start(self) -> None:
        """Load the prepared model, compile it and fit it."""
        with self.strategy.scope():
            self.model = keras.saving.load_model(self.prepared_model)
            losses, metrics = self._get_losses_and_mertics(self.reco_tasks)
            self.model.compile(optimizer=self._make_optimizer(), loss=losses, metrics=metrics)
        self.model.fit(
            self.training_loader,
            validation_data=self.validation_loader,
            epochs=self.n_epochs,
            callbacks=self.callbacks,
            # The loader owns the order: Keras would shuffle batches with a generator of its own.
            shuffle=False,
            verbose=0,
        )

    def _make_optimizer(self) -> keras.optimizers.Optimizer:
        options = {"learning_rate": self.optimizer["base_learning_rate"]}
        name = self.optimizer["name"]
        if name == "Adam":
            options["epsilon"] = self.optimizer["adam_epsilon"]
        return keras.optimizers.get({"class_name": name, "config": options})

    def finish(self) -> None:
        """Close the files."""
        self.dl1dh_reader.close_files()

"""CTLearn's training tool: seeded, split without leaks, every batch used, nothing written aside."""

import logging
from pathlib import Path as FilePath
from typing import Any

import keras
from ctapipe.core.traits import Bool, CaselessStrEnum, Float, List, Path, Unicode
from ctlearn.tools.train_model import TrainCTLearnModel

from cherenkov_mlops.compression.pruning.filters import FilterPruner
from cherenkov_mlops.compression.pruning.kernels import find_kernels, hold_zeros
from cherenkov_mlops.compression.pruning.plan import make_plan
from cherenkov_mlops.compression.pruning.pruner import Pruner
from cherenkov_mlops.compression.quantization.aware import make_aware, without_optimizer
from cherenkov_mlops.config.train_section import PruningSection, QuantizationSection
from cherenkov_mlops.data.manifest import Manifest
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.pixel_cache import PixelCache
from cherenkov_mlops.dl1.reader import READERS
from cherenkov_mlops.dl1.split import digest_examples
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.models.guest_tool import GuestTool
from cherenkov_mlops.models.keras_model import losses_of
from cherenkov_mlops.provenance import package_versions
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.tasks import TASKS
from cherenkov_mlops.training.backup import Backup
from cherenkov_mlops.training.callbacks import (
    EpochFacts,
    EpochLines,
    History,
    ProgressBar,
    RefuseNaN,
    reduce_learning_rate,
)
from cherenkov_mlops.training.checkpoint import BestModel, KeepState
from cherenkov_mlops.training.precision import use_mixed_precision
from cherenkov_mlops.training.stopping import StopInTime
from cherenkov_mlops.training.strategy import EvenBatches, device_strategy
from cherenkov_mlops.training.time_limit import StopRequests, TimeLimit

log = logging.getLogger(__name__)

# Packages whose version may decide what the variables of a model are.
DECISIVE = ("cherenkov-mlops", "ctlearn", "keras", "tensorflow", "tensorflow-cpu")


class TrainTool(GuestTool, TrainCTLearnModel):
    """Trains a prepared model on given rows of given files.

    It differs from ``ctlearn-train-model`` in this: files and rows come from the run's manifest,
    the model from ``prepare``; weights, order and dropout are seeded; the last partial batch is
    kept; class weights travel as sample weights; the best model, ``history.csv`` and TensorBoard
    logs (without histograms) go to the run folder; after a kill it goes on from the last complete
    epoch as if nothing had happened.

    Parameters
    ----------
    run_dir : RunDir
        Where model, history and logs go.
    manifest : Manifest
        Rows of the reader in each set, and the digest of what they refer to.
    made_of : dict
        Settings and input of the training, kept with its state.
    backup : Backup, optional
        State to go on from.
    limit : TimeLimit, optional
        When the training has to be over.
    cache : PixelCache, optional
        Where the pixels come from; None reads the HDF5 files.
    pruning : PruningSection, optional
        Which weights are set to zero on the way.
    quantization : QuantizationSection, optional
        Which numbers the network learns to compute with.
    keep_zeros : bool
        Hold weights at zero that are zero in the prepared model: one that was pruned before.
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
    reader = CaselessStrEnum(list(READERS), "images", help="What the network sees").tag(config=True)
    balance = CaselessStrEnum(
        ["none", "classes", "energy"], "none", help="What each epoch draws equally often"
    ).tag(config=True)
    mixed_precision = Bool(False, help="Compute in float16 where that is safe").tag(config=True)
    xla = Bool(False, help="Compile the training step by XLA").tag(config=True)
    # Upstream requires this folder of its file search, which is not used here.
    input_dir_signal = Path(default_value=None, allow_none=True).tag(config=True)
    reco_tasks = List(Unicode(), help="Tasks of the model").tag(config=True)

    def __init__(
        self,
        run_dir: RunDir,
        manifest: Manifest,
        *,
        made_of: dict[str, Any],
        backup: Backup | None = None,
        limit: TimeLimit | None = None,
        cache: PixelCache | None = None,
        pruning: PruningSection | None = None,
        quantization: QuantizationSection | None = None,
        keep_zeros: bool = False,
        show_progress: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.pruning, self.quantization, self.keep_zeros = pruning, quantization, keep_zeros
        self.run_dir, self.manifest = run_dir, manifest
        self.made_of, self.backup, self.cache = made_of, backup, cache
        self.limit, self.requests = limit or TimeLimit(), StopRequests()
        self.rows = {"training": manifest.training_rows, "validation": manifest.validation_rows}
        self.show_progress = show_progress

    def setup(self) -> None:
        """Open the files, make the loaders and the callbacks."""
        keras.utils.set_random_seed(self.random_seed)
        self.strategy = device_strategy()
        self.n_devices = self.strategy.num_replicas_in_sync
        self.dl1dh_reader = READERS[self.reader](
            input_url_signal=[FilePath(file) for file in self.signal_files],
            input_url_background=[FilePath(file) for file in self.background_files],
            parent=self,
        )
        if digest_examples(self.dl1dh_reader) != self.manifest.examples_sha256:
            raise DataError(
                "the files give other events now than at prepare, so its split does not fit them; "
                "prepare again: prepare --force"
            )
        if self.cache is not None:
            self.dl1dh_reader.use_cache(self.cache)
        self.training_loader = self._make_loader(
            "training",
            seed=self.random_seed,
            fraction=self.percentage_per_epoch,
            balance=self.balance,
        )
        self.validation_loader = self._make_loader("validation")
        self.pruner = self._make_pruner()
        self.callbacks = self._make_callbacks()

    def _make_loader(self, part: str, **sampling) -> SampledLoader:
        # As upstream, the loss of the validation set is not weighted by class. Balanced epochs
        # hold as much of each class anyway.
        has_classes = any(TASKS[task].needs_background for task in self.reco_tasks)
        weighted = part == "training" and has_classes and self.balance == "none"
        return SampledLoader(
            self.dl1dh_reader,
            self.rows[part],
            tasks=list(self.reco_tasks),
            batch_size=self.batch_size * self.n_devices,
            class_weight=self.dl1dh_reader.class_weight if weighted else None,
            sort_by_intensity=self.sort_by_intensity,
            stack_telescope_images=self.stack_telescope_images,
            **sampling,
        )

    def _make_pruner(self) -> Pruner | None:
        if self.pruning is None:
            return None
        plan = make_plan(self.pruning, len(self.training_loader), self.n_epochs)
        return FilterPruner(plan) if plan.kind == "filters" else Pruner(plan)

    def _make_callbacks(self) -> list[keras.callbacks.Callback]:
        self.history = History(self.run_dir.history)
        path, best_only = self.run_dir.trained_model, self.save_best_validation_only
        pruner = self.pruner
        if pruner is None:
            self.best_model = BestModel(path, best_only)
        else:
            self.best_model = BestModel(path, best_only, lambda: pruner.is_final)
        callbacks = [
            EpochFacts(self.training_loader),
            RefuseNaN(),
            *([pruner] if pruner else []),
            self.best_model,
            keras.callbacks.TensorBoard(self.run_dir.tensorboard, write_graph=False),
        ]
        if self.lr_reducing:
            options = {key: self.lr_reducing[key] for key in self.lr_reducing}
            callbacks.append(reduce_learning_rate(**options, fraction=self.percentage_per_epoch))
        if self.early_stopping:
            first = pruner.plan.first_final_epoch(len(self.training_loader)) if pruner else 0
            options = dict(self.early_stopping) | {"start_from_epoch": first}
            callbacks.append(keras.callbacks.EarlyStopping(**options))
        if self.show_progress:
            callbacks.append(ProgressBar(self.n_epochs))
        callbacks += [self.history, EpochLines(self.n_epochs)]
        # These two stand last, in this order: the state holds what all others did, and no stop
        # comes between the end of an epoch and its state.
        self.state = self._make_state(callbacks)
        stop = StopInTime(self.limit, self.requests, self.history, self.n_epochs)
        return [*callbacks, self.state, stop]

    def _make_state(self, callbacks: list[keras.callbacks.Callback]) -> KeepState:
        installed = package_versions()
        return KeepState(
            self.run_dir.backup,
            callbacks,
            self.training_loader,
            self.history,
            made_of=self.made_of,
            versions={name: installed[name] for name in DECISIVE if name in installed},
        )

    def start(self) -> None:
        """Load the prepared model, compile it and fit it, from where it was left."""
        with self.strategy.scope():
            self.model = self._make_model()
        batches = self.training_loader
        if self.n_devices > 1:
            size = self.batch_size
            log.info(
                "train: %d devices, batch %d x %d = %d",
                *(self.n_devices, size, self.n_devices, size * self.n_devices),
            )
            batches = EvenBatches(self.training_loader, self.n_devices)
        with self.requests:
            self.model.fit(
                batches,
                validation_data=self.validation_loader,
                initial_epoch=self._find_first_epoch(),
                epochs=self.n_epochs,
                callbacks=self.callbacks,
                # The loader owns the order: Keras would shuffle batches with its own generator.
                shuffle=False,
                verbose=0,
            )
        if self.requests.received:
            self.callbacks[-1].stop()

    def _make_model(self) -> keras.Model:
        model = keras.saving.load_model(self.prepared_model)
        if self.mixed_precision:
            use_mixed_precision(model)
        self._hold_weights(model)
        if self.quantization is not None:
            model = self._round_numbers(model)
        losses, metrics = losses_of(list(self.reco_tasks))
        # As Keras by default: XLA knows no communication between the devices of one process.
        if self.xla and self.n_devices > 1:
            log.warning("train: xla is for one device; %d are used without it", self.n_devices)
        model.compile(
            optimizer=self._make_optimizer(),
            loss=losses,
            metrics=metrics,
            jit_compile=self.xla and self.n_devices == 1,
        )
        model.optimizer.build(model.trainable_variables)
        if self.backup is not None:
            self.state.restore(model, self.backup)
        return model

    def _hold_weights(self, model: keras.Model) -> None:
        """Hold weights at zero that are so before, or become so, in the training."""
        if self.keep_zeros and (n_held := hold_zeros(find_kernels(model, with_last=True))):
            log.info("train: %d weights that are 0 in the loaded model stay 0", n_held)
        if self.pruner is not None:
            self.pruner.attach(model)

    def _round_numbers(self, plain: keras.Model) -> keras.Model:
        """The model that learns in place of the plain one, which is saved beside it."""
        aware = make_aware(plain, self.quantization.range_momentum)
        # The plain one first: it stands for the epoch, and is the one that others load.
        self.best_model.files = {
            self.run_dir.trained_model: plain,
            self.run_dir.aware_model: without_optimizer(aware),
        }
        log.info("train: weights and values are rounded to 8 bits")
        return aware

    def _find_first_epoch(self) -> int:
        """Complete epochs; all of them, if the training ended itself."""
        if self.backup is None:
            return 0
        return self.n_epochs if self.backup.is_over else self.backup.n_epochs_done

    def _make_optimizer(self) -> keras.optimizers.Optimizer:
        options = {"learning_rate": self.optimizer["base_learning_rate"]}
        name = self.optimizer["name"]
        if name == "Adam":
            options["epsilon"] = self.optimizer["adam_epsilon"]
        return keras.optimizers.get({"class_name": name, "config": options})

    def finish(self) -> None:
        """Close the files."""
        self.dl1dh_reader.close_files()

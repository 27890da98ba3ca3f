"""The training of a run: prepared model and manifest in, trained model and history out."""

import json
import logging
from typing import Any

import keras
import rich
import tensorflow as tf

from cherenkov_mlops.compression.pruning.filters import FilterPruner, shrink
from cherenkov_mlops.compression.pruning.kernels import find_kernels, hold_zeros
from cherenkov_mlops.compression.pruning.plan import make_plan
from cherenkov_mlops.compression.pruning.pruner import Pruner
from cherenkov_mlops.compression.quantization.aware import make_aware, without_optimizer
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.manifest import Manifest
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.pixel_cache import pixel_cache
from cherenkov_mlops.dl1.preparation import open_reader
from cherenkov_mlops.dl1.reader import BatchReader
from cherenkov_mlops.dl1.split import digest_examples
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.models.keras_model import load_custom_code, load_model_file, losses_of
from cherenkov_mlops.provenance import package_versions
from cherenkov_mlops.run_dir import RunDir, atomic_path, write_text_atomically
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
from cherenkov_mlops.training.stopping import StopInTime, describe_stop
from cherenkov_mlops.training.strategy import EvenBatches, device_strategy
from cherenkov_mlops.training.time_limit import StopRequests, TimeLimit

log = logging.getLogger(__name__)

# Packages whose version may decide what the variables of a model are.
DECISIVE = ("cherenkov-mlops", "ctlearn", "keras", "tensorflow", "tensorflow-cpu")


def train_model(
    config: RunConfig,
    manifest: Manifest,
    run_dir: RunDir,
    *,
    made_of: dict[str, Any],
    backup: Backup | None = None,
    limit: TimeLimit | None = None,
) -> dict[str, Any]:
    """Train the prepared network epoch by epoch; give facts about the training.

    Parameters
    ----------
    config, manifest, run_dir : RunConfig, Manifest, RunDir
        The run; model, history and logs are in its ``train/`` afterwards.
    made_of : dict
        Settings and input of the training, kept with its state.
    backup : Backup, optional
        State to go on from.
    limit : TimeLimit, optional
        When the training has to be over.

    Raises
    ------
    DataError
        The loss becomes NaN, or pixel values are.
    TimeLimitReached
        The time is up, or the batch system asked for an end.
    """
    run_dir.train_dir.mkdir(parents=True, exist_ok=True)
    load_custom_code(config, run_dir)
    trainer = Trainer(config, manifest, run_dir, made_of=made_of, backup=backup, limit=limit)
    try:
        trainer.run()
    except KeyboardInterrupt as error:
        words = describe_stop("interrupted", trainer.n_epochs_done, config.train.n_epochs)
        raise KeyboardInterrupt(words) from error
    if config.pruning is not None and config.pruning.kind == "filters":
        # Once it is smaller, nothing changes any more: an interruption before or after does no
        # harm.
        model = load_model_file(run_dir.trained_model)
        smaller = shrink(model)
        with atomic_path(run_dir.trained_model) as temporary:
            smaller.save(temporary)
        before, after = model.count_params(), smaller.count_params()
        log.info("train: filters of zeros taken out: %d of %d weights are left", after, before)
    return trainer.facts()


class Trainer:
    """Trains a prepared network on the rows of the manifest.

    It differs from ``ctlearn-train-model`` in this: files and rows come from the run's manifest,
    the model from ``prepare``; weights, order and dropout are seeded; the last partial batch is
    kept; class weights travel as sample weights; the best model, ``history.csv`` and TensorBoard
    logs (without histograms) go to the run folder; after a kill it goes on from the last complete
    epoch as if nothing had happened.

    Parameters
    ----------
    config, manifest, run_dir : RunConfig, Manifest, RunDir
        The run.
    made_of : dict
        Settings and input of the training, kept with its state.
    backup : Backup, optional
        State to go on from.
    limit : TimeLimit, optional
        When the training has to be over.

    Attributes
    ----------
    n_epochs_done : int
        Complete epochs, those of earlier attempts among them.
    callbacks : list of Callback
        In their order; made by ``run``.
    model : keras.Model
        The network that learns; made by ``run``.
    """

    def __init__(
        self,
        config: RunConfig,
        manifest: Manifest,
        run_dir: RunDir,
        *,
        made_of: dict[str, Any],
        backup: Backup | None = None,
        limit: TimeLimit | None = None,
    ):
        self.config, self.manifest, self.run_dir = config, manifest, run_dir
        self.made_of, self.backup = made_of, backup
        self.limit, self.requests = limit or TimeLimit(), StopRequests()
        self.strategy = device_strategy()
        self.n_devices = self.strategy.num_replicas_in_sync
        self.state: KeepState | None = None

    @property
    def n_epochs_done(self) -> int:
        """Complete epochs."""
        return self.state.n_epochs_done if self.state else 0

    def run(self) -> None:
        """Open the files, load the prepared network, fit it from where it was left."""
        train = self.config.train
        keras.utils.set_random_seed(self.config.run.seed)
        with open_reader(self.config, self.manifest.inputs) as reader:
            if digest_examples(reader) != self.manifest.examples_sha256:
                raise DataError(
                    "the files give other events now than at prepare, so its split does not fit "
                    "them; prepare again: prepare --force"
                )
            options = reader.get_current_config()
            text = json.dumps(options, indent=1, default=str)
            write_text_atomically(self.run_dir.reader_config, text + "\n")
            if (cache := pixel_cache(self.config, self.run_dir)) is not None:
                reader.use_cache(cache)
            self.make_loaders(reader)
            self.make_callbacks()
            with self.strategy.scope():
                self.model = self.make_model()
            batches: keras.utils.PyDataset = self.training_loader
            if self.n_devices > 1:
                size = train.batch_size
                log.info(
                    "train: %d devices, batch %d x %d = %d",
                    *(self.n_devices, size, self.n_devices, size * self.n_devices),
                )
                batches = EvenBatches(self.training_loader, self.n_devices)
            first_epoch = 0
            if self.backup is not None:
                # All are done if the training ended itself.
                first_epoch = self.backup.n_epochs_done
                first_epoch = train.n_epochs if self.backup.is_over else first_epoch
            with self.requests:
                self.model.fit(
                    batches,
                    validation_data=self.validation_loader,
                    initial_epoch=first_epoch,
                    epochs=train.n_epochs,
                    callbacks=self.callbacks,
                    # The loader owns the order: Keras would shuffle batches by its own generator.
                    shuffle=False,
                    verbose=0,
                )
            if self.requests.received:
                self.stop.stop()

    def make_loaders(self, reader: BatchReader) -> None:
        """Make the loaders of both sets."""
        config = self.config
        sampling = config.sampling
        # As upstream, the loss of the validation set is not weighted by class. Balanced epochs
        # hold as much of each class anyway.
        is_weighted = sampling.balance == "none" and any(
            TASKS[name].needs_background for name in config.own_tasks
        )
        common: dict[str, Any] = {
            "tasks": config.own_tasks,
            "batch_size": config.train.batch_size * self.n_devices,
            "sort_by_intensity": config.data.sort_by_intensity,
            "stack_telescope_images": config.data.stack_telescope_images,
        }
        self.training_loader = SampledLoader(
            reader,
            self.manifest.training_rows,
            **common,
            seed=config.run.seed,
            fraction=sampling.percentage_per_epoch,
            balance=sampling.balance,
            class_weight=reader.class_weight if is_weighted else None,
        )
        self.validation_loader = SampledLoader(reader, self.manifest.validation_rows, **common)

    def make_callbacks(self) -> None:
        """Make the callbacks; their order is that of what they do at the end of an epoch."""
        train, fraction = self.config.train, self.config.sampling.percentage_per_epoch
        n_steps = len(self.training_loader)
        pruner: Pruner | None = None
        first_final_epoch = 0
        if self.config.pruning is not None:
            plan = make_plan(self.config.pruning, n_steps, train.n_epochs)
            pruner = FilterPruner(plan) if plan.kind == "filters" else Pruner(plan)
            first_final_epoch = plan.first_final_epoch(n_steps)
        self.pruner = pruner
        self.history = History(self.run_dir.history)
        self.best_model = BestModel(
            self.run_dir.trained_model,
            train.save_best_validation_only,
            competes=lambda: pruner is None or pruner.is_final,
        )
        callbacks = [
            EpochFacts(self.training_loader),
            RefuseNaN(),
            *([pruner] if pruner else []),
            self.best_model,
            keras.callbacks.TensorBoard(self.run_dir.tensorboard, write_graph=False),
        ]
        if train.lr_reducing:
            options = train.lr_reducing.model_dump()
            callbacks.append(reduce_learning_rate(**options, fraction=fraction))
        if train.early_stopping:
            options = train.early_stopping.model_dump() | {"start_from_epoch": first_final_epoch}
            callbacks.append(keras.callbacks.EarlyStopping(**options))
        if rich.get_console().is_terminal:
            callbacks.append(ProgressBar(train.n_epochs))
        callbacks += [self.history, EpochLines(train.n_epochs)]
        # These two stand last, in this order: the state holds what all others did, and no stop
        # comes between the end of an epoch and its state.
        installed = package_versions()
        self.state = KeepState(
            self.run_dir.backup,
            callbacks,
            self.training_loader,
            self.history,
            made_of=self.made_of,
            versions={name: installed[name] for name in DECISIVE if name in installed},
        )
        self.stop = StopInTime(self.limit, self.requests, self.history, train.n_epochs)
        self.callbacks = [*callbacks, self.state, self.stop]

    def make_model(self) -> keras.Model:
        """Load the prepared network, make it one that learns as asked for, and compile it."""
        config = self.config
        model = keras.saving.load_model(self.run_dir.untrained_model)
        if config.train.mixed_precision:
            use_mixed_precision(model)
        # Weights that are zero in a network that was pruned before, or become so in the training.
        if config.model.type == "loaded" and (
            n_held := hold_zeros(find_kernels(model, with_last=True))
        ):
            log.info("train: %d weights that are 0 in the loaded model stay 0", n_held)
        if self.pruner is not None:
            self.pruner.attach(model)
        if config.quantization is not None:
            plain, model = model, make_aware(model, config.quantization.range_momentum)
            # The plain one first: it stands for the epoch, and is the one that others load.
            self.best_model.files = {
                self.run_dir.trained_model: plain,
                self.run_dir.aware_model: without_optimizer(model),
            }
            log.info("train: weights and values are rounded to 8 bits")
        # As Keras by default: XLA knows no communication between the devices of one process.
        xla = config.train.xla
        if xla and self.n_devices > 1:
            log.warning("train: xla is for one device; %d are used without it", self.n_devices)
        optimizer = config.train.optimizer
        options = {"learning_rate": optimizer.base_learning_rate}
        if optimizer.name == "Adam":
            options["epsilon"] = optimizer.adam_epsilon
        losses, metrics = losses_of(config.own_tasks)
        model.compile(
            optimizer=keras.optimizers.get({"class_name": optimizer.name, "config": options}),
            loss=losses,
            metrics=metrics,
            jit_compile=xla and self.n_devices == 1,
        )
        model.optimizer.build(model.trainable_variables)
        if self.backup is not None:
            self.state.restore(model, self.backup)
        return model

    def facts(self) -> dict[str, Any]:
        """Give facts about the complete training."""
        train, rows = self.config.train, self.history.rows
        # Without a best one the training ended before its pruning did.
        best = self.best_model.best_epoch if train.save_best_validation_only else None
        best = best or len(rows)
        return {
            "scheduled_epochs": train.n_epochs,
            "batch_size": train.batch_size,
            "n_training_events": len(self.manifest.training_rows),
            "n_validation_events": len(self.manifest.validation_rows),
            "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
            "effective_epochs": len(rows),
            "best_epoch": best,
            "best_val_loss": float(rows[best - 1]["val_loss"]),
            "share_never_seen": self.training_loader.share_never_seen,
            "training_time_s": self.state.seconds,
            "attempt_epochs": self.state.attempts,
        }

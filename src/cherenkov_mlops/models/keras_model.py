"""Keras networks as models: shipped, custom or loaded; in whatever form they predict."""

import importlib.util
import inspect
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from ctlearn.core.model import LoadedModel
from traitlets import TraitError
from traitlets.config import Config

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.forms import FORMS
from cherenkov_mlops.models.base import MODELS, Batch, Frame, ModelType
from cherenkov_mlops.models.cost import file_sizes, model_facts
from cherenkov_mlops.models.ctlearn_options import SHIPPED_MODELS, base_traits, model_traits
from cherenkov_mlops.models.exported import NETWORKS
from cherenkov_mlops.models.packed import unpack_model
from cherenkov_mlops.registry import did_you_mean
from cherenkov_mlops.run_dir import RunDir, atomic_path
from cherenkov_mlops.tasks import TASKS

if TYPE_CHECKING:
    from cherenkov_mlops.dl1.training_data import TrainingData

#: What a network is trained by; it stands above this module, so it is named as entry points are.
TRAINER = "cherenkov_mlops.training.trainer:train_model"
#: Images that ``predict`` takes at once.
BATCH = 16

type Network = Callable[[tf.Tensor], tf.Tensor | np.ndarray | dict[str, tf.Tensor]]
"""Predictions for images of shape (n, height, width, n_channels); any n."""


class KerasModel:
    """A Keras network: one of CTLearn's, a custom one, or a loaded one.

    Parameters
    ----------
    config : RunConfig
        The run whose model it is.
    network : keras.Model or Path
        The network, or the file to load it from when it is asked for.
    file : Path, optional
        The file that predictions are computed from, in whatever form; the network's own by default.
    """

    frame: Frame = "camera"

    def __init__(self, config: RunConfig, network: keras.Model | Path, file: Path | None = None):
        self.config = config
        self.tasks: Sequence[str] = config.own_tasks
        self.sees: Sequence[str] = [config.data.reader]
        self._network = network
        self.file = file or (network if isinstance(network, Path) else None)
        self._predictor: Network | None = None

    @property
    def network(self) -> keras.Model:
        """The Keras network."""
        if isinstance(self._network, Path):
            self._network = load_model_file(self._network)
        return self._network

    def fit(self, data: "TrainingData", run_dir: RunDir, attempt: Any) -> dict[str, Any]:
        """Train the network epoch by epoch; see `models.base.Model`."""
        return resolve_name(TRAINER)(
            self.config,
            data.manifest,
            run_dir,
            made_of=attempt.made_of,
            backup=attempt.backup,
            limit=data.limit,
        )

    def predict(self, batch: Batch) -> dict[str, np.ndarray]:
        """Compute the outputs of the network for a batch of images or waveforms."""
        if self._predictor is None:
            self._predictor = load_network(self.file)
        images = tf.convert_to_tensor(batch[self.sees[0]], dtype=tf.float32)
        return name_outputs(self._predictor(images), self.tasks)

    def save(self, folder: Path) -> Path:
        """Write ``model.keras`` and, of a custom network, its Python file."""
        path = folder / "model.keras"
        if self.config.model.type == "custom":
            with atomic_path(folder / "custom_model.py") as temporary:
                shutil.copyfile(self.config.model.file, temporary)
        with atomic_path(path) as temporary:
            self.network.save(temporary)
        return path

    def describe(self) -> dict[str, float]:
        """Give layers, parameters, operations and bytes: of the exported file, if it is one."""
        facts = model_facts(self.network)
        if self.config.export is not None and self.file is not None:
            size, zipped = file_sizes(self.file)
            facts |= {"model_size_mb": size / 1e6, "model_size_zipped_mb": zipped / 1e6}
        return facts

    def summarise(self) -> str:
        """Describe the layers."""
        return summarise(self.network)


def load_keras_model(config: RunConfig, run_dir: RunDir, folder: Path) -> KerasModel:
    """Load the network in ``prepare/`` or ``train/`` of a run, in the form that the run tests.

    Raises
    ------
    UserError
        An export is not there.
    """
    load_custom_code(config, run_dir)
    if folder == run_dir.prepare_dir:
        return KerasModel(config, run_dir.untrained_model)
    return KerasModel(config, run_dir.trained_model, tested_model(config, run_dir))


def tested_model(config: RunConfig, run_dir: RunDir) -> Path:
    """Find the file that a run predicts with; raise UserError if an export is not there."""
    if config.export is None:
        return run_dir.trained_model
    exported = run_dir.exported_model(config.export.format)
    if not exported.is_file():
        raise UserError(
            f"{exported}: expected the export of {config.export.of}, found no file; "
            f"make it again: compress {config.export.of} --to {config.export.format}"
        )
    return exported


def losses_of(tasks: Sequence[str]) -> tuple[Any, Any]:
    """Make losses and logged metrics of the tasks, as ``compile`` takes them.

    The particle type alone comes without its name, as in CTLearn's networks.
    """
    losses = {name: keras.losses.get(TASKS[name].loss) for name in tasks}
    metrics = {
        name: [
            getattr(keras.metrics, kind)(name=said) for said, kind in TASKS[name].watched.items()
        ]
        for name in tasks
    }
    if len(tasks) == 1 and TASKS[tasks[0]].is_bare:
        return losses[tasks[0]], metrics[tasks[0]]
    return losses, metrics


def engine_of(config: RunConfig) -> str:
    """Name what computes the model of a run, as in ``test.engine``."""
    return FORMS[config.export.format].engine if config.export else "keras"


def build_model(config: RunConfig, input_shape: tuple[int, ...]) -> keras.Model:
    """Build the untrained network of the run (or load the given one), and try one forward pass.

    Parameters
    ----------
    config : RunConfig
        The run; ``model.type`` says where the model comes from.
    input_shape : tuple of int
        Height, width, channels of the images.

    Raises
    ------
    UserError
        The model cannot be built, or does not fit the images or the task.
    """
    if len(config.own_tasks) != 1:
        wanted = ", ".join(config.own_tasks) or "none that no run of test.with_runs has"
        raise UserError(
            f"{config.locate('tasks')}: tasks: expected one that the network of this run learns, "
            f"got {wanted}; name trained runs of the others in test.with_runs"
        )
    keras.utils.set_random_seed(config.run.seed)
    try:
        if config.model.type == "custom":
            model = _build_custom(config, input_shape)
        elif config.model.type == "loaded":
            model = _build_loaded(config, input_shape)
        else:
            shipped = SHIPPED_MODELS[config.model.type]
            model = shipped(input_shape, config.own_tasks, config=base_traits(config)).model
    except (TraitError, ValueError) as error:
        # Traitlets and Keras refuse impossible options with these two.
        reason = " ".join(str(error).split())
        raise UserError(f"{config.locate('model')}: model {config.model.type}: {reason}") from error
    check_model(model, config, input_shape)
    return model


def _build_loaded(config: RunConfig, input_shape: tuple[int, ...]) -> keras.Model:
    path = config.model.load_model_from
    loaded = load_model_file(path)
    if not any(layer.name.endswith("_block") for layer in loaded.layers):
        names = ", ".join(layer.name for layer in loaded.layers)
        raise UserError(
            f"{config.locate('model.load_model_from')}: {path}: expected a layer called '*_block' "
            f"(the backbone), got {names}; name the backbone so and save the model again"
        )
    options = {
        "load_model_from": path,
        "overwrite_head": bool(config.model.overwrite_head),
        "trainable_backbone": config.model.trainable_backbone is not False,
        **model_traits(config),
    }
    options = {name: options[name] for name in options if name in LoadedModel.class_trait_names()}
    traits = Config({"LoadedModel": options})
    return LoadedModel(input_shape, config.own_tasks, config=traits).model


def _build_custom(config: RunConfig, input_shape: tuple[int, ...]) -> keras.Model:
    where, name = config.locate("model.class"), config.model.class_name
    module = import_model_file(config.model.file)
    classes = [key for key, value in vars(module).items() if inspect.isclass(value)]
    if name not in classes:
        raise UserError(
            f"{where}: {config.model.file} has no class '{name}'; {did_you_mean(name, classes)}"
        )
    options = {**model_traits(config), **(config.model.options or {})}
    try:
        built = getattr(module, name)(input_shape=input_shape, tasks=config.own_tasks, **options)
    except TypeError as error:
        raise UserError(
            f"{where}: {config.model.file}: {name}: "
            f"expected a class that takes input_shape, tasks and the options, got: {error}"
        ) from error
    model = built if isinstance(built, keras.Model) else getattr(built, "model", None)
    if not isinstance(model, keras.Model):
        raise UserError(
            f"{where}: {name}: expected a keras.Model in "
            f"the attribute 'model', got {type(model).__name__}; set self.model in __init__"
        )
    if config.model.trainable_backbone is False:
        blocks = [layer for layer in model.layers if layer.name.endswith("_block")]
        for backbone in [getattr(built, "backbone_model", None), *blocks]:
            if backbone is not None:
                backbone.trainable = False
    return model


def import_model_file(path: Path) -> ModuleType:
    """Import a user's Python file; its registered layers can be loaded afterwards.

    Raises
    ------
    UserError
        The file is missing or cannot be imported.
    """
    name = f"cherenkov_mlops_custom_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or not path.is_file():
        raise UserError(f"model.file: {path}: expected a Python file, found none")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError, NameError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"model.file: {path}: cannot be imported: {error}") from error
    return module


def load_custom_code(config: RunConfig, run_dir: RunDir) -> None:
    """Import the model file that ``prepare`` kept, so that its layers can be loaded."""
    if config.model.type == "custom":
        import_model_file(run_dir.custom_model)


def load_model_file(path: Path, *, compiled: bool = False) -> keras.Model:
    """Read a model from a ``.keras`` file; raise UserError if it is none."""
    try:
        return keras.saving.load_model(path, compile=compiled)
    except (ValueError, OSError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"{path}: expected a Keras model (.keras), got: {reason}") from error


def check_model(model: keras.Model, config: RunConfig, input_shape: tuple[int, ...]) -> None:
    """Raise UserError unless the model fits the images and the tasks.

    Input shape, output names and sizes, and values of a forward pass are looked at.
    """
    where = f"{config.locate('model')}: model {config.model.type}"
    if tuple(model.input_shape[1:]) != tuple(input_shape):
        raise UserError(
            f"{where}: expected input {tuple(input_shape)} (height, width, channels of the images),"
            f" got {tuple(model.input_shape[1:])}"
        )
    images = np.random.default_rng(0).normal(size=(2, *input_shape)).astype(np.float32)
    output = model(images, training=False)
    tasks = [TASKS[name] for name in config.own_tasks]
    sizes = {task.name: f"(n, {task.n_outputs})" for task in tasks}
    expected = "{" + ", ".join(f"'{name}': {size}" for name, size in sizes.items()) + "}"
    if len(tasks) == 1 and tasks[0].is_bare:
        expected = sizes[tasks[0].name]
    got = _described_output(output)
    if got != expected:
        raise UserError(
            f"{where}: task '{', '.join(sizes)}' expects the output {expected}, got {got}; "
            "change the head (model.head_layers, model.overwrite_head: true) or the task"
        )
    for name, values in name_outputs(output, config.own_tasks).items():
        if odd := TASKS[name].check_output(values):
            raise UserError(f"{where}: {odd}")


def _described_output(output: object) -> str:
    if isinstance(output, dict):
        return "{" + ", ".join(f"'{k}': {_described_output(v)}" for k, v in output.items()) + "}"
    if isinstance(output, (list, tuple)):
        return f"a list of {len(output)} outputs"
    return "(" + ", ".join(["n", *(str(size) for size in output.shape[1:])]) + ")"


def summarise(model: keras.Model) -> str:
    """Give Keras' summary as plain text, nested models opened."""
    lines: list[str] = []
    model.summary(
        print_fn=lambda line, **_: lines.append(line), expand_nested=True, line_length=100
    )
    return "\n".join(lines) + "\n"


def name_outputs(output: object, tasks: Sequence[str]) -> dict[str, np.ndarray]:
    """Give the output of a network by task; that of CTLearn's particle type has no name."""
    if isinstance(output, dict):
        return {task: np.asarray(output[task]) for task in tasks}
    return {tasks[0]: np.asarray(output)}


def load_network(path: Path) -> Network:
    """Load the network in a ``.keras`` or ``.packed`` file, or in a form without Keras.

    Raises
    ------
    UserError
        What computes the form is not installed.
    DataError
        A packed model is damaged.
    """
    if path.suffix in NETWORKS:
        return NETWORKS[path.suffix](path)
    is_packed = path.suffix == ".packed"
    model = unpack_model(path) if is_packed else keras.saving.load_model(path, compile=False)
    # As one graph; ``Model.predict`` costs far more per call.
    return tf.function(lambda images: model(images, training=False), reduce_retracing=True)


def only_values(output: tf.Tensor | np.ndarray | dict[str, tf.Tensor]) -> np.ndarray:
    """Take the values of the only output of a network."""
    return np.asarray(next(iter(output.values())) if isinstance(output, dict) else output)


def predict(network: keras.Model | Network, images: np.ndarray) -> np.ndarray:
    """Compute the outputs for all images, shape (n, n_outputs).

    Some images at a time: what lies between the layers of a large network needs a lot of memory.
    """
    if isinstance(network, keras.Model):
        return only_values(network.predict(images, batch_size=BATCH, verbose=0))
    starts = range(0, len(images), BATCH)
    return np.concatenate([only_values(network(images[at : at + BATCH])) for at in starts])


for _name in ("SingleCNN", "ResNet", "custom", "loaded"):
    MODELS.add(
        _name,
        ModelType(
            name=_name,
            build=lambda config, input_shape: KerasModel(config, build_model(config, input_shape)),
            load=load_keras_model,
        ),
    )

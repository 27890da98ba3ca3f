"""The model of a run, whatever its origin: built, checked, saved and summarised."""

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
from ctlearn.core.model import LoadedModel
from traitlets import TraitError
from traitlets.config import Config

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.models.ctlearn_options import SHIPPED_MODELS, base_traits, model_traits
from cherenkov_mlops.registry import did_you_mean
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.tasks import TASKS


def build_model(config: RunConfig, input_shape: tuple[int, ...]) -> keras.Model:
    """The untrained (or loaded) model of the run, checked by one forward pass.

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
    builders = {"custom": _build_custom, "loaded": _build_loaded}
    builder = builders.get(config.model.type, _build_shipped)
    try:
        model = builder(config, input_shape)
    except (TraitError, ValueError) as error:
        # Traitlets and Keras refuse impossible options with these two.
        reason = " ".join(str(error).split())
        raise UserError(f"{config.locate('model')}: model {config.model.type}: {reason}") from error
    check_model(model, config, input_shape)
    return model


def _build_shipped(config: RunConfig, input_shape: tuple[int, ...]) -> keras.Model:
    model_class = SHIPPED_MODELS[config.model.type]
    return model_class(input_shape, config.own_tasks, config=base_traits(config)).model


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
    model_class = find_custom_class(config, import_model_file(config.model.file))
    options = {**model_traits(config), **(config.model.options or {})}
    try:
        built = model_class(input_shape=input_shape, tasks=config.own_tasks, **options)
    except TypeError as error:
        raise UserError(
            f"{config.locate('model.class')}: {config.model.file}: {config.model.class_name}: "
            f"expected a class that takes input_shape, tasks and the options, got: {error}"
        ) from error
    model = built if isinstance(built, keras.Model) else getattr(built, "model", None)
    if not isinstance(model, keras.Model):
        raise UserError(
            f"{config.locate('model.class')}: {config.model.class_name}: expected a keras.Model in "
            f"the attribute 'model', got {type(model).__name__}; set self.model in __init__"
        )
    if config.model.trainable_backbone is False:
        _freeze_backbone(built, model)
    return model


def _freeze_backbone(built: object, model: keras.Model) -> None:
    blocks = [layer for layer in model.layers if layer.name.endswith("_block")]
    for backbone in [getattr(built, "backbone_model", None), *blocks]:
        if backbone is not None:
            backbone.trainable = False


def import_model_file(path: Path) -> ModuleType:
    """The module made from a user's Python file; its registered layers can be loaded afterwards.

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


def find_custom_class(config: RunConfig, module: ModuleType) -> type:
    """The class of ``model.class`` in the user's module; ``UserError`` if it is not there."""
    name = config.model.class_name
    classes = [key for key, value in vars(module).items() if inspect.isclass(value)]
    if name not in classes:
        raise UserError(
            f"{config.locate('model.class')}: {config.model.file} has no class '{name}'; "
            f"{did_you_mean(name, classes)}"
        )
    return getattr(module, name)


def load_model_file(path: Path, *, compiled: bool = False) -> keras.Model:
    """A model from a ``.keras`` file; ``UserError`` if the file is not one."""
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
    is_bare = len(tasks) == 1 and tasks[0].is_bare
    if is_bare:
        expected = sizes[tasks[0].name]
    got = _described_output(output)
    if got != expected:
        raise UserError(
            f"{where}: task '{', '.join(sizes)}' expects the output {expected}, got {got}; "
            "change the head (model.head_layers, model.overwrite_head: true) or the task"
        )
    for task in tasks:
        values = np.asarray(output if is_bare else output[task.name])
        if odd := task.check_output(values):
            raise UserError(f"{where}: {odd}")


def _described_output(output: object) -> str:
    if isinstance(output, dict):
        return "{" + ", ".join(f"'{k}': {_described_output(v)}" for k, v in output.items()) + "}"
    if isinstance(output, (list, tuple)):
        return f"a list of {len(output)} outputs"
    return "(" + ", ".join(["n", *(str(size) for size in output.shape[1:])]) + ")"


def summarise(model: keras.Model) -> str:
    """Keras' summary as plain text, nested models opened."""
    lines: list[str] = []
    model.summary(
        print_fn=lambda line, **_: lines.append(line), expand_nested=True, line_length=100
    )
    return "\n".join(lines) + "\n"

"""CTLearn's traitlets configuration from ours, and the check of names that CTLearn leaves out."""

import inspect
from collections.abc import Iterable
from typing import Any

from ctapipe.io import HDF5Merger
from ctapipe.reco.stereo_combination import StereoMeanCombiner
from ctlearn.core.model import CTLearnModel, LoadedModel, ResNet, SingleCNN
from dl1_data_handler.image_mapper import ImageMapper
from dl1_data_handler.reader import (
    DLDataReader,
    DLImageReader,
    DLWaveformReader,
    TableQualityQuery,
)
from traitlets import TraitError
from traitlets.config import Config, Configurable

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.dl1.options import KIND_OPTIONS, READER_OPTIONS, own_traits
from cherenkov_mlops.registry import did_you_mean
from cherenkov_mlops.tasks import TASKS

SHIPPED_MODELS = {"SingleCNN": SingleCNN, "ResNet": ResNet}
TRAINING_OPTIONS = (
    "n_epochs",
    "batch_size",
    "save_best_validation_only",
    "validation_split",
    "optimizer",
    "lr_reducing",
    "early_stopping",
)
# CTLearn's tools, which do no work here: option -> our key that does the same; empty
# where the run decides.
TRAINING = {name: f"train.{name}" for name in TRAINING_OPTIONS} | {
    "random_seed": "run.seed",
    "reco_tasks": "tasks",
    "model_type": "model.type",
    "stack_telescope_images": "data.stack_telescope_images",
    "sort_by_intensity": "data.sort_by_intensity",
    "dl1dh_reader_type": "data.reader",
    "input_dir_signal": "data.train.signal",
    "file_pattern_signal": "data.train.signal",
    "input_dir_background": "data.train.background",
    "file_pattern_background": "data.train.background",
    "output_dir": "",
}
PREDICTION = {
    "batch_size": "test.batch_size",
    "stack_telescope_images": "data.stack_telescope_images",
    "sort_by_intensity": "data.sort_by_intensity",
    "dl1dh_reader_type": "data.reader",
    "input_url": "data.test.signal",
    "output_path": "",
    "prefixes": "",
} | {f"load_{task}_model_from": "test.with_runs" for task in TASKS}
TOOLS = {
    "TrainCTLearnModel": TRAINING,
    "PredictCTLearnModel": PREDICTION,
    "MonoPredictCTLearnModel": PREDICTION,
    "StereoPredictCTLearnModel": PREDICTION,
}
# Option of a class that works here -> our key; an empty key means that the run decides.
OWNED: dict[type, dict[str, str]] = {
    DLDataReader: {name: f"data.{name}" for name in READER_OPTIONS},
    DLImageReader: {name: f"data.{name}" for name in KIND_OPTIONS["images"]},
    DLWaveformReader: {name: f"data.{name}" for name in KIND_OPTIONS["waveforms"]},
    TableQualityQuery: {"quality_criteria": "data.quality_criteria"},
    HDF5Merger: {"output_path": "", "overwrite": "", "append": ""},
    StereoMeanCombiner: {"prefix": "", "property": ""},
}
NULL_MEANS_NONE = ("attention_mechanism", "pooling_type")


def check_trait_names(config: RunConfig) -> list[str]:
    """Find names in ``ctlearn:`` that CTLearn does not know, and values it refuses; a line each.

    Options that have a key of their own outside ``ctlearn:`` are refused too: two places for one
    option would contradict each other in silence.
    """
    known = _known_classes()
    problems = []
    for section, options in config.ctlearn.items():
        where = config.locate(f"ctlearn.{section}")
        if section in TOOLS:
            problems.extend(_refuse_options(config, section, options))
        elif section in known:
            problems.extend(_check_options(config, section, known[section], options))
        else:
            hint = did_you_mean(section, known)
            problems.append(f"{where}: ctlearn.{section}: no such class of CTLearn; {hint}")
    return problems


def _refuse_options(config: RunConfig, tool: str, options: dict[str, Any]) -> Iterable[str]:
    for name in options:
        key = f"ctlearn.{tool}.{name}"
        hint = "expected options of what works here, got one of a tool that does not; leave it out"
        if name in TOOLS[tool]:
            hint = f"has a place of its own; {_point_to(TOOLS[tool][name])}"
        yield f"{config.locate(key)}: {key}: {hint}"


def _point_to(owner: str) -> str:
    return f"write {owner} instead" if owner else "the run decides it"


def _check_options(
    config: RunConfig, section: str, known_class: type, options: dict[str, Any]
) -> Iterable[str]:
    traits = known_class.class_traits(config=True)
    for name, value in options.items():
        key = f"ctlearn.{section}.{name}"
        # Options are inherited: those of the base class and of a subclass count as the same.
        owners = [
            owned[name]
            for base, owned in OWNED.items()
            if name in owned and (issubclass(known_class, base) or issubclass(base, known_class))
        ]
        if name not in traits:
            yield f"{config.locate(key)}: {key}: no such option; {did_you_mean(name, traits)}"
        elif owners:
            yield f"{config.locate(key)}: {key}: has a place of its own; {_point_to(owners[0])}"
        elif not inspect.isabstract(known_class):
            try:
                traits[name]._validate(known_class.__new__(known_class), value)
            except TraitError as error:
                yield f"{config.locate(key)}: {key}: {' '.join(str(error).split())}"


def _known_classes() -> dict[str, type]:
    """Configurable classes that work in the stages, by name, with their base classes."""
    found: set[type] = set()
    left = [CTLearnModel, LoadedModel, *SHIPPED_MODELS.values(), ImageMapper, DLDataReader]
    left += [TableQualityQuery, HDF5Merger, StereoMeanCombiner]
    while left:
        known_class = left.pop()
        left += known_class.__subclasses__()
        found.update(each for each in known_class.__mro__ if issubclass(each, Configurable))
    theirs = {each for each in found if not each.__module__.startswith("cherenkov_mlops")}
    return {each.__name__: each for each in theirs if each.class_traits(config=True)}


def model_traits(config: RunConfig) -> dict[str, Any]:
    """Collect the options of the model that were given, by CTLearn's names."""
    given = config.model.model_dump(exclude_none=True)
    known = SHIPPED_MODELS.get(config.model.type, CTLearnModel).class_trait_names(config=True)
    options = {name: value for name, value in given.items() if name in known}
    # CTLearn keeps one entry a task: those not given keep their default, and tasks that it does not
    # know get what it gives to others.
    others = {
        "head_layers": lambda task: [512, 256, TASKS[task].n_outputs],
        "head_activation_function": lambda task: "relu",
    }
    for name, entry in others.items():
        default = CTLearnModel.class_traits()[name].default()
        foreign = {task: entry(task) for task in config.own_tasks if task not in default}
        if name in options or foreign:
            options[name] = default | foreign | options.get(name, {})
    if config.model.type in SHIPPED_MODELS:
        # Here null has a meaning, which is not CTLearn's default.
        for name in set(NULL_MEANS_NONE) & set(known):
            options[name] = getattr(config.model, name)
    return options


def base_traits(config: RunConfig, telescopes: list[int] | None = None) -> Config:
    """Make the traitlets configuration of reader, cuts and model; what ``ctlearn:`` says wins."""
    traits = own_traits(config, telescopes)
    if config.model.type in SHIPPED_MODELS:
        traits.merge(Config({config.model.type: model_traits(config)}))
    traits.merge(Config(config.ctlearn))
    return traits

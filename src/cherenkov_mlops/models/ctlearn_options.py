"""CTLearn's traitlets configuration from ours, and the check of names that CTLearn leaves out."""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ctapipe.core import Tool
from ctapipe.io import HDF5Merger
from ctapipe.reco.stereo_combination import StereoCombiner, StereoMeanCombiner
from ctlearn.core.model import CTLearnModel, ResNet, SingleCNN
from ctlearn.tools.predict_model import (
    MonoPredictCTLearnModel,
    PredictCTLearnModel,
    StereoPredictCTLearnModel,
)
from ctlearn.tools.train_model import TrainCTLearnModel
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
# Option of a CTLearn class -> our key; an empty key means that the run folder decides.
OWNED: dict[type, dict[str, str]] = {
    TrainCTLearnModel: {name: f"train.{name}" for name in TRAINING_OPTIONS}
    | {
        "random_seed": "run.seed",
        "reco_tasks": "tasks",
        "model_type": "model.type",
        "stack_telescope_images": "data.stack_telescope_images",
        "sort_by_intensity": "data.sort_by_intensity",
        "input_dir_signal": "data.train.signal",
        "file_pattern_signal": "data.train.signal",
        "input_dir_background": "data.train.background",
        "file_pattern_background": "data.train.background",
        "output_dir": "",
        "dl1dh_reader_type": "",
    },
    PredictCTLearnModel: {
        "batch_size": "test.batch_size",
        "stack_telescope_images": "data.stack_telescope_images",
        "sort_by_intensity": "data.sort_by_intensity",
        "input_url": "data.test.signal",
        "output_path": "",
        "dl1dh_reader_type": "",
        "prefixes": "",
    }
    | {f"load_{task}_model_from": "test.with_runs" for task in TASKS},
    DLDataReader: {name: f"data.{name}" for name in READER_OPTIONS},
    DLImageReader: {name: f"data.{name}" for name in KIND_OPTIONS["images"]},
    DLWaveformReader: {name: f"data.{name}" for name in KIND_OPTIONS["waveforms"]},
    TableQualityQuery: {"quality_criteria": "data.quality_criteria"},
    Tool: {"log_file": "", "provenance_log": "", "config_files": "", "log_config": ""},
}
# Components that the tools make without naming them in their ``classes``.
PARTS = (HDF5Merger, StereoCombiner, StereoMeanCombiner, TableQualityQuery)
NULL_MEANS_NONE = ("attention_mechanism", "pooling_type")


def check_trait_names(config: RunConfig) -> list[str]:
    """One line for each name in ``ctlearn:`` that CTLearn does not know, or value it refuses.

    Options that have a key of their own outside ``ctlearn:`` are refused too: two places for one
    option would contradict each other in silence.
    """
    known = _known_classes()
    problems = []
    for section, options in config.ctlearn.items():
        where = config.locate(f"ctlearn.{section}")
        if section not in known:
            hint = did_you_mean(section, known)
            problems.append(f"{where}: ctlearn.{section}: no such class of CTLearn; {hint}")
            continue
        problems.extend(_check_options(config, section, known[section], options))
    return problems


def _check_options(
    config: RunConfig, section: str, known_class: type, options: dict[str, Any]
) -> Iterable[str]:
    traits = known_class.class_traits(config=True)
    for name, value in options.items():
        key = f"ctlearn.{section}.{name}"
        if name not in traits:
            yield f"{config.locate(key)}: {key}: no such option; {did_you_mean(name, traits)}"
        elif (owner := _find_owner(known_class, name)) is not None:
            yield f"{config.locate(key)}: {key}: has a place of its own; {owner}"
        elif not inspect.isabstract(known_class):
            try:
                traits[name]._validate(known_class.__new__(known_class), value)
            except TraitError as error:
                yield f"{config.locate(key)}: {key}: {' '.join(str(error).split())}"


def _find_owner(known_class: type, name: str) -> str | None:
    """Which key of ours sets the option of a CTLearn class; None if none does."""
    if "PredictCTLearnModel" in {base.__name__ for base in known_class.__mro__} and (
        name not in Tool.class_trait_names() and name not in OWNED[PredictCTLearnModel]
    ):
        return "CTLearn's predict tool is not used; leave it out"
    for base, owners in OWNED.items():
        related = issubclass(known_class, base) or issubclass(base, known_class)
        if related and name in owners:
            return f"write {owners[name]} instead" if owners[name] else "the run decides it"
    return None


def _known_classes() -> dict[str, type]:
    """Configurable classes that the tools of the stages use, by name, with their base classes."""
    classes: set[type] = set()
    for tool in (TrainCTLearnModel, MonoPredictCTLearnModel, StereoPredictCTLearnModel):
        for component in (tool, *tool.classes, *PARTS):
            classes.update(c for c in component.__mro__ if issubclass(c, Configurable))
    return {c.__name__: c for c in classes if c.class_traits(config=True)}


def model_traits(config: RunConfig) -> dict[str, Any]:
    """Options of the model that were given, by CTLearn's names."""
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
    """Traitlets configuration of reader, cuts and model; what ``ctlearn:`` says wins."""
    traits = own_traits(config, telescopes)
    if config.model.type in SHIPPED_MODELS:
        traits.merge(Config({config.model.type: model_traits(config)}))
    traits.merge(Config(config.ctlearn))
    return traits


def tool_traits(tool: str, options: dict[str, Any], traits: Config, log_file: Path) -> Config:
    """``traits`` with the options of the tool itself, its log and provenance in files."""
    complete = Config(
        {
            tool: {
                **options,
                "log_file": str(log_file),
                "provenance_log": str(log_file.with_suffix(".provenance.log")),
            }
        }
    )
    complete.merge(traits)
    return complete

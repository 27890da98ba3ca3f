"""CTLearn's traitlets configuration from ours, and the check of names that CTLearn leaves out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ctapipe.core import Component
from ctlearn.core.model import CTLearnModel, ResNet, SingleCNN
from ctlearn.tools.predict_model import MonoPredictCTLearnModel, StereoPredictCTLearnModel
from ctlearn.tools.train_model import TrainCTLearnModel
from dl1_data_handler.reader import DLDataReader
from traitlets import TraitError
from traitlets.config import Config

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.registry import did_you_mean

SHIPPED_MODELS = {"SingleCNN": SingleCNN, "ResNet": ResNet}
READER_OPTIONS = (
    "mode",
    "channels",
    "image_mapper_type",
    "min_telescopes",
    "focal_length_choice",
    "enforce_subarray_equality",
    "force_dl1_lookup",
    "allowed_tel_types",
    "allowed_tels",
)
NULL_MEANS_NONE = ("attention_mechanism", "pooling_type")
HEAD_OPTIONS = ("head_layers", "head_activation_function")


def check_trait_names(config: RunConfig) -> list[str]:
    """One line for each name in ``ctlearn:`` that CTLearn does not know, or value it refuses."""
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
            continue
        try:
            traits[name]._validate(known_class.__new__(known_class), value)
        except TraitError as error:
            yield f"{config.locate(key)}: {key}: {' '.join(str(error).split())}"


def _known_classes() -> dict[str, type]:
    """Configurable classes of CTLearn's tools by name, with their base classes."""
    tools = (TrainCTLearnModel, MonoPredictCTLearnModel, StereoPredictCTLearnModel)
    classes: set[type] = set()
    for tool in tools:
        for component in (tool, *tool.classes):
            classes.update(c for c in component.__mro__ if hasattr(c, "class_traits"))
    classes.update(_subclasses(CTLearnModel) | _subclasses(DLDataReader) | _subclasses(Component))
    return {c.__name__: c for c in classes if c.class_traits(config=True)}


def _subclasses(base: type) -> set[type]:
    direct = set(base.__subclasses__())
    return direct.union(*(_subclasses(child) for child in direct))


def reader_traits(config: RunConfig, telescopes: list[int] | None = None) -> dict[str, Any]:
    """Options of the reader, by CTLearn's names.

    Parameters
    ----------
    config : RunConfig
        The run.
    telescopes : list of int, optional
        Telescopes to use instead of ``data.allowed_tels``: those that have tables.
    """
    options = {name: getattr(config.data, name) for name in READER_OPTIONS}
    if telescopes is not None:
        options["allowed_tels"], options["allowed_tel_types"] = telescopes, None
    return {name: value for name, value in options.items() if value is not None}


def model_traits(config: RunConfig) -> dict[str, Any]:
    """Options of the model that were given, by CTLearn's names."""
    given = config.model.model_dump(exclude_none=True)
    known = SHIPPED_MODELS.get(config.model.type, CTLearnModel).class_trait_names(config=True)
    options = {name: value for name, value in given.items() if name in known}
    for name in HEAD_OPTIONS:
        # CTLearn keeps one entry a task: those not given keep their default.
        if name in options:
            options[name] = CTLearnModel.class_traits()[name].default() | options[name]
    if config.model.type in SHIPPED_MODELS:
        # Here null has a meaning, which is not CTLearn's default.
        for name in set(NULL_MEANS_NONE) & set(known):
            options[name] = getattr(config.model, name)
    return options


def base_traits(config: RunConfig, telescopes: list[int] | None = None) -> Config:
    """Traitlets configuration of reader, cuts and model; what ``ctlearn:`` says wins."""
    criteria = [tuple(pair) for pair in config.data.quality_criteria]
    traits = Config(
        {
            "DLImageReader": reader_traits(config, telescopes),
            "TableQualityQuery": {"quality_criteria": criteria},
        }
    )
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
                "provenance_log": str(log_file.with_suffix(".provenance.json")),
            }
        }
    )
    complete.merge(traits)
    return complete

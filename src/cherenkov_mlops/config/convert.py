"""The predecessor's configuration in the layout of this package; nothing of it is lost."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from cherenkov_mlops.config.data_section import DataSection
from cherenkov_mlops.config.files import read_file
from cherenkov_mlops.config.model_section import MODEL_TYPES
from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.config.train_section import PruningSection, TrainSection
from cherenkov_mlops.config.words import fields_of
from cherenkov_mlops.errors import ConfigError

OLD_TYPES = {"CustomModel": "custom", "LoadedModel": "loaded"}
READERS = ("DLDataReader", "DLImageReader")
LABELS = ("signal", "background")
MODELS = ("CTLearnModel", "SingleCNN", "ResNet", "LoadedModel")
NEW_KEYS = {
    **{name: f"train.{name}" for name in fields_of(TrainSection)},
    "random_seed": "run.seed",
    "stack_telescope_images": "data.stack_telescope_images",
    "sort_by_intensity": "data.sort_by_intensity",
}

# Old options that have no counterpart, and what takes their place.
OBSOLETE = {
    "input_shape": "the shape follows from the camera, the mapper and the channels",
    "num_classes": "the number of outputs follows from the task",
    "temp_dir": "everything is written into the run folder",
    "overwrite": "write --force on the command line",
    "quiet": "the terminal shows one line an epoch, everything else is in the log file",
    "log_level": "the log file holds everything",
}


@dataclass
class Conversion:
    """A configuration in the making.

    Parameters
    ----------
    values : dict
        Options in the layout of this package.
    warnings : list of str
        One line for each old option that has no place there.
    """

    values: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def put(self, key: str, value: Any) -> None:
        """Set the option at the dotted ``key``."""
        *above, last = key.split(".")
        section = self.values
        for part in above:
            section = section.setdefault(part, {})
        section[last] = value

    def warn(self, key: str, value: Any, reason: str) -> None:
        """Note that an old option was left out."""
        self.warnings.append(f"{key}: {json.dumps(value)}: left out: {reason}")


def convert_file(path: Path) -> tuple[str, list[str]]:
    """Write YAML text in the layout of this package, and one warning for each option left out.

    Raises
    ------
    cherenkov_mlops.errors.ConfigError
        The file cannot be read or is not in the predecessor's layout.
    """
    document = read_file(path)
    if document.problems:
        raise ConfigError([str(problem) for problem in document.problems])
    if not {"prepare_model", "training_model"} & set(document.values):
        raise ConfigError(
            [
                f"{path}: expected the sections prepare_model and training_model, got "
                f"{', '.join(document.values)}; a configuration of this package needs no conversion"
            ]
        )
    conversion = convert(document.values, path.stem)
    notes = "".join(f"# {warning}\n" for warning in conversion.warnings)
    return notes + to_yaml(conversion.values), conversion.warnings


def convert(old: dict[str, Any], name: str) -> Conversion:
    """Convert the predecessor's ``old`` configuration, for a run called ``name``."""
    conversion = Conversion()
    conversion.put("run.name", _safe_name(name))
    for key, value in old.items():
        if key == "prepare_model" and isinstance(value, dict):
            for name, given in _model_type_first(value):
                where = f"{key}.{name}"
                if name == "model_type":
                    _convert_model_type(conversion, where, given)
                elif name == "tasks":
                    _convert_tasks(conversion, where, given)
                elif name == "CustomModel" and isinstance(given, dict):
                    new_keys = {"model_filename": "model.file", "model_name": "model.class"}
                    for option, each in given.items():
                        conversion.put(new_keys.get(option, f"model.options.{option}"), each)
                elif isinstance(given, dict):
                    _convert_class(conversion, key, name, given)
                else:
                    conversion.warn(where, given, OBSOLETE.get(name, "unknown option"))
        elif key != "training_model" or not isinstance(value, dict):
            conversion.warn(key, value, "unknown section")
    # After prepare_model, whose model is the one that counts.
    training = old.get("training_model")
    for key, value in (training if isinstance(training, dict) else {}).items():
        _convert_class(conversion, "training_model", key, value)
    conversion.warnings.append("data.test: not in the old layout: add the files to test on")
    return conversion


def _model_type_first(old: dict[str, Any]) -> list[tuple[str, Any]]:
    """Options with the type of the model first, which says what the others belong to."""
    return sorted(old.items(), key=lambda option: option[0] != "model_type")


def _convert_model_type(conversion: Conversion, key: str, value: Any) -> None:
    kind = OLD_TYPES.get(str(value), value)
    before = conversion.values.get("model", {}).get("type")
    if before is None:
        conversion.put("model.type", kind)
    elif before != kind:
        conversion.warn(key, value, f"prepare_model has model type {before}, which is trained")


def _convert_tasks(conversion: Conversion, key: str, value: Any) -> None:
    tasks = value if isinstance(value, list) else [value]
    before = conversion.values.setdefault("tasks", tasks)
    for task in tasks:
        if task not in before:
            conversion.warn(key, task, f"prepare_model has the tasks {', '.join(before)}")


def _convert_class(conversion: Conversion, above: str, name: str, old: Any) -> None:
    """Convert the options of one configurable class."""
    if not isinstance(old, dict):
        conversion.warn(f"{above}.{name}", old, "unknown option")
    elif name == "TrainCTLearnModel":
        _convert_training(conversion, old)
    else:
        for option, value in old.items():
            if isinstance(value, dict) and option[:1].isupper():
                _convert_class(conversion, f"{above}.{name}", option, value)
            else:
                conversion.put(_new_key(conversion, name, option), value)


def _new_key(conversion: Conversion, owner: str, option: str) -> str:
    """Key for an option of a class of CTLearn; in ``ctlearn`` if there is no other."""
    if owner in READERS and option in fields_of(DataSection):
        return f"data.{option}"
    if owner == "TableQualityQuery" and option == "quality_criteria":
        return "data.quality_criteria"
    kind = conversion.values.get("model", {}).get("type", "ResNet")
    if owner in MODELS and option in MODEL_TYPES.get(kind, ()):
        return f"model.{option}"
    return f"ctlearn.{owner}.{option}"


def _convert_training(conversion: Conversion, old: dict[str, Any]) -> None:
    for label in LABELS:
        folder, patterns = old.get(f"input_dir_{label}"), old.get(f"file_pattern_{label}")
        if folder is not None:
            names = patterns if isinstance(patterns, list) else [patterns or "*.h5"]
            files = [str(PurePosixPath(str(folder)) / str(name)) for name in names]
            conversion.put(f"data.train.{label}", files)
        elif patterns is not None:
            key = f"training_model.TrainCTLearnModel.file_pattern_{label}"
            conversion.warn(key, patterns, f"there is no input_dir_{label}")
    done = {f"{part}_{label}" for part in ("input_dir", "file_pattern") for label in LABELS}
    for name, value in _model_type_first(old):
        key = f"training_model.TrainCTLearnModel.{name}"
        if name in CONVERTERS:
            CONVERTERS[name](conversion, key, value)
        elif name == "percentage_per_epoch":
            conversion.put("sampling.percentage_per_epoch", _as_fraction(value))
        elif name in NEW_KEYS:
            conversion.put(NEW_KEYS[name], value)
        elif name in OBSOLETE:
            conversion.warn(key, value, OBSOLETE[name])
        elif isinstance(value, dict) and name[:1].isupper():
            _convert_class(conversion, "training_model.TrainCTLearnModel", name, value)
        elif name not in done:
            conversion.put(f"ctlearn.TrainCTLearnModel.{name}", value)


def _convert_output(conversion: Conversion, key: str, value: Any) -> None:
    path = PurePosixPath(str(value))
    conversion.put("run.name", _safe_name(path.name))
    conversion.put("run.dir", str(path.parent))
    if _safe_name(path.name) != path.name:
        conversion.warn(key, value, f"the run is called {_safe_name(path.name)}")


def _convert_pruning(conversion: Conversion, key: str, value: Any) -> None:
    if not isinstance(value, dict):
        conversion.put("pruning", value)
        return
    for name, given in value.items():
        if name in fields_of(PruningSection):
            sparsity = name.endswith("sparsity")
            conversion.put(f"pruning.{name}", _as_fraction(given) if sparsity else given)
        else:
            conversion.warn(f"{key}.{name}", given, "unknown option")


CONVERTERS: dict[str, Callable[[Conversion, str, Any], None]] = {
    "model_type": _convert_model_type,
    "reco_tasks": _convert_tasks,
    "output_dir": _convert_output,
    "pruning_model": _convert_pruning,
}


def _as_fraction(value: Any) -> Any:
    """Turn a share, which the predecessor also took in percent, into a fraction."""
    percent = isinstance(value, int | float) and value > 1
    return value / 100 if percent else value


def _safe_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip("._-") or "study"

"""What is to be converted, into which file, and how; light, for all processes."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from traitlets.config import JSONFileConfigLoader, PyFileConfigLoader

from cherenkov_mlops.data.files import expand_patterns
from cherenkov_mlops.errors import DataError, UserError

ENDINGS = (".simtel.gz", ".simtel.zst", ".simtel")
FOCAL_LENGTHS = ("EFFECTIVE", "EQUIVALENT")
#: Packages whose versions decide what is in an output.
PACKAGES = ("ctapipe", "eventio", "numpy", "tables")


@dataclass(frozen=True)
class Conversion:
    """One file to convert.

    Parameters
    ----------
    source, output : Path
        Input and output.
    config : dict
        Configuration of ctapipe-process, without input and output.
    """

    source: Path
    output: Path
    config: dict[str, Any]


@dataclass(frozen=True)
class ConvertOptions:
    """What an output holds.

    Parameters
    ----------
    images, parameters, waveforms : bool, optional
        Whether to write DL1 images, DL1 parameters, R1 waveforms; None leaves it to
        ``ctapipe_config``, and if that does not say, images and parameters are written.
    focal_length : str, optional
        ``EFFECTIVE`` or ``EQUIVALENT``; None is ctapipe's choice, EFFECTIVE.
    ctapipe_config : Path, optional
        Configuration file of ctapipe-process.
    """

    images: bool | None = None
    parameters: bool | None = None
    waveforms: bool | None = None
    focal_length: str | None = None
    ctapipe_config: Path | None = None

    def __post_init__(self) -> None:
        if self.focal_length is not None and self.focal_length not in FOCAL_LENGTHS:
            raise UserError(
                f"--focal-length: expected EFFECTIVE or EQUIVALENT, got {self.focal_length}"
            )

    def read_user_config(self) -> dict[str, Any]:
        """Read ``ctapipe_config``; empty without one."""
        return read_ctapipe_config(self.ctapipe_config) if self.ctapipe_config else {}

    def make_config(self) -> dict[str, Any]:
        """Join the options of ctapipe-process: defaults, then the file, then what was asked for."""
        defaults = {"DataWriter": {"write_dl1_images": True, "write_dl1_parameters": True}}
        # Only what was asked for on the command line overrules the file.
        writer = {
            "write_dl1_images": self.images,
            "write_dl1_parameters": self.parameters,
            "write_r1_waveforms": self.waveforms,
        }
        asked = {
            "DataWriter": {name: value for name, value in writer.items() if value is not None},
            "SimTelEventSource": {"focal_length_choice": self.focal_length}
            if self.focal_length
            else {},
        }
        return _joined(_joined(defaults, self.read_user_config()), asked)


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide what is in an output."""
    return {name: metadata.version(name) for name in PACKAGES}


def read_ctapipe_config(path: Path) -> dict[str, Any]:
    """Read a configuration file of ctapipe: YAML, TOML, JSON or Python.

    Raises
    ------
    UserError
        The file is not there, cannot be read, or holds more than plain values.
    """
    if not path.is_file():
        raise UserError(f"--ctapipe-config: {path}: no such file")
    traitlets = {".json": JSONFileConfigLoader, ".py": PyFileConfigLoader}
    endings = [".yaml", ".yml", ".toml", *traitlets]
    if path.suffix not in endings:
        raise UserError(f"--ctapipe-config: {path}: expected a name ending in {', '.join(endings)}")
    try:
        if path.suffix in traitlets:
            content = traitlets[path.suffix](path.name, str(path.parent)).load_config()
        elif path.suffix == ".toml":
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        else:
            content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        # Plain values only: they are sent to other processes and recorded.
        content = json.loads(json.dumps(content or {}))
    except (ValueError, TypeError, SyntaxError, NameError, YAMLError) as error:
        raise UserError(f"--ctapipe-config: {path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"--ctapipe-config: {path}: expected sections such as DataWriter")
    return content


def flatten(config: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Put the same options under dotted names.

    >>> flatten({"DataWriter": {"overwrite": True}})
    {'DataWriter.overwrite': True}
    """
    flat: dict[str, Any] = {}
    for name, value in config.items():
        where = f"{path}.{name}".lstrip(".")
        flat.update(flatten(value, where) if isinstance(value, dict) else {where: value})
    return flat


def _joined(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Both, section by section; where both have a value, that of ``over``."""
    joined = dict(base)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(name), dict)
        joined[name] = _joined(base[name], value) if both else value
    return joined


def find_simtel(inputs: Sequence[str]) -> list[Path]:
    """Find the files that the inputs name, in order: files, patterns, folders of simtel files.

    Raises
    ------
    DataError
        An input names no file.
    """
    found: dict[Path, None] = {}
    for name in inputs:
        folder = Path(name)
        if folder.is_dir():
            files = [path for path in sorted(folder.iterdir()) if path.name.endswith(ENDINGS)]
            if not files:
                raise DataError(f"{folder}: expected {', '.join(ENDINGS)} files, found none")
        else:
            files = expand_patterns([name], "convert")
        found.update(dict.fromkeys(files))
    return list(found)


def name_outputs(files: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Map each input to its DL1 file in ``folder``.

    Raises
    ------
    UserError
        Two inputs would have the same output.
    """
    outputs: dict[Path, Path] = {}
    for path in files:
        # Other names come from patterns; what they hold is looked at by the worker.
        ending = next((end for end in (*ENDINGS, ".gz", ".zst") if path.name.endswith(end)), "")
        output = folder / f"{path.name.removesuffix(ending)}.dl1.h5"
        if output in outputs:
            raise UserError(
                f"{path}: would be written to {output}, as {outputs[output]} would; "
                "rename one of them, or convert them into two folders"
            )
        outputs[output] = path
    return {path: output for output, path in outputs.items()}

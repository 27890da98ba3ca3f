"""Simulation files and the names of what is made of them."""

from collections.abc import Sequence
from pathlib import Path

from cherenkov_mlops.data.files import expand_patterns
from cherenkov_mlops.errors import DataError, UserError

ENDINGS = (".simtel.gz", ".simtel.zst", ".simtel")


def find_simtel(inputs: Sequence[str]) -> list[Path]:
    """Files that the inputs name, in their order: files, patterns, or folders of simtel files.

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
    """Input -> its DL1 file in ``folder``.

    Raises
    ------
    UserError
        Two inputs would have the same output.
    """
    outputs: dict[Path, Path] = {}
    for path in files:
        output = folder / f"{_stem(path)}.dl1.h5"
        if output in outputs:
            raise UserError(
                f"{path}: would be written to {output}, as {outputs[output]} would; "
                "rename one of them, or convert them into two folders"
            )
        outputs[output] = path
    return {path: output for output, path in outputs.items()}


def _stem(path: Path) -> str:
    for ending in ENDINGS:
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return path.name.removesuffix(".gz").removesuffix(".zst")

"""Packages that are needed for some engines only."""

import os
from importlib import import_module
from types import ModuleType

from cherenkov_mlops.errors import UserError


def import_optional(module: str, name: str, where: object) -> ModuleType:
    """The module; ``UserError`` that says what to install if it is not there.

    Parameters
    ----------
    module : str
        Dotted name.
    name : str
        What users call it.
    where : object
        What needs it: a file, an option.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(
            f"{where}: needs {name}, which is not installed; pip install 'cherenkov-mlops[engines]'"
        ) from error


def n_threads() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))

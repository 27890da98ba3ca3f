"""Figures as files for a paper: each as PDF and as PNG, all in one style."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import rc_params_from_file
from matplotlib.figure import Figure

from cherenkov_mlops.figures.base import figures_of
from cherenkov_mlops.figures.render import render_figure
from cherenkov_mlops.figures.style import RC_PARAMS, run_style
from cherenkov_mlops.results import Results
from cherenkov_mlops.tasks import TASKS

#: Style sheet, on top of the settings of the pages.
STYLE_SHEET = "paper.mplstyle"
#: Ending -> metadata; without times and versions, equal input gives equal files.
_METADATA = {
    "pdf": dict.fromkeys(("CreationDate", "Creator", "Producer")),
    "png": {"Software": None},
}


def paper_look() -> dict[str, Any]:
    """Read the settings of Matplotlib for a paper."""
    with as_file(files("cherenkov_mlops.figures") / STYLE_SHEET) as path:
        return RC_PARAMS | dict(rc_params_from_file(path, use_default_template=False))


def export_figures(runs: Sequence[Results], labels: Sequence[str], folder: Path) -> list[Path]:
    """Write ``<figure>.pdf`` and ``<figure>.png`` (300 dpi) of each figure; return their paths.

    Parameters
    ----------
    runs : sequence of Results
        One run, or several to draw together.
    labels : sequence of str
        Name of each run in legends and titles.
    folder : pathlib.Path
        Made if it is not there; files of these names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    look = paper_look()
    tasks = list(dict.fromkeys(name for run in runs for name in run.tasks))
    kinds = [TASKS[name].kind for name in tasks]
    paths: list[Path] = []
    for task, kind in [("", "generic"), *zip(tasks, kinds, strict=True)]:
        # Tasks that share their figures share no files.
        prefix = f"{task}_" if kinds.count(kind) > 1 else ""
        for entry in figures_of(kind).values():
            parts = [run.tasks.get(task) if task else run for run in runs]
            # A run keeps its style in all figures, whoever else is in them.
            places = [n for n, part in enumerate(parts) if part and part.figures.get(entry.name)]
            drawn = [(labels[place], parts[place].figures[entry.name]) for place in places]
            if drawn:
                styles = [run_style(place) for place in places]
                page = render_figure(entry, drawn, styles, look=look)
                with matplotlib.rc_context(look):
                    paths += _save(page, folder, f"{prefix}{entry.name}")
    return paths


def _save(page: Figure, folder: Path, name: str) -> list[Path]:
    paths = [folder / f"{name}.{ending}" for ending in _METADATA]
    for path, metadata in zip(paths, _METADATA.values(), strict=True):
        page.savefig(path, metadata=metadata)
    return paths

"""Figures as files for a paper: each as PDF and as PNG, all in one style."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import rc_params_from_file

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
    kinds = dict.fromkeys(["generic", *(TASKS[run.run["task"]].kind for run in runs)])
    paths: list[Path] = []
    for entry in (entry for kind in kinds for entry in figures_of(kind).values()):
        places = [place for place, run in enumerate(runs) if run.figures.get(entry.name)]
        if not places:
            continue
        drawn = [(labels[place], runs[place].figures[entry.name]) for place in places]
        # A run keeps its style in all figures, whoever else is in them.
        page = render_figure(entry, drawn, [run_style(place) for place in places], look=look)
        with matplotlib.rc_context(look):
            for ending, metadata in _METADATA.items():
                paths.append(folder / f"{entry.name}.{ending}")
                page.savefig(paths[-1], metadata=metadata)
    return paths

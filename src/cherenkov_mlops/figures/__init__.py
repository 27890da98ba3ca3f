"""Figures: arrays made from events once, drawn as often as wanted; in one registry."""

# Importing a module registers its figures; the order here is the order on every page.
from cherenkov_mlops.figures import direction, energy, training, type, type_by_energy  # noqa: F401
from cherenkov_mlops.figures.base import FIGURES, FigureEntry, figure, figure_data, figures_of
from cherenkov_mlops.figures.render import render_figure

__all__ = ["FIGURES", "FigureEntry", "figure", "figure_data", "figures_of", "render_figure"]

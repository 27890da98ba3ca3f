"""Figures of the classification; ``events`` as in `cherenkov_mlops.metrics.type`."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from sklearn.metrics import confusion_matrix as count_classes
from sklearn.metrics import roc_curve as scan_thresholds

from cherenkov_mlops.figures.base import ENERGY_AXIS, figure
from cherenkov_mlops.figures.curves import draw_points_with_band
from cherenkov_mlops.figures.style import FAINT, PALETTE, SHARES
from cherenkov_mlops.metrics.base import EvaluationSettings
from cherenkov_mlops.metrics.binning import statistic_by_energy
from cherenkov_mlops.metrics.events import Events
from cherenkov_mlops.metrics.type import auc, has_both_classes, predicted_signal

_MAX_CURVE_POINTS = 300
_N_SCORE_BINS = 50


def roc_points(events: Events) -> dict[str, Any]:
    """Efficiencies of background and signal, ``threshold`` and ``auc``; empty without a class."""
    if not has_both_classes(events):
        return {"background_efficiency": [], "signal_efficiency": [], "threshold": [], "auc": None}
    background, signal, threshold = scan_thresholds(events["signal"], events["gh_score"])
    # Equal steps along the curve keep its corners; equal steps in the index would not.
    length = np.concatenate([[0], np.cumsum(np.abs(np.diff(background)) + np.diff(signal))])
    rows = np.searchsorted(length, np.linspace(0, length[-1], _MAX_CURVE_POINTS))
    rows = np.unique(np.concatenate([[0], rows, [len(length) - 1]]))
    return {
        "background_efficiency": background[rows],
        "signal_efficiency": signal[rows],
        "threshold": threshold[rows],
        "auc": auc(events),
    }


@figure(
    task="type",
    title="ROC curve",
    data=roc_points,
    overlay=True,
    axes={
        "xlabel": "Background kept",
        "ylabel": "Signal kept",
        "xlim": (-0.01, 1.01),
        "ylim": (-0.01, 1.01),
    },
)
def roc(ax: Axes, *, background_efficiency, signal_efficiency, threshold, auc, label, style):
    """Share of signal kept against share of background kept, over all thresholds.

    Nearer to the upper left corner is better; the diagonal is guessing.
    """
    ax.plot([0, 1], [0, 1], color=FAINT, linestyle="-", linewidth=1.2, zorder=1)
    text = label if auc is None or np.isnan(auc) else f"{label} (AUC {auc:.3f})"
    ax.plot(
        background_efficiency,
        signal_efficiency,
        color=style["color"],
        linestyle=style["linestyle"],
        label=text,
    )


def score_histogram(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """Number of ``signal`` and ``background`` events in 50 bins of the score, and ``edges``."""
    edges = np.linspace(0, 1, _N_SCORE_BINS + 1)
    return {
        "edges": edges,
        "signal": np.histogram(events["gh_score"][events["signal"]], edges)[0],
        "background": np.histogram(events["gh_score"][~events["signal"]], edges)[0],
        "signal_name": settings.classes["signal"],
        "background_name": settings.classes["background"],
        "threshold": settings.threshold,
    }


@figure(
    task="type",
    title="Gammaness distribution",
    data=score_histogram,
    overlay=False,
    axes={"xlabel": "Gammaness", "ylabel": "Share of the class", "xlim": (-0.02, 1.02)},
)
def gammaness(
    ax: Axes, *, edges, signal, background, signal_name, background_name, threshold, label, style
):
    """Score of the events of each class, with the threshold as a dashed line.

    Better the less the classes overlap: signal at one, background at zero.
    """
    shares = [np.asarray(counts) / max(np.sum(counts), 1) for counts in (signal, background)]
    ax.stairs(shares[0], edges, fill=True, color=PALETTE[0], alpha=0.3)
    ax.stairs(shares[0], edges, color=PALETTE[0], linewidth=1.6, label=signal_name)
    ax.stairs(
        shares[1],
        edges,
        color=PALETTE[1],
        linewidth=1.6,
        linestyle="-",
        hatch="////",
        label=background_name,
    )
    ax.axvline(threshold, color=FAINT, linestyle="--", linewidth=1.4)


def class_counts(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """``counts[true][predicted]`` at the threshold, signal first, and the ``classes``."""
    predicted = predicted_signal(events, settings)
    if not predicted.size:
        counts = np.zeros((2, 2), dtype=int)
    else:
        counts = count_classes(events["signal"], predicted, labels=[True, False])
    return {
        "counts": counts,
        "classes": [settings.classes["signal"], settings.classes["background"]],
    }


@figure(
    task="type",
    title="Confusion matrix",
    data=class_counts,
    overlay=False,
    axes={"xlabel": "Predicted class", "ylabel": "True class"},
)
def confusion_matrix(ax: Axes, *, counts, classes, label, style):
    """Events of each true class by predicted class at the threshold, and share of the row.

    Better the darker the diagonal from upper left to lower right.
    """
    counts = np.asarray(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    edges = [-0.5, 0.5, 1.5]
    ax.pcolormesh(edges, edges, shares, cmap=SHARES, vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        text = f"{share:.1%}\n{counts[row, column]:,} events"
        color = "#ffffff" if share > 0.5 else "#10151d"
        ax.text(column, row, text, ha="center", va="center", color=color, linespacing=1.6)
    ax.set_xticks([0, 1], classes)
    ax.set_yticks([0, 1], classes, rotation=90, va="center")
    ax.grid(False)
    ax.set_ylim(1.5, -0.5)


def auc_in_bins(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """AUC between the classes in each bin of true energy, with its interval."""
    return statistic_by_energy(
        events, settings.energy_edges_tev, auc, settings.n_bootstrap, settings.seed
    )


@figure(
    task="type",
    title="AUC by energy",
    data=auc_in_bins,
    overlay=True,
    axes=ENERGY_AXIS | {"ylabel": "Area under the ROC curve"},
)
def auc_by_energy(ax: Axes, *, label, style, **columns):
    """Area under the ROC curve between signal and background of the same true energy.

    Higher is better, 0.5 is guessing. Band: 68 % bootstrap interval; fewer than 10 events: blank.
    """
    ax.axhline(0.5, color=FAINT, linewidth=1.2)
    draw_points_with_band(ax, label=label, style=style, **columns)

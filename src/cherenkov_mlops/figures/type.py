"""Figures of the classification; ``events`` as in `cherenkov_mlops.metrics.type`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.stats import binom_conf_interval
from matplotlib.axes import Axes

from cherenkov_mlops.figures.base import Panel, figure
from cherenkov_mlops.figures.style import FAINT, PALETTE, SHARES
from cherenkov_mlops.metrics.base import EvaluationSettings
from cherenkov_mlops.metrics.binning import MIN_EVENTS_PER_BIN
from cherenkov_mlops.metrics.table import Events
from cherenkov_mlops.metrics.thresholds import count_classes, has_both_classes, scan_thresholds
from cherenkov_mlops.metrics.type import N_CALIBRATION_BINS, auc, calibration_bin

_MAX_CURVE_POINTS = 300
_N_SCORE_BINS = 50
_N_THRESHOLDS = 101


def roc_points(events: Events) -> dict[str, Any]:
    """Efficiencies of background and signal, ``threshold`` and ``auc``; empty without a class."""
    if not has_both_classes(events):
        return {"background_efficiency": [], "signal_efficiency": [], "threshold": [], "auc": None}
    scan = scan_thresholds(events)
    signal, background = scan.signal / scan.signal[-1], scan.background / scan.background[-1]
    # Equal steps along the curve keep its corners; equal steps in the index would not.
    length = np.concatenate([[0], np.cumsum(np.diff(background) + np.diff(signal))])
    rows = np.searchsorted(length, np.linspace(0, length[-1], _MAX_CURVE_POINTS))
    rows = np.unique(np.concatenate([[0], rows, [len(length) - 1]]))
    return {
        "background_efficiency": background[rows],
        "signal_efficiency": signal[rows],
        # Infinite at first: no event passes.
        "threshold": np.append(np.inf, np.unique(events["gh_score"])[::-1])[rows],
        "auc": auc(events),
    }


@figure(
    kind="type",
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
    kind="type",
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


def class_table(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """``counts[true][predicted]`` at the threshold, signal first, and the ``classes``."""
    counts = count_classes(events, settings.threshold)
    rows = (
        (counts.true_signal, counts.false_background),
        (counts.false_signal, counts.true_background),
    )
    return {
        "counts": np.array(rows, dtype=int),
        "classes": [settings.classes["signal"], settings.classes["background"]],
    }


@figure(
    kind="type",
    title="Confusion matrix",
    data=class_table,
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


def calibration_points(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """Share of signal and mean score in ten bins of the score, with ``n_events``.

    ``low`` and ``high`` enclose the share with 68 % confidence (Wilson, as in astropy). Bins below
    10 events are NaN.
    """
    bins = calibration_bin(events)
    n_events, n_signal, scores = (
        np.bincount(bins, weights, N_CALIBRATION_BINS)
        for weights in (None, events["signal"], events["gh_score"])
    )
    # One event in place of none keeps astropy quiet about bins that are blanked anyway.
    known = n_events >= MIN_EVENTS_PER_BIN
    trials = np.where(known, n_events, 1)
    low, high = binom_conf_interval(np.where(known, n_signal, 0), trials, interval="wilson")
    columns = {"score": scores / trials, "share": n_signal / trials, "low": low, "high": high}
    edges = np.linspace(0, 1, N_CALIBRATION_BINS + 1)
    return {
        "score_low": edges[:-1],
        "score_high": edges[1:],
        "n_events": n_events.astype(int),
        **{name: np.where(known, column, np.nan) for name, column in columns.items()},
        "signal_name": settings.classes["signal"],
    }


def calibration_panels(arrays: Mapping[str, Any]) -> list[Panel]:
    """The diagram, and beside it the number of events of each bin."""
    names = ("score", "share", "low", "high")
    label = f"Share of {arrays['signal_name']}"
    limits = {"xlim": (-0.02, 1.02)}
    edges = np.append(arrays["score_low"], arrays["score_high"][-1:])
    return [
        Panel(
            "Calibration",
            {name: arrays[name] for name in names},
            limits | {"ylabel": label, "ylim": (-0.02, 1.02)},
        ),
        Panel("Events", {"edges": edges, "n_events": arrays["n_events"]}, limits),
    ]


@figure(
    kind="type",
    title="Reliability diagram",
    data=calibration_points,
    overlay=True,
    axes={"xlabel": "Gammaness", "ylabel": "Events in the bin"},
    panels=calibration_panels,
)
def reliability(ax: Axes, *, label, style, edges=None, n_events=None, **columns):
    """True share of signal among events of one gammaness, and the number of events of each bin.

    Better the nearer to the diagonal: below it the network is over-confident in signal, above it
    under-confident. Bars: 68 % confidence; fewer than 10 events: blank.
    """
    if edges is not None:
        look = {"color": style["color"], "linestyle": style["linestyle"], "linewidth": 1.6}
        ax.stairs(n_events, edges, label=label, **look)
        return
    score, share, low, high = (
        np.asarray(columns[name], float) for name in ("score", "share", "low", "high")
    )
    known = np.isfinite(share)
    ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, zorder=1)
    # Wilson's interval may miss a share of exactly one by a rounding error.
    bars = np.clip([(share - low)[known], (high - share)[known]], 0, None)
    ax.errorbar(score[known], share[known], bars, label=label, elinewidth=1, **style)


def kept_shares(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """Share of each class that passes, for 101 values of the ``threshold``."""
    threshold = np.linspace(0, 1, _N_THRESHOLDS)
    arrays: dict[str, Any] = {"threshold": threshold}
    for name, selected in (("signal", events["signal"]), ("background", ~events["signal"])):
        scores = np.sort(events["gh_score"][selected])
        # Those at the threshold pass, as everywhere.
        n_kept = len(scores) - np.searchsorted(scores, threshold)
        arrays[name] = n_kept / len(scores) if scores.size else np.full(_N_THRESHOLDS, np.nan)
        arrays[f"{name}_name"] = settings.classes[name]
    return arrays | {"chosen": settings.threshold}


def kept_panels(arrays: Mapping[str, Any]) -> list[Panel]:
    """One panel a class."""
    return [
        Panel(
            f"{arrays[f'{name}_name']}: {good} is better",
            {"threshold": arrays["threshold"], "share": arrays[name], "chosen": arrays["chosen"]},
        )
        for name, good in (("signal", "higher"), ("background", "lower"))
    ]


@figure(
    kind="type",
    title="Efficiency against threshold",
    data=kept_shares,
    overlay=True,
    axes={
        "xlabel": "Gammaness at least",
        "ylabel": "Share of the class kept",
        "xlim": (-0.02, 1.02),
        "ylim": (-0.02, 1.02),
    },
    panels=kept_panels,
)
def efficiency(ax: Axes, *, threshold, share, chosen, label, style):
    """Share of each class whose gammaness reaches the threshold; dashed: the threshold in use.

    Good if signal stays near one and background falls to zero at once.
    """
    if np.isfinite(np.asarray(share, float)).any():
        ax.axvline(chosen, color=FAINT, linestyle="--", linewidth=1.4)
        ax.plot(threshold, share, label=label, markevery=20, **style)

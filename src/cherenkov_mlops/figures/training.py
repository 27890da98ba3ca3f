"""Figures of the training, made from the section ``training`` of the results."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cherenkov_mlops.figures.base import figure
from cherenkov_mlops.figures.style import FAINT, LINE_STYLES, PALETTE

_LOSSES = ("loss", "val_loss")
_LEARNING_RATES = ("learning_rate", "lr")


def loss_history(training: Mapping[str, Any]) -> dict[str, Any]:
    """``epoch``, ``loss``, ``val_loss`` by epoch, ``best_epoch`` and later ``attempts``."""
    history = training.get("history", {})
    if not history.get("loss"):
        return {}
    return {
        "epoch": _epochs(history),
        "loss": history["loss"],
        "val_loss": history.get("val_loss"),
        "best_epoch": training.get("best_epoch"),
        "attempts": list(training.get("attempts", []))[1:],
    }


@figure(
    task="generic",
    title="Loss",
    data=loss_history,
    overlay=True,
    axes={"xlabel": "Epoch", "ylabel": "Loss"},
)
def loss(ax: Axes, *, epoch, loss, val_loss, best_epoch, attempts, label, style):
    """Training loss (solid) and validation loss (dashed) by epoch.

    The ring is the epoch whose model was kept; a vertical line is where training was resumed.
    Validation rising while training falls: the network learns its training events by heart.
    """
    _mark_attempts(ax, attempts)
    color, marker = style["color"], style["marker"]
    ax.plot(epoch, loss, color=color, linestyle="-", label=f"{label}, training")
    if val_loss is not None:
        ax.plot(
            epoch,
            val_loss,
            color=color,
            linestyle="--",
            marker=marker,
            label=f"{label}, validation",
        )
    kept = val_loss if val_loss is not None else loss
    if best_epoch in list(epoch):
        best = kept[list(epoch).index(best_epoch)]
        ax.plot([best_epoch], [best], "o", markersize=11, markerfacecolor="none", color=color)


def learning_rate_history(training: Mapping[str, Any]) -> dict[str, Any]:
    """``epoch``, ``rate`` and later ``attempts``; empty if the rate was not logged."""
    history = training.get("history", {})
    names = [name for name in _LEARNING_RATES if history.get(name)]
    if not names:
        return {}
    attempts = list(training.get("attempts", []))[1:]
    return {"epoch": _epochs(history), "rate": history[names[0]], "attempts": attempts}


@figure(
    task="generic",
    title="Learning rate",
    data=learning_rate_history,
    overlay=True,
    axes={"xlabel": "Epoch", "ylabel": "Learning rate", "yscale": "log"},
)
def learning_rate(ax: Axes, *, epoch, rate, attempts, label, style):
    """Learning rate by epoch; a step down is made when the validation loss stops to fall."""
    _mark_attempts(ax, attempts)
    ax.plot(epoch, rate, drawstyle="steps-mid", label=label, **style)


def logged_columns(training: Mapping[str, Any]) -> dict[str, Any]:
    """``epoch`` and each logged column that is neither a loss nor a learning rate."""
    history = training.get("history", {})
    known = {"epoch", *_LOSSES, *_LEARNING_RATES}
    columns = {name: values for name, values in history.items() if name not in known and values}
    return {"epoch": _epochs(history), "columns": columns} if columns else {}


@figure(
    task="generic",
    title="Logged metrics",
    data=logged_columns,
    overlay=False,
    axes={"xlabel": "Epoch", "ylabel": "Value"},
)
def logged_metrics(ax: Axes, *, epoch, columns, label, style):
    """All that Keras logged by epoch, apart from losses; val_ is on the validation events."""
    bases = list(dict.fromkeys(name.removeprefix("val_") for name in columns))
    for name, values in columns.items():
        color = PALETTE[bases.index(name.removeprefix("val_")) % len(PALETTE)]
        ax.plot(epoch, values, color=color, linestyle=LINE_STYLES[name.startswith("val_")])
        ax.lines[-1].set_label(name)


def _epochs(history: Mapping[str, Any]) -> list[float]:
    longest = max((len(values) for values in history.values()), default=0)
    return list(history.get("epoch") or np.arange(1, longest + 1))


def _mark_attempts(ax: Axes, attempts: list[int]) -> None:
    for first_epoch in attempts:
        ax.axvline(first_epoch, color=FAINT, linewidth=1.2)

"""Figures of the training, made from the section ``training`` of the results."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cherenkov_mlops.figures.base import figure
from cherenkov_mlops.figures.style import FAINT, LINE_STYLES, PALETTE, run_style

_LOSSES = ("loss", "val_loss")
_LEARNING_RATES = ("learning_rate", "lr")
#: Columns of single layers of a network that is pruned.
_SPARSITY, _THRESHOLD = "sparsity/", "threshold/"


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
    kind="generic",
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
    _prepare_epochs(ax, attempts)
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
    kind="generic",
    title="Learning rate",
    data=learning_rate_history,
    overlay=True,
    axes={"xlabel": "Epoch", "ylabel": "Learning rate", "yscale": "log"},
)
def learning_rate(ax: Axes, *, epoch, rate, attempts, label, style):
    """Learning rate by epoch; a step down is made when the validation loss stops to fall."""
    _prepare_epochs(ax, attempts)
    ax.plot(epoch, rate, drawstyle="steps-mid", label=label, **style)


def sparsity_history(training: Mapping[str, Any]) -> dict[str, Any]:
    """``epoch``, ``sparsity`` of the whole and of each of the ``layers``; empty without pruning."""
    history = training.get("history", {})
    if not history.get("sparsity"):
        return {}
    layers = {name: values for name, values in history.items() if name.startswith(_SPARSITY)}
    return {"epoch": _epochs(history), "sparsity": history["sparsity"], "layers": layers}


@figure(
    kind="generic",
    title="Sparsity",
    data=sparsity_history,
    overlay=True,
    axes={"xlabel": "Epoch", "ylabel": "Share of zeros"},
)
def sparsity(ax: Axes, *, epoch, sparsity, layers, label, style):
    """Share of zeros among the weights that are pruned: of all (marked), and of each layer (thin).

    Only epochs at the final sparsity compete for the model that is kept.
    """
    _prepare_epochs(ax, [])
    for values in layers.values():
        ax.plot(epoch, values, color=style["color"], linewidth=0.8, alpha=0.5)
    ax.plot(epoch, sparsity, label=label, **style)


def metric_columns(training: Mapping[str, Any]) -> dict[str, Any]:
    """``epoch`` and the logged ``columns`` that exist for training and for validation events."""
    columns = {
        name: values
        for name, values in _other_columns(training).items()
        if name.startswith("val_") or f"val_{name}" in training["history"]
    }
    return {"epoch": _epochs(training["history"]), "columns": columns} if columns else {}


@figure(
    kind="generic",
    title="Logged metrics",
    data=metric_columns,
    overlay=False,
    axes={"xlabel": "Epoch", "ylabel": "Value"},
)
def logged_metrics(ax: Axes, *, epoch, columns, label, style):
    """Metrics that Keras logged by epoch: training (solid) and validation (val_, dashed)."""
    _prepare_epochs(ax, [])
    bases = list(dict.fromkeys(name.removeprefix("val_") for name in columns))
    for name, values in columns.items():
        color = PALETTE[bases.index(name.removeprefix("val_")) % len(PALETTE)]
        line_style = LINE_STYLES[name.startswith("val_")]
        ax.plot(epoch, values, color=color, linestyle=line_style, label=name)


def quantity_columns(training: Mapping[str, Any]) -> dict[str, Any]:
    """``epoch`` and the logged ``columns`` that say how the training went, not how well."""
    metrics = metric_columns(training).get("columns", {})
    columns = {
        name: values
        for name, values in _other_columns(training).items()
        if name not in metrics and np.nanmax(np.abs(np.asarray(values, float)), initial=0) > 0
    }
    return {"epoch": _epochs(training["history"]), "columns": columns} if columns else {}


@figure(
    kind="generic",
    title="Course of the training",
    data=quantity_columns,
    overlay=False,
    axes={"xlabel": "Epoch", "ylabel": "Relative to the largest"},
)
def logged_quantities(ax: Axes, *, epoch, columns, label, style):
    """Everything else that was logged by epoch, each relative to its largest absolute value.

    The legend gives that value; quantities that are always zero are left out.
    """
    _prepare_epochs(ax, [])
    for index, (name, values) in enumerate(columns.items()):
        largest = float(np.nanmax(np.abs(np.asarray(values, float))))
        look = run_style(index)
        ax.plot(epoch, np.asarray(values, float) / largest, label=f"{name}, {largest:.3g}", **look)


def _other_columns(training: Mapping[str, Any]) -> dict[str, list[float]]:
    known = {"epoch", "sparsity", *_LOSSES, *_LEARNING_RATES}
    history = training.get("history", {})
    return {
        name: values
        for name, values in history.items()
        if name not in known and not name.startswith((_SPARSITY, _THRESHOLD)) and values
    }


def _epochs(history: Mapping[str, Any]) -> list[float]:
    longest = max((len(values) for values in history.values()), default=0)
    return list(history.get("epoch") or np.arange(1, longest + 1))


def _prepare_epochs(ax: Axes, attempts: list[int]) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for first_epoch in attempts:
        ax.axvline(first_epoch, color=FAINT, linewidth=1.2)

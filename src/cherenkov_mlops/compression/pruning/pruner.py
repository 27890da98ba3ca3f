"""Magnitude pruning: which weights go, and the callback that holds them at zero when it is due."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import keras
import numpy as np

from cherenkov_mlops.compression.pruning.kernels import HeldAtZero, find_kernels
from cherenkov_mlops.compression.pruning.plan import Plan
from cherenkov_mlops.errors import UserError

log = logging.getLogger(__name__)


class Pruner(keras.callbacks.Callback):
    """Holds the smallest weights at zero, more and more of them as the schedule has it.

    It stands before the callbacks that save the model and log the epoch.

    Parameters
    ----------
    plan : Plan
        What is pruned, and how.

    Attributes
    ----------
    step : int
        Steps (batches) done, in all attempts.
    """

    def __init__(self, plan: Plan):
        super().__init__()
        self.plan, self.step = plan, 0
        self._held: dict[str, HeldAtZero] = {}
        self._final: dict[str, float] = {}
        self._thresholds: dict[str, float] = {}

    def attach(self, model: keras.Model) -> None:
        """Make the kernels of the model ready, under the strategy of the devices.

        Raises
        ------
        UserError
            There is nothing to prune, or a pattern fits no layer.
        """
        kernels = find_kernels(model)
        self._final = self._own_sparsities(list(kernels))
        for name, kernel in kernels.items():
            if not any(fnmatch(name, pattern) for pattern in self.plan.exclude):
                self._held[name] = HeldAtZero(kernel)
        if not self._held:
            raise UserError(
                "pruning: expected at least one layer to prune, got none; the model has "
                f"{list_some(list(kernels)) or 'no layers with kernels'}, apart from its last one"
            )
        self._thresholds = dict.fromkeys(self._held, 0.0)

    def _own_sparsities(self, names: list[str]) -> dict[str, float]:
        """Final sparsity of the layers that have one of their own; all patterns have to fit."""
        patterns = [("layers", pattern) for pattern, _ in self.plan.final_of_layers]
        for key, pattern in [*patterns, *(("exclude", each) for each in self.plan.exclude)]:
            if not any(fnmatch(name, pattern) for name in names):
                raise UserError(
                    f"pruning.{key}: expected a pattern of layer names, got '{pattern}', which "
                    f"fits none of {list_some(names)}"
                )
        return {
            name: final
            for pattern, final in self.plan.final_of_layers
            for name in names
            if fnmatch(name, pattern)
        }

    @property
    def names(self) -> list[str]:
        """Names of the kernels that are pruned."""
        return list(self._held)

    @property
    def is_final(self) -> bool:
        """Whether the network is as sparse as it is to become."""
        return self.plan.schedule.is_final(self.step)

    def sparsities(self) -> dict[str, float]:
        """Share of zeros in each kernel."""
        kernels = {name: np.asarray(self._held[name].kernel) for name in self.names}
        return {name: 1 - np.count_nonzero(each) / each.size for name, each in kernels.items()}

    def get_state(self) -> dict[str, Any]:
        """What has to be known after an interruption."""
        # One bit a weight: thirty times less than the weights themselves.
        masks = {name: np.packbits(np.asarray(held.mask) != 0) for name, held in self._held.items()}
        ends = {"begin": self.plan.schedule.begin, "end": self.plan.schedule.end}
        return {"masks": masks, "thresholds": self._thresholds, **ends}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take back what ``get_state`` gave; the schedule stays that of the first attempt."""
        ends = {name: state[name] for name in ("begin", "end")}
        self.plan = replace(self.plan, schedule=replace(self.plan.schedule, **ends))
        self._thresholds = dict(state["thresholds"])
        for name, held in self._held.items():
            bits = np.unpackbits(state["masks"][name], count=int(np.prod(held.kernel.shape)))
            held.hold(bits.reshape(held.kernel.shape).astype(bool))

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Compute the first masks, if pruning begins at once."""
        # The optimizer counts the steps of all attempts: after an interruption they go on.
        self.step = int(np.asarray(self.model.optimizer.iterations))
        if self.step == 0 and self.plan.schedule.is_due(-1, 0):
            self._prune()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Find the number of the first step."""
        self._first = self.step = int(np.asarray(self.model.optimizer.iterations))

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Compute masks if they are due; ``batch`` is the last one of an execution."""
        before, self.step = self.step, self._first + batch + 1
        if self.plan.schedule.is_due(before, self.step):
            self._prune()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add sparsity and threshold, of each layer and sparsity of all, to Keras' logs."""
        sparsities = self.sparsities()
        sizes = [int(np.prod(self._held[name].kernel.shape)) for name in sparsities]
        logs["sparsity"] = float(np.average(list(sparsities.values()), weights=sizes))
        for name, sparsity in sparsities.items():
            logs[f"sparsity/{name}"] = float(sparsity)
            logs[f"threshold/{name}"] = self._thresholds[name]

    def _prune(self) -> None:
        weights = {name: np.asarray(held.kernel) for name, held in self._held.items()}
        # Sparsities at this step: layers with a final one of their own, then all others.
        targets = {name: self._sparsity_of(name) for name in self._final if name in weights}
        others = {name: values for name, values in weights.items() if name not in targets}
        sparsity = self.plan.schedule.sparsity(self.step)
        if self.plan.scope == "model" and others:
            targets |= share_sparsity(others, sparsity, self.plan.max_layer_sparsity)
        else:
            targets |= dict.fromkeys(others, sparsity)
        for name, target in targets.items():
            mask, self._thresholds[name] = mask_weights(weights[name], target)
            self._held[name].hold(mask)

    def _sparsity_of(self, name: str) -> float:
        """Sparsity at this step of one layer, which may have a final one of its own."""
        schedule = self.plan.schedule
        final = self._final.get(name, schedule.final)
        return replace(schedule, final=final).sparsity(self.step)


def list_some(names: list[str], n_shown: int = 6) -> str:
    """The first and the last of many names, as text; deep networks have a hundred."""
    if len(names) <= n_shown:
        return ", ".join(names)
    half = n_shown // 2
    return f"{', '.join(names[:half])}, ..., {', '.join(names[-half:])} ({len(names)} in all)"


def count_kept(n: int, sparsity: float) -> int:
    """Number of weights that stay; at least one, as in tensorflow_model_optimization."""
    # In float32 as there, so that the same weights stay.
    return int(max(np.round(np.float32(n) * (1 - np.float32(sparsity))), 1))


def mask_weights(weights: np.ndarray, sparsity: float) -> tuple[np.ndarray, float]:
    """Mask of the largest weights, and the smallest magnitude among them.

    Parameters
    ----------
    weights : array
        Any shape.
    sparsity : float
        Share that is masked, 0 to 1; exact to one weight.
    """
    flat = np.abs(weights).reshape(-1)
    first = flat.size - count_kept(flat.size, sparsity)
    # Stable, so that equal magnitudes give the same mask on any machine.
    order = np.argsort(flat, kind="stable")
    mask = np.zeros(flat.size, dtype=bool)
    mask[order[first:]] = True
    return mask.reshape(weights.shape), float(flat[order[first]])


def share_sparsity(
    weights: Mapping[str, np.ndarray], sparsity: float, cap: float
) -> dict[str, float]:
    """Name -> sparsity of each kernel, by one threshold for all of them.

    No kernel gets sparser than ``cap``: one threshold alone would empty layers of small weights.
    What a capped one keeps more, the others keep less, so that all together have the sparsity.

    Parameters
    ----------
    weights : mapping of str to array
        Kernels by name.
    sparsity, cap : float
        Of all of them, and of the sparsest one.
    """
    # Cap what the common threshold makes too sparse, spread what is left over the others, and look
    # again, for their threshold has risen.
    magnitudes = {name: np.sort(np.abs(values), axis=None) for name, values in weights.items()}
    n_weights = sum(map(len, magnitudes.values()))
    n_zero = n_weights - count_kept(n_weights, sparsity)
    capped: dict[str, int] = {}
    while True:
        free = {name: values for name, values in magnitudes.items() if name not in capped}
        left = n_zero - sum(capped.values())
        zeros = _split_by_threshold(free, max(left, 0))
        over = {
            name: limit
            for name, values in free.items()
            if zeros[name] > (limit := len(values) - count_kept(len(values), cap))
        }
        if not over:
            counts = capped | zeros
            return {name: counts[name] / len(values) for name, values in magnitudes.items()}
        capped |= over


def _split_by_threshold(magnitudes: Mapping[str, np.ndarray], n_zero: int) -> dict[str, int]:
    """Name -> number of weights below the threshold that ``n_zero`` of all weights are below."""
    if not magnitudes:
        return {}
    # All weights in one row; the owner of a place is the number of its kernel.
    every = np.concatenate(list(magnitudes.values()))
    n_zero = min(n_zero, every.size)
    owner = np.repeat(np.arange(len(magnitudes)), [len(values) for values in magnitudes.values()])
    smallest = np.argsort(every, kind="stable")[:n_zero]
    counts = np.bincount(owner[smallest], minlength=len(magnitudes))
    return dict(zip(magnitudes, map(int, counts), strict=True))

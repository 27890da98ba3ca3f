"""The callback that computes masks when they are due, and says how sparse the network is."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import keras
import numpy as np

from cherenkov_mlops.compression.pruning.constraint import HeldAtZero
from cherenkov_mlops.compression.pruning.kernels import find_kernels
from cherenkov_mlops.compression.pruning.masks import (
    fits_groups,
    mask_blocks,
    mask_groups,
    mask_weights,
    share_sparsity,
)
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
            if any(fnmatch(name, pattern) for pattern in self.plan.exclude):
                continue
            if self.plan.structure == "2:4" and not fits_groups(kernel.shape):
                log.info("pruning: %s stays dense: its inputs are no groups of four", name)
                continue
            self._held[name] = HeldAtZero(kernel)
        if not self._held:
            raise UserError(
                "pruning: expected at least one layer to prune, got none; the model has "
                f"{list_some(list(kernels)) or 'no layers with kernels'}, apart from its last one"
            )
        self._thresholds = dict.fromkeys(self._held, 0.0)

    def _own_sparsities(self, names: list[str]) -> dict[str, float]:
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
        for name, sparsity in self._targets(weights).items():
            mask, self._thresholds[name] = self._mask(weights[name], sparsity)
            self._held[name].hold(mask)

    def _sparsity_of(self, name: str) -> float:
        """Sparsity at this step of one layer, which may have a final one of its own."""
        schedule = self.plan.schedule
        final = self._final.get(name, schedule.final)
        return replace(schedule, final=final).sparsity(self.step)

    def _targets(self, weights: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Name -> sparsity at this step."""
        targets = {name: self._sparsity_of(name) for name in self._final if name in weights}
        others = {name: values for name, values in weights.items() if name not in targets}
        sparsity = self.plan.schedule.sparsity(self.step)
        if self.plan.scope == "model" and others:
            return targets | share_sparsity(others, sparsity, self.plan.max_layer_sparsity)
        return targets | dict.fromkeys(others, sparsity)

    def _mask(self, weights: np.ndarray, sparsity: float) -> tuple[np.ndarray, float]:
        if self.plan.structure == "2:4":
            mask = mask_groups(weights)
            return mask, float(np.abs(weights[mask]).min())
        if self.plan.structure == "blocks":
            return mask_blocks(weights, sparsity, self.plan.block)
        return mask_weights(weights, sparsity)


def list_some(names: list[str], n_shown: int = 6) -> str:
    """The first and the last of many names, as text; deep networks have a hundred."""
    if len(names) <= n_shown:
        return ", ".join(names)
    half = n_shown // 2
    return f"{', '.join(names[:half])}, ..., {', '.join(names[-half:])} ({len(names)} in all)"

"""Pruning of whole filters: held at zero during the training, taken out after it."""

from fnmatch import fnmatch

import keras
import numpy as np

from cherenkov_mlops.compression.pruning.channels import Channels, find_filters
from cherenkov_mlops.compression.pruning.constraint import HeldAtZero
from cherenkov_mlops.compression.pruning.pruner import Pruner, list_some
from cherenkov_mlops.errors import UserError


class FilterPruner(Pruner):
    """Holds the filters with the smallest L1 norm at zero, and all that comes from them alone.

    Which filters go is decided layer by layer (Li et al. 2017, arXiv:1608.08710). Where several
    convolutions are added up, as along the skip connections of a ResNet, all filters stay.
    """

    def attach(self, model: keras.Model) -> None:
        """Make the filters of the model ready, under the strategy of the devices.

        Raises
        ------
        UserError
            There is no filter that can go, or a pattern fits no layer.
        """
        found = find_filters(model)
        if not found:
            raise UserError(
                "pruning.kind: filters: expected a convolution whose filters can go, found none: "
                "each is added to another, or goes into a layer of unknown kind"
            )
        self._final = self._own_sparsities(list(found))
        self._filters: dict[str, Channels] = {}
        for name, channels in found.items():
            if any(fnmatch(name, pattern) for pattern in self.plan.exclude):
                continue
            self._filters[name] = channels
            for cut in channels.held:
                key = name if cut.layer.name == name and cut.attribute == "kernel" else None
                self._held[key or f"{cut.layer.name}.{cut.attribute}"] = HeldAtZero(cut.variable)
        if not self._filters:
            raise UserError(
                "pruning.exclude: expected at least one layer to prune, got none of "
                f"{list_some(list(found))}"
            )
        self._thresholds = dict.fromkeys(self._filters, 0.0)

    @property
    def names(self) -> list[str]:
        """Names of the convolutions whose filters are pruned."""
        return list(self._filters)

    def _prune(self) -> None:
        for name, channels in self._filters.items():
            kernel = np.asarray(self._held[name].kernel)
            norms = np.abs(kernel).reshape(-1, kernel.shape[-1]).sum(axis=0)
            stay = np.sort(np.argsort(-norms, kind="stable")[: self._count_kept(name, len(norms))])
            self._thresholds[name] = float(norms[stay].min())
            mask = np.zeros(len(norms), dtype=bool)
            mask[stay] = True
            for cut in channels.held:
                held = cut.variable.constraint
                held.hold(np.broadcast_to(mask, held.kernel.shape))

    def _count_kept(self, name: str, n_filters: int) -> int:
        """Filters that stay at this step; a multiple of the plan's at the end."""
        final = self._final.get(name, self.plan.schedule.final)
        n_final = count_filters(n_filters, final, self.plan.filter_multiple)
        if self.is_final:
            return n_final
        sparsity = self._sparsity_of(name)
        return max(n_final, round(n_filters * (1 - sparsity)))


def count_filters(n_filters: int, sparsity: float, multiple: int) -> int:
    """Number of filters that stay: the nearest multiple, at least one multiple, at most all."""
    n_kept = max(round(n_filters * (1 - sparsity) / multiple), 1) * multiple
    return min(n_kept, n_filters)

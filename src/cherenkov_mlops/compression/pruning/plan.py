"""What the section ``pruning`` means for a training: how sparse it is to be at each step."""

import math
from dataclasses import dataclass
from typing import Literal

from cherenkov_mlops.config.train_section import PruningSection
from cherenkov_mlops.errors import UserError

#: Where pruning ends if nothing else is said: the epochs after it matter most.
END_SHARE = 0.8


@dataclass(frozen=True)
class Schedule:
    """Sparsity by step, as ``PolynomialDecay`` and ``ConstantSparsity`` of
    tensorflow_model_optimization have it.

    Parameters
    ----------
    kind : {"polynomial", "constant"}
        ``polynomial`` rises by the cubic law of Zhu & Gupta (arXiv:1710.01878, eq. 1) from
        ``initial`` to ``final``; ``constant`` is ``final`` from the beginning.
    initial, final : float
        Sparsity at ``begin`` and ``end``.
    begin, end : int
        Steps (batches) between which masks are computed.
    frequency : int
        Steps between two masks.
    """

    kind: Literal["polynomial", "constant"]
    initial: float
    final: float
    begin: int
    end: int
    frequency: int

    def sparsity(self, step: int) -> float:
        """Sparsity at the step; 0 before the beginning."""
        if step < self.begin:
            return 0.0
        if self.kind == "constant" or step >= self.end:
            return self.final
        done = (step - self.begin) / (self.end - self.begin)
        return self.final + (self.initial - self.final) * (1 - done) ** 3

    def is_due(self, before: int, now: int) -> bool:
        """Whether a mask has to be computed after the steps ``before`` < step <= ``now``.

        Several steps may pass between two looks (``steps_per_execution``); none is missed. The
        last mask is that of ``end``, whatever the frequency.
        """
        # Once at the beginning, once at the end, and at each multiple of the frequency between.
        if now < self.begin or before >= self.end:
            return False
        if before < self.begin or now >= self.end:
            return True
        return (now - self.begin) // self.frequency > (before - self.begin) // self.frequency

    @property
    def last(self) -> int:
        """Step from which the sparsity is the final one."""
        return self.begin if self.kind == "constant" else self.end

    def is_final(self, step: int) -> bool:
        """Whether the sparsity is the final one."""
        return step >= self.last


@dataclass(frozen=True)
class Plan:
    """What is pruned, and how.

    Parameters
    ----------
    schedule : Schedule
        Sparsity by step.
    scope : {"layer", "model"}
        What has one threshold: each layer by itself, or all together.
    max_layer_sparsity : float
        Cap of a layer where all together have one threshold.
    exclude : tuple of str
        Patterns of names of layers that stay dense.
    final_of_layers : tuple of (str, float)
        Pattern of names of layers, and their own final sparsity.
    kind : {"weights", "filters"}
        What is pruned: weights, or whole filters.
    filter_multiple : int
        Filters stay by multiples of it.
    """

    schedule: Schedule
    scope: Literal["layer", "model"] = "layer"
    max_layer_sparsity: float = 0.98
    exclude: tuple[str, ...] = ()
    final_of_layers: tuple[tuple[str, float], ...] = ()
    kind: Literal["weights", "filters"] = "weights"
    filter_multiple: int = 8

    def first_final_epoch(self, steps_per_epoch: int) -> int:
        """Number, from 0, of the first epoch that ends at the final sparsity."""
        return max(math.ceil(self.schedule.last / steps_per_epoch) - 1, 0)


def make_plan(options: PruningSection, steps_per_epoch: int, n_epochs: int) -> Plan:
    """Make the plan for a training of ``n_epochs`` with ``steps_per_epoch`` batches each.

    Raises
    ------
    UserError
        Pruning would end after the training.
    """
    # All in steps from here on, whatever the unit.
    size = steps_per_epoch if options.unit == "epochs" else 1
    n_steps, begin = steps_per_epoch * n_epochs, options.begin_step * size
    default = max(steps_per_epoch * max(int(END_SHARE * n_epochs), 1), begin + 1)
    end = default if options.end_step is None else options.end_step * size
    for name, step in (("begin_step", begin), ("end_step", end)):
        if step > n_steps:
            raise UserError(
                f"pruning.{name}: expected at most {n_steps // size} {options.unit}, the length "
                f"of the training ({n_epochs} epochs of {steps_per_epoch} steps), "
                f"got {step // size}"
            )
    initial, final = options.initial_sparsity, options.final_sparsity
    return Plan(
        Schedule(options.schedule, initial, final, begin, end, options.frequency),
        options.scope,
        options.max_layer_sparsity,
        tuple(options.exclude),
        tuple(options.layers.items()),
        options.kind,
        options.filter_multiple,
    )

"""What the section ``pruning`` means for a training of so many steps."""

import math
from dataclasses import dataclass
from typing import Literal

from cherenkov_mlops.compression.pruning.schedule import Schedule
from cherenkov_mlops.config.train_section import PruningSection
from cherenkov_mlops.errors import UserError

#: Where pruning ends if nothing else is said: the epochs after it matter most.
END_SHARE = 0.8


@dataclass(frozen=True)
class Plan:
    """What is pruned, and how.

    Parameters
    ----------
    schedule : Schedule
        Sparsity by step.
    structure : {"weights", "2:4", "blocks"}
        What is masked together.
    block : tuple of int
        Rows and columns of a block.
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
    structure: Literal["weights", "2:4", "blocks"] = "weights"
    block: tuple[int, int] = (4, 4)
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
    """The plan for a training of ``n_epochs`` with ``steps_per_epoch`` batches each.

    Raises
    ------
    UserError
        Pruning would end after the training.
    """
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
    return Plan(
        Schedule(
            options.schedule,
            options.initial_sparsity,
            options.final_sparsity,
            begin,
            end,
            options.frequency,
        ),
        options.structure,
        (options.block_size[0], options.block_size[1]),
        options.scope,
        options.max_layer_sparsity,
        tuple(options.exclude),
        tuple(options.layers.items()),
        options.kind,
        options.filter_multiple,
    )

"""How sparse a network is to be at each step of its training."""

from dataclasses import dataclass
from typing import Literal


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

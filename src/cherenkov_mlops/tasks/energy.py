"""The energy of the primary particle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cherenkov_mlops.tasks.base import TASKS, Columns, DL2Place, Instrument, Task


@dataclass(frozen=True)
class Energy(Task):
    """Energy [TeV], which networks learn as its decimal logarithm."""

    def labels(self, examples: Columns) -> np.ndarray:
        """Take log10 of the true energy in TeV, shape (n, 1)."""
        return np.asarray(examples["log_true_energy"])[:, None]

    def decode(
        self, output: np.ndarray, events: Columns, instrument: Instrument
    ) -> dict[str, np.ndarray]:
        """Take ten to the power of what was answered."""
        return {"reco_energy": np.power(10, output[:, 0])}

    def error(self, events: Columns) -> np.ndarray:
        """Compute the absolute natural logarithm of reconstructed over true energy."""
        ratio = np.asarray(events["reco_energy"]) / np.asarray(events["true_energy"])
        return np.abs(np.log(np.maximum(ratio, np.finfo(float).tiny)))

    def shown(self, values: Mapping[str, float]) -> list[tuple[str, Sequence[float | None], str]]:
        """List true and predicted energy."""
        return [
            ("True energy", [values.get("true_energy")], "TeV"),
            ("Predicted energy", [values.get("reco_energy")], "TeV"),
        ]

    def sample(self, random: np.random.Generator, n_events: int) -> dict[str, np.ndarray]:
        """Draw energies that are right within a tenth."""
        return {"reco_energy": 1.1 * random.uniform(0.9, 1.1, n_events)}

    def describe_predictions(
        self, events: Columns, trained_tev: tuple[float, float]
    ) -> dict[str, Any]:
        """Count the energies outside the range of the training files [TeV]."""
        low, high = trained_tev
        energies = np.asarray(events["reco_energy"])
        return {
            "trained_tev": [float(low), float(high)],
            "n_below": int((energies < low).sum()),
            "n_above": int((energies > high).sum()),
        }


TASKS.add(
    "energy",
    Energy(
        name="energy",
        title="Energy",
        kind="energy",
        kind_title="Energy",
        modes=("mono", "stereo"),
        n_outputs=1,
        columns={"reco_energy": "TeV"},
        dl2=DL2Place(
            group="energy",
            prefix="CTLearnRegressor",
            columns={"energy": "reco_energy"},
            container="ReconstructedEnergyContainer",
            property="ENERGY",
        ),
        loss="MeanAbsoluteError",
        watched={"mae_energy": "MeanAbsoluteError"},
        required=("true_energy", "reco_energy"),
        error_title="|ln(predicted/true)|",
        answer="the decimal logarithm of the energy of the primary particle in TeV",
    ),
)

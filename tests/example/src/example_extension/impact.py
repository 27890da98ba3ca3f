"""A fifth task: how far from the telescope the core of the shower hit the ground [m]."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cherenkov_mlops.figures.base import figure
from cherenkov_mlops.figures.curves import draw_points_with_band
from cherenkov_mlops.metrics.base import EvaluationSettings, metric
from cherenkov_mlops.metrics.binning import statistic_by_energy
from cherenkov_mlops.metrics.table import Events, per_event
from cherenkov_mlops.tasks.base import TASKS, Columns, DL2Place, Instrument, Task

#: Networks learn in units of this [m].
SCALE_M = 100.0


def distance_m(columns: Columns) -> np.ndarray:
    """Distance of the true core from the telescope, on the ground [m], shape (n,)."""
    x, y = (
        np.asarray(columns[f"true_core_{axis}"], float) - np.asarray(columns[f"tel_{axis}"], float)
        for axis in "xy"
    )
    return np.hypot(x, y)


@dataclass(frozen=True)
class Impact(Task):
    """Impact distance [m]."""

    def labels(self, examples: Columns) -> np.ndarray:
        """Take the distance in units of 100 m, shape (n, 1)."""
        return distance_m(examples)[:, None] / SCALE_M

    def decode(
        self, output: np.ndarray, events: Columns, instrument: Instrument
    ) -> dict[str, np.ndarray]:
        """Turn units of 100 m into metres."""
        return {"reco_impact": SCALE_M * output[:, 0]}

    def error(self, events: Columns) -> np.ndarray:
        """Compute the absolute error [m]."""
        return np.abs(np.asarray(events["reco_impact"]) - distance_m(events))

    def shown(self, values: Mapping[str, float]) -> list[tuple[str, Sequence[float | None], str]]:
        """List the predicted distance."""
        return [("Predicted impact", [values.get("reco_impact")], "m")]

    def sample(self, random: np.random.Generator, n_events: int) -> dict[str, np.ndarray]:
        """Draw places of cores and telescopes, and distances that are roughly right."""
        x, y = random.uniform(-300, 300, (2, n_events))
        reco = np.hypot(x, y) * random.uniform(0.9, 1.1, n_events)
        zero = np.zeros(n_events)
        places = {"true_core_x": x, "true_core_y": y, "tel_x": zero, "tel_y": zero}
        return places | {"reco_impact": reco}

    def derive(self, events: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Add ``true_impact`` [m]."""
        return events | {"true_impact": distance_m(events)}


TASKS.add(
    "impact",
    Impact(
        name="impact",
        title="Impact distance",
        kind="impact",
        kind_title="Impact distance",
        modes=("mono",),
        n_outputs=1,
        truth={"true_core_x": "m", "true_core_y": "m", "tel_x": "m", "tel_y": "m"},
        columns={"reco_impact": "m"},
        dl2=DL2Place(group="impact", prefix="ExampleImpact", columns={"distance": "reco_impact"}),
        loss="MeanAbsoluteError",
        watched={"mae_impact": "MeanAbsoluteError"},
        required=(
            *("true_energy", "true_core_x", "true_core_y"),
            *("tel_x", "tel_y", "reco_impact"),
        ),
        error_title="Error of the impact distance",
        error_unit="m",
        answer="the distance of the shower's core from the telescope in units of 100 m",
    ),
)


@per_event
def impact_error_m(events: Events) -> np.ndarray:
    """Reconstructed minus true impact distance of each event [m]."""
    return events["reco_impact"] - events["true_impact"]


@metric(kind="impact", symbol=r"$\sigma_{68}(d)$", unit="m", better="lower", key=True)
def impact_resolution_68(events: Events) -> float:
    r"""68 % quantile of the absolute error of the impact distance, bias included.

    Formula: $Q_{0.68}(|d_\mathrm{reco} - d_\mathrm{true}|)$
    Source: as the angular resolution.
    """
    return float(np.quantile(np.abs(impact_error_m(events)), 0.68))


@metric(kind="impact", symbol=r"median$(\Delta d)$", unit="m", better="zero")
def impact_bias(events: Events) -> float:
    r"""Median error of the impact distance.

    Formula: $\mathrm{median}(d_\mathrm{reco} - d_\mathrm{true})$
    Source: as the bias of the energy.
    """
    return float(np.median(impact_error_m(events)))


def resolution_by_energy(events: Events, settings: EvaluationSettings) -> dict[str, Any]:
    """``value`` with ``low`` and ``high`` of the resolution [m] in bins of true energy."""
    return statistic_by_energy(
        events,
        settings.energy_edges_tev,
        impact_resolution_68,
        settings.n_bootstrap,
        settings.seed,
    )


@figure(
    kind="impact",
    title="Impact resolution by energy",
    data=resolution_by_energy,
    overlay=True,
    axes={
        "xlabel": "True energy [TeV]",
        "xscale": "log",
        "ylabel": "68 % of the errors below [m]",
    },
)
def impact_resolution(ax: Axes, **columns: Any) -> None:
    """Resolution of the impact distance in bins of true energy; the lower the better."""
    draw_points_with_band(ax, **columns)

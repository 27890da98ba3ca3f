"""What was thrown to make a file: particle, spectrum, cone, disk and pointing."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import tables

from cherenkov_mlops.data.paths import POINTINGS, telescope_node
from cherenkov_mlops.data.stored_tables import StoredTable

#: Names of the numbers under which ctapipe stores a particle; others are shown as numbers.
PARTICLES = {
    0: "gamma",
    1: "electron",
    -1: "positron",
    2: "muon",
    -2: "antimuon",
    101: "proton",
    402: "helium",
    1206: "carbon",
    1407: "nitrogen",
    1608: "oxygen",
    2814: "silicon",
    5626: "iron",
}
NO_SHOWER = "no shower"


@dataclass(frozen=True)
class Production:
    """Settings of simulated runs that agree in all but their number.

    Parameters
    ----------
    spectral_index : float
        Index of the power law that the thrown energies follow.
    energy_min_tev, energy_max_tev : float
        Range of the thrown energies [TeV].
    viewcone_deg : tuple of float
        Inner and outer radius of the cone of directions [deg]; 0 and 0 for a point source.
    scatter_radius_m : float
        Radius of the disk of core positions [m].
    n_thrown : int
        Showers thrown, each as often as it was used.
    """

    spectral_index: float
    energy_min_tev: float
    energy_max_tev: float
    viewcone_deg: tuple[float, float]
    scatter_radius_m: float
    n_thrown: int

    @property
    def settings(self) -> tuple:
        """All but the number of showers."""
        return (
            self.spectral_index,
            self.energy_min_tev,
            self.energy_max_tev,
            self.viewcone_deg,
            self.scatter_radius_m,
        )

    @classmethod
    def from_dict(cls, content: dict) -> "Production":
        """From the content of a manifest."""
        return cls(**content | {"viewcone_deg": tuple(content["viewcone_deg"])})


def read_productions(runs: StoredTable) -> list[Production]:
    """Settings of the runs in the file; runs with equal ones are counted together."""

    def rounded(name: str, unit: str) -> list[float]:
        # Without the noise of single precision; 0 for what is not known.
        values = runs.numbers(name, unit)
        return [float(f"{value:.5g}") if np.isfinite(value) else 0.0 for value in values]

    cones = zip(
        rounded("min_viewcone_radius", "deg"), rounded("max_viewcone_radius", "deg"), strict=True
    )
    thrown = np.asarray(runs["n_showers"], dtype=int) * np.maximum(runs["shower_reuse"], 1)
    rows = zip(
        rounded("spectral_index", ""),
        rounded("energy_range_min", "TeV"),
        rounded("energy_range_max", "TeV"),
        cones,
        rounded("max_scatter_range", "m"),
        thrown.tolist(),
        strict=True,
    )
    return unite_productions(Production(*row) for row in rows)


def unite_productions(productions: Iterable[Production]) -> list[Production]:
    """One entry for each different setting, with the sum of its thrown showers."""
    thrown: dict[tuple, int] = {}
    for production in productions:
        thrown[production.settings] = thrown.get(production.settings, 0) + production.n_thrown
    return [Production(*settings, n) for settings, n in thrown.items()]


def read_pointings(file: tables.File, telescopes: Iterable[int]) -> list[tuple[float, float]]:
    """Different pointings of the telescopes as (zenith, azimuth) [deg], to a hundredth."""
    found = set()
    for number in telescopes:
        table = StoredTable(file, telescope_node(POINTINGS, number))
        zenith = 90 - table.numbers("telescope_pointing_altitude", "deg")
        azimuth = table.numbers("telescope_pointing_azimuth", "deg")
        pairs = np.round(np.stack([zenith, azimuth], axis=1), 2) % 360
        # Adding zero turns -0 into 0.
        found.update(tuple(pair) for pair in (pairs + 0.0).tolist())
    return sorted(found)


def count_particles(primary_ids: np.ndarray, energies: np.ndarray) -> dict[str, int]:
    """Particle -> showers; events without an energy, such as open windows, are no showers."""
    is_shower = np.isfinite(energies) & (energies > 0)
    numbers, counts = np.unique(primary_ids[is_shower], return_counts=True)
    found = {
        PARTICLES.get(int(number), f"particle {number}"): int(n)
        for number, n in zip(numbers, counts, strict=True)
    }
    n_without = int(np.count_nonzero(~is_shower))
    return found | ({NO_SHOWER: n_without} if n_without else {})

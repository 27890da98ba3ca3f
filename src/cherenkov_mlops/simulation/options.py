"""What to simulate: one frozen, checked set of options."""

import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from cherenkov_mlops.errors import UserError

#: What can be thrown: CORSIKA-independent id that ctapipe writes (0: gamma, 101: proton).
#: ``nsb`` is no particle: readout windows with night-sky light alone.
PRIMARY_IDS = {"gamma": 0, "proton": 101, "nsb": -1}

MAX_OFFSET_DEG = 20.0
MAX_ZENITH_DEG = 65.0


@dataclass(frozen=True)
class SimulationOptions:
    """Options of one simulated run.

    Parameters
    ----------
    particle : str
        ``gamma``, ``proton``, or ``nsb`` for windows without a shower: one of each telescope an
        event, energy and core NaN.
    n_showers : int, optional
        Showers to throw.
    n_images : int, optional
        Stop after at least so many telescope images; with neither, 1000 images are made.
    seed : int
        Seed of everything random: equal options give equal files.
    energy_min_tev, energy_max_tev : float
        Range of the true energies [TeV].
    spectral_index : float
        Index of the power law dN/dE that the energies follow.
    viewcone_deg : float
        Radius [deg] of the cone around the pointing that the directions fill; 0 is a point source.
    offset_deg : float
        Distance [deg] of the point source from the pointing, upwards.
    zenith_deg, azimuth_deg : float
        Pointing [deg]; azimuth from north over east.
    scatter_radius_m : float
        Radius [m] of the horizontal disk around the array centre that the cores fill.
    subarray : pathlib.Path, optional
        HDF5 file with ctapipe's ``SubarrayDescription``; the SST-1M pair by default.
    obs_id : int, optional
        Observation id; by default a number derived from all other options.
    true_images : bool
        Also write the photo-electrons before noise, and their parameters: slower, but only then
        can ctapipe's ``EventSource`` (``ctapipe-process``) read the file again.
    waveforms : bool
        Also simulate and write R1 waveforms; the charges are integrated from them.
    """

    particle: str = "gamma"
    n_showers: int | None = None
    n_images: int | None = None
    seed: int = 1
    energy_min_tev: float = 1.0
    energy_max_tev: float = 100.0
    spectral_index: float = -2.0
    viewcone_deg: float = 0.0
    offset_deg: float = 0.0
    zenith_deg: float = 20.0
    azimuth_deg: float = 0.0
    scatter_radius_m: float = 400.0
    subarray: Path | None = None
    obs_id: int | None = None
    true_images: bool = False
    waveforms: bool = False

    def __post_init__(self) -> None:
        known = ", ".join(PRIMARY_IDS)
        energies = (self.energy_min_tev, self.energy_max_tev)
        # Whether an option is wrong, and what to write.
        checks = [
            (
                self.particle not in PRIMARY_IDS,
                f"particle: expected one of {known}, got {self.particle!r}",
            ),
            (
                not (0.02 <= energies[0] < energies[1] <= 10_000),
                "energy range: expected 0.02 <= energy_min_tev < energy_max_tev <= 10000, "
                f"got {energies[0]} to {energies[1]}",
            ),
            (
                not math.isfinite(self.spectral_index),
                f"spectral_index: expected a number such as -2, got {self.spectral_index}",
            ),
            *(
                (
                    value is not None and not (0 < value < 2**31),
                    f"{name}: expected 1 to 2147483647, got {value}",
                )
                for name, value in (
                    ("n_showers", self.n_showers),
                    ("n_images", self.n_images),
                    ("obs_id", self.obs_id),
                )
            ),
            (self.seed < 0, f"seed: expected 0 or more, got {self.seed}"),
            (
                not (0 <= self.viewcone_deg <= MAX_OFFSET_DEG),
                f"viewcone_deg: expected 0 to {MAX_OFFSET_DEG:g}, got {self.viewcone_deg}",
            ),
            (
                not (0 <= self.offset_deg <= MAX_OFFSET_DEG),
                f"offset_deg: expected 0 to {MAX_OFFSET_DEG:g}, got {self.offset_deg}",
            ),
            (
                self.viewcone_deg > 0 and self.offset_deg > 0,
                "viewcone_deg and offset_deg: expected one of them, got both; "
                "write offset_deg for a point source, viewcone_deg for diffuse showers",
            ),
            (
                not (0 <= self.zenith_deg <= MAX_ZENITH_DEG),
                f"zenith_deg: expected 0 to {MAX_ZENITH_DEG:g}, got {self.zenith_deg}",
            ),
            (
                not (0 <= self.azimuth_deg < 360),
                f"azimuth_deg: expected 0 to below 360, got {self.azimuth_deg}",
            ),
            (
                not (0 < self.scatter_radius_m <= 10_000),
                f"scatter_radius_m: expected 0 to 10000, got {self.scatter_radius_m}",
            ),
        ]
        if problems := [text for is_wrong, text in checks if is_wrong]:
            raise UserError("\n".join(f"simulate: {text}" for text in problems))

    @property
    def primary_id(self) -> int:
        """Particle id as ctapipe writes it."""
        return PRIMARY_IDS[self.particle]

    @property
    def observation_id(self) -> int:
        """``obs_id``, or a number that other options would hardly share (32-bit checksum)."""
        if self.obs_id is not None:
            return self.obs_id
        text = repr(replace(self, subarray=None))
        return zlib.crc32(text.encode()) & 0x7FFFFFFF or 1

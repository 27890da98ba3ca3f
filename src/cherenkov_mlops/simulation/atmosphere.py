"""The air: density, depth, refractive index and transmission against height."""

from functools import lru_cache

import astropy.units as u
import numpy as np
from ctapipe.atmosphere import FiveLayerAtmosphereDensityProfile

#: Linsley's five layers of the U.S. standard atmosphere: height [cm], a, b [g/cm2], c [cm], 1/c.
#: Heck and Pierog, "Extensive Air Shower Simulation with CORSIKA: A User's Guide", appendix F.
US_STANDARD_LAYERS = np.array(
    [
        [0.0, -186.555305, 1222.6562, 994186.38, 1 / 994186.38],
        [4.0e5, -94.919, 1144.9069, 878153.55, 1 / 878153.55],
        [1.0e6, 0.61289, 1305.5948, 636143.04, 1 / 636143.04],
        [4.0e6, 0.0, 540.1778, 772170.16, 1 / 772170.16],
        [1.0e7, 0.01128292, 1.0, 1.0e9, 1.0e-9],
    ]
)

#: n - 1 at sea level, proportional to the density above (CORSIKA User's Guide, section 4.27).
REFRACTIVITY_AT_SEA_LEVEL = 2.83e-4

TOP_M = 80_000.0
_STEP_M = 25.0

#: Rayleigh scattering length [g/cm2] at 400 nm, falling as the fourth power of the wavelength
#: (Baltrusaitis et al. 1985, NIM A 240, 410).
RAYLEIGH_LENGTH_400NM = 2970.0
#: Vertical aerosol optical depth at 400 nm and scale height [m] of a clear night
#: (orders of magnitude of Elterman 1968, AFCRL-68-0153).
AEROSOL_DEPTH, AEROSOL_SCALE_M = 0.08, 1200.0


def us_standard_profile() -> FiveLayerAtmosphereDensityProfile:
    """ctapipe's profile of the U.S. standard atmosphere, as CORSIKA parametrises it."""
    return FiveLayerAtmosphereDensityProfile.from_array(US_STANDARD_LAYERS.copy())


class Atmosphere:
    """Tables of the U.S. standard atmosphere; heights [m] above sea level, depths [g/cm2] vertical.

    The Earth is flat: depths along a track are vertical depths over the cosine of its zenith
    angle, which holds to 1 % below 65 degrees.
    """

    def __init__(self) -> None:
        profile = us_standard_profile()
        self._height = np.arange(0.0, TOP_M + _STEP_M, _STEP_M)
        self._depth = profile.integral(self._height * u.m).to_value(u.g / u.cm**2)
        self._density = profile(self._height * u.m).to_value(u.g / u.cm**3)
        self._log_depth_upwards = np.log(self._depth)

    def depth(self, height: np.ndarray) -> np.ndarray:
        """Vertical depth [g/cm2] at ``height`` [m]."""
        return np.exp(np.interp(height, self._height, self._log_depth_upwards))

    def height(self, depth: np.ndarray) -> np.ndarray:
        """Height [m] at a vertical ``depth`` [g/cm2]; the table's ends beyond them."""
        log_depth = np.log(np.maximum(depth, 1e-12))
        return np.interp(-log_depth, -self._log_depth_upwards, self._height)

    def density(self, height: np.ndarray) -> np.ndarray:
        """Density [g/cm3] at ``height`` [m]."""
        return np.interp(height, self._height, self._density)

    def refractivity(self, height: np.ndarray) -> np.ndarray:
        """Refractive index minus one at ``height`` [m]."""
        return REFRACTIVITY_AT_SEA_LEVEL * self.density(height) / self._density[0]

    def cherenkov_angle(self, height: np.ndarray) -> np.ndarray:
        """Largest Cherenkov angle [rad] at ``height`` [m], for particles at the speed of light."""
        return np.sqrt(2 * self.refractivity(height))

    def mean_refractivity(self, high: np.ndarray, low: np.ndarray) -> np.ndarray:
        """Mean of n - 1 between two heights [m], from the matter between them."""
        column = self.depth(low) - self.depth(high)
        scale = REFRACTIVITY_AT_SEA_LEVEL / self._density[0] / 100
        return scale * column / np.maximum(high - low, 1.0)


@lru_cache(maxsize=1)
def standard_atmosphere() -> Atmosphere:
    """The one atmosphere of the process."""
    return Atmosphere()


def transmission(
    atmosphere: Atmosphere,
    high: np.ndarray,
    low: float,
    cos_zenith: np.ndarray,
    wavelengths_nm: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """Share of the detectable light that gets from ``high`` to ``low`` [m].

    Rayleigh scattering by the matter on the way and aerosols with an exponential profile
    (optical depth falling inversely with the wavelength), averaged over ``weights`` of the
    ``wavelengths_nm``.  Returns an array of the shape of ``high``.
    """
    matter = (atmosphere.depth(low) - atmosphere.depth(high)) / cos_zenith
    layer = np.exp(-low / AEROSOL_SCALE_M) - np.exp(-np.maximum(high, low) / AEROSOL_SCALE_M)
    aerosol = AEROSOL_DEPTH * layer / cos_zenith
    ratio = wavelengths_nm / 400.0
    depth = np.multiply.outer(matter / RAYLEIGH_LENGTH_400NM, ratio**-4.0)
    depth += np.multiply.outer(aerosol, 1 / ratio)
    return np.exp(-depth) @ (weights / weights.sum())

"""Camera images: charges with noise, pulse times, trigger."""

from dataclasses import dataclass

import numpy as np

from cherenkov_mlops.simulation.instrument import INTEGRATED_SAMPLES, Camera
from cherenkov_mlops.simulation.light import PhotoElectrons
from cherenkov_mlops.simulation.waveforms import Readout

#: Electronic noise [p.e.]: with the night sky, the spread of empty pixels is that of simulated
#: SST-1M images under a dark sky.
ELECTRONIC_NOISE = 0.2
#: Spread of the charge of one photo-electron, optical cross-talk included.
GAIN_SPREAD = 0.25
#: Charge that a pixel and its neighbours must have together for a trigger, over its noise:
#: 22 p.e. in DigiCam.
TRIGGER_SIGNIFICANCE = 8.3
#: Spread [ns] of the pulse time of one photo-electron; it falls with the square root of the charge.
TIME_SPREAD_NS = 1.8
#: Charge [p.e.] from which a pixel's time is that of the shower rather than of the noise.
TIME_MIN_CHARGE = 1.5
#: Where in the readout window the trigger puts the shower.
TRIGGER_POSITION = 0.4


@dataclass(frozen=True)
class Image:
    """One row of :class:`Images`: columns of shape (n_pixels,), samples (n_pixels, n_samples)."""

    charge: np.ndarray
    peak_time: np.ndarray
    true: np.ndarray
    samples: np.ndarray | None


@dataclass(frozen=True)
class Images:
    """Calibrated images, one row each.

    Attributes
    ----------
    charge, peak_time : numpy.ndarray
        Charges [p.e.] and pulse times [ns] from the start of the window, (n, n_pixels) float32.
    true : numpy.ndarray
        Photo-electrons of the shower, (n, n_pixels) int32.
    triggered : numpy.ndarray
        Whether a pixel and its neighbours are bright enough, (n,) bool.
    samples : numpy.ndarray, optional
        Waveforms that the charges were integrated from [p.e. a sample], (n, n_pixels, n_samples)
        float32.
    """

    charge: np.ndarray
    peak_time: np.ndarray
    true: np.ndarray
    triggered: np.ndarray
    samples: np.ndarray | None = None

    def row(self, i: int) -> "Image":
        """One of them."""
        samples = None if self.samples is None else self.samples[i]
        return Image(self.charge[i], self.peak_time[i], self.true[i], samples)


def expose(
    rng: np.random.Generator,
    camera: Camera,
    light: PhotoElectrons,
    n_images: int,
    readout: Readout | None = None,
) -> Images:
    """``n_images`` images of ``light``, with night-sky light and electronic noise.

    With a ``readout`` its waveforms are simulated, and the charges integrated from them.
    """
    cells = n_images * camera.n_pixels
    index = light.image * camera.n_pixels + light.pixel
    true = np.bincount(index, minlength=cells)
    late = light.time - _reference(light, n_images)
    time_sum = np.bincount(index, late, minlength=cells)
    shape = (n_images, camera.n_pixels)
    time = time_sum / np.maximum(true, 1)
    samples = None
    if readout is None:
        charge = _with_noise(rng, true, camera.night_sky).reshape(shape)
    else:
        start = TRIGGER_POSITION * camera.window_ns
        samples = _waveforms(rng, camera, readout, cells, index, late + start)
        charge = readout.integrate(samples, time + start).reshape(shape)
        samples = samples.reshape(*shape, -1)
    time = time.reshape(shape)
    true = true.reshape(shape)
    return Images(
        charge,
        _pulse_times(rng, camera, true, charge, time),
        true.astype(np.int32),
        _triggers(camera, charge),
        samples,
    )


def _waveforms(
    rng: np.random.Generator,
    camera: Camera,
    readout: Readout,
    cells: int,
    index: np.ndarray,
    time: np.ndarray,
) -> np.ndarray:
    """Samples of all pixels of all images, shape (cells, n_samples)."""
    samples = readout.night_sky(rng, cells, camera.night_sky, GAIN_SPREAD)
    noise = rng.standard_normal(samples.shape, dtype=np.float32)
    samples += np.float32(ELECTRONIC_NOISE / np.sqrt(INTEGRATED_SAMPLES)) * noise
    lit, light = readout.shower(rng, index, time, GAIN_SPREAD)
    samples[lit] += light
    return samples


def _reference(light: PhotoElectrons, n_images: int) -> np.ndarray:
    """Mean time [ns] of the image that each photo-electron belongs to."""
    number = np.maximum(np.bincount(light.image, minlength=n_images), 1)
    mean = np.bincount(light.image, light.time, minlength=n_images) / number
    return mean[light.image]


def _triggers(camera: Camera, charge: np.ndarray) -> np.ndarray:
    """Whether any pixel and its neighbours stand out of their common noise, (n,) bool."""
    number = camera.flower.sum(axis=1)
    noise = np.sqrt(number * (camera.night_sky * (1 + GAIN_SPREAD**2) + ELECTRONIC_NOISE**2))
    significance = (camera.flower @ charge.T) / noise[:, None]
    return significance.max(axis=0, initial=0.0) > TRIGGER_SIGNIFICANCE


def _with_noise(rng: np.random.Generator, true: np.ndarray, night_sky: float) -> np.ndarray:
    """Charges [p.e.] read for ``true`` photo-electrons, baseline subtracted."""
    night = rng.poisson(night_sky, true.size)
    total = true + night
    spread = np.sqrt(ELECTRONIC_NOISE**2 + GAIN_SPREAD**2 * total)
    noise = rng.standard_normal(true.size, dtype=np.float32) * spread
    return (total - night_sky + noise).astype(np.float32)


def _pulse_times(
    rng: np.random.Generator,
    camera: Camera,
    true: np.ndarray,
    charge: np.ndarray,
    time: np.ndarray,
) -> np.ndarray:
    """Pulse times [ns]: of the shower where it dominates, anywhere in the window elsewhere."""
    window = camera.window_ns
    times = rng.random(true.shape, dtype=np.float32) * np.float32(window)
    bright = (true >= TIME_MIN_CHARGE) & (charge > TIME_MIN_CHARGE)
    jitter = rng.standard_normal(bright.sum()) * TIME_SPREAD_NS / np.sqrt(true[bright])
    times[bright] = np.clip(time[bright] + jitter + TRIGGER_POSITION * window, 0, window - 1e-3)
    return times

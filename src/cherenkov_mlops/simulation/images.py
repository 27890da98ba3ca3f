"""Camera images: waveforms, charges with noise, pulse times, trigger."""

from dataclasses import dataclass

import astropy.units as u
import numpy as np
from ctapipe.instrument import CameraReadout

from cherenkov_mlops.simulation.instrument import INTEGRATED_SAMPLES, Camera
from cherenkov_mlops.simulation.light import PhotoElectrons

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
#: Steps of a sample in which photo-electrons of the shower are placed.
STEPS = 4
#: Samples before and after the window whose night-sky light has a tail, or its rise, in it.
BEFORE, AFTER = 16, 4


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


class Readout:
    """How photo-electrons become samples.

    Parameters
    ----------
    readout : ctapipe.instrument.CameraReadout
        Sampling and reference pulse of the camera.

    Attributes
    ----------
    n_samples : int
        Samples of the window.
    sample_ns : float
        Length of a sample [ns].
    """

    def __init__(self, readout: CameraReadout):
        self.n_samples = int(readout.n_samples)
        self.sample_ns = 1 / readout.sampling_rate.to_value(u.GHz)
        pulse = np.asarray(readout.reference_pulse_shape[0], dtype=float)
        time = np.arange(len(pulse)) * readout.reference_pulse_sample_width.to_value(u.ns)
        # Times of a pulse are those of its maximum.
        self._time, self._pulse = time - time[pulse.argmax()], pulse
        self._norm = pulse.sum() * (time[1] - time[0]) / self.sample_ns
        self._of_sample = self._responses(BEFORE + self.n_samples + AFTER, 1, BEFORE)
        self._of_step = self._responses(self.n_samples, STEPS, 0)
        # Share of the charge of a pulse that is integrated: two samples before its maximum on.
        middle = self.n_samples // 2
        window = slice(middle - 2, middle - 2 + INTEGRATED_SAMPLES)
        self._share = float(self._of_step[middle * STEPS][window].sum())

    def _responses(self, n: int, steps: int, margin: int) -> np.ndarray:
        """Samples that one photo-electron in each step adds to, shape (n x steps, n_samples)."""
        # Middle of each step, in samples from the start of the window.
        born = (np.arange(n * steps) + 0.5) / steps - 0.5 - margin
        delay = (np.arange(self.n_samples)[None, :] - born[:, None]) * self.sample_ns
        pulse = np.interp(delay, self._time, self._pulse, left=0.0, right=0.0)
        return (pulse / self._norm).astype(np.float32)

    def night_sky(
        self, rng: np.random.Generator, n_pixels: int, mean: float, gain_spread: float
    ) -> np.ndarray:
        """Night-sky samples without their mean, shape (n_pixels, n_samples).

        ``mean`` is the number of photo-electrons in ``INTEGRATED_SAMPLES`` samples.
        """
        rate = mean / INTEGRATED_SAMPLES
        # Light before and behind the window has its tail, or its rise, in it.
        counts = rng.poisson(rate, (n_pixels, len(self._of_sample))).astype(np.float32)
        spread = rng.standard_normal(counts.shape, dtype=np.float32) * np.sqrt(counts)
        return (counts - np.float32(rate) + np.float32(gain_spread) * spread) @ self._of_sample

    def shower(
        self, rng: np.random.Generator, pixel: np.ndarray, time: np.ndarray, gain_spread: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pixels with light, and the samples of the shower's photo-electrons in each of them.

        Parameters
        ----------
        rng : numpy.random.Generator
            Draws the charge of each photo-electron.
        pixel, time : numpy.ndarray
            Pixel and time [ns] from the start of the window of each photo-electron; those
            outside the window are lost.
        gain_spread : float
            Relative spread of the charge of one photo-electron.
        """
        n_steps = self.n_samples * STEPS
        # One histogram of (lit pixel, step), then one product with the responses of the steps.
        step = np.floor(time / self.sample_ns * STEPS).astype(np.int64)
        inside = (step >= 0) & (step < n_steps)
        lit, place = np.unique(pixel[inside], return_inverse=True)
        charge = 1 + gain_spread * rng.standard_normal(inside.sum())
        cells = place.reshape(-1) * n_steps + step[inside]
        light = np.bincount(cells, charge, minlength=len(lit) * n_steps)
        return lit, light.reshape(len(lit), n_steps).astype(np.float32) @ self._of_step

    def integrate(self, samples: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Charge [p.e.] of pulses at ``time`` [ns], shape (n,).

        Sum of ``INTEGRATED_SAMPLES`` samples from two before the maximum on, over the share of a
        pulse that they hold.
        """
        start = np.round(time / self.sample_ns).astype(np.int64) - 2
        start = np.clip(start, 0, self.n_samples - INTEGRATED_SAMPLES)
        window = start[:, None] + np.arange(INTEGRATED_SAMPLES)
        return np.take_along_axis(samples, window, axis=1).sum(axis=1) / self._share


def expose(
    rng: np.random.Generator,
    camera: Camera,
    light: PhotoElectrons,
    n_images: int,
    readout: Readout | None = None,
) -> Images:
    """Take ``n_images`` images of ``light``, with night-sky light and electronic noise.

    With a ``readout`` its waveforms are simulated, and the charges integrated from them.
    """
    cells = n_images * camera.n_pixels
    shape = (n_images, camera.n_pixels)
    # Flat index of image and pixel; times count from the mean time of the image.
    index = light.image * camera.n_pixels + light.pixel
    true = np.bincount(index, minlength=cells)
    number = np.maximum(np.bincount(light.image, minlength=n_images), 1)
    mean = np.bincount(light.image, light.time, minlength=n_images) / number
    late = light.time - mean[light.image]
    time = np.bincount(index, late, minlength=cells) / np.maximum(true, 1)
    start = TRIGGER_POSITION * camera.window_ns
    samples = None
    if readout is None:
        # Charges with the baseline subtracted; the spread of the gain grows with the light.
        total = true + rng.poisson(camera.night_sky, cells)
        spread = np.sqrt(ELECTRONIC_NOISE**2 + GAIN_SPREAD**2 * total)
        noise = rng.standard_normal(cells, dtype=np.float32) * spread
        charge = (total - camera.night_sky + noise).astype(np.float32)
    else:
        samples = readout.night_sky(rng, cells, camera.night_sky, GAIN_SPREAD)
        noise = rng.standard_normal(samples.shape, dtype=np.float32)
        samples += np.float32(ELECTRONIC_NOISE / np.sqrt(INTEGRATED_SAMPLES)) * noise
        lit, pulses = readout.shower(rng, index, late + start, GAIN_SPREAD)
        samples[lit] += pulses
        charge = readout.integrate(samples, time + start)
        samples = samples.reshape(*shape, -1)
    charge, time, true = charge.reshape(shape), time.reshape(shape), true.reshape(shape)
    # Pulse times are those of the shower where it dominates, anywhere in the window elsewhere.
    window = camera.window_ns
    times = rng.random(shape, dtype=np.float32) * np.float32(window)
    bright = (true >= TIME_MIN_CHARGE) & (charge > TIME_MIN_CHARGE)
    jitter = rng.standard_normal(bright.sum()) * TIME_SPREAD_NS / np.sqrt(true[bright])
    times[bright] = np.clip(time[bright] + jitter + start, 0, window - 1e-3)
    # A trigger: a pixel and its neighbours stand out of their common noise.
    n_pixels = camera.flower.sum(axis=1)
    noise = np.sqrt(n_pixels * (camera.night_sky * (1 + GAIN_SPREAD**2) + ELECTRONIC_NOISE**2))
    significance = (camera.flower @ charge.T) / noise[:, None]
    triggered = significance.max(axis=0, initial=0.0) > TRIGGER_SIGNIFICANCE
    return Images(charge, times, true.astype(np.int32), triggered, samples)

"""Readout windows: the pulse of each photo-electron, night-sky light, electronic noise."""

import astropy.units as u
import numpy as np
from ctapipe.instrument import CameraReadout

from cherenkov_mlops.simulation.instrument import INTEGRATED_SAMPLES

#: Steps of a sample in which photo-electrons of the shower are placed.
STEPS = 4
#: Samples before and after the window whose night-sky light has a tail, or its rise, in it.
BEFORE, AFTER = 16, 4


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

    def _responses(self, n: int, steps: int, margin: int) -> np.ndarray:
        """Samples that one photo-electron in each step adds to, shape (n x steps, n_samples)."""
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
        return np.take_along_axis(samples, window, axis=1).sum(axis=1) / self._share()

    def _share(self) -> float:
        """Share of a pulse's charge that is integrated."""
        middle = self.n_samples // 2
        pulse = self._of_step[middle * STEPS]
        return float(pulse[middle - 2 : middle - 2 + INTEGRATED_SAMPLES].sum())

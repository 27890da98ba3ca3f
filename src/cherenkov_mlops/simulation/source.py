"""Simulated events as ctapipe's other tools expect them."""

import logging
from collections.abc import Iterator

import astropy.units as u
import numpy as np
from astropy.time import Time
from ctapipe.containers import (
    ArrayEventContainer,
    CoordinateFrameType,
    DL1CameraContainer,
    EventIndexContainer,
    EventType,
    ObservationBlockContainer,
    ObservationBlockState,
    ObservingMode,
    PointingMode,
    R1CameraContainer,
    SchedulingBlockContainer,
    SchedulingBlockType,
    SimulatedCameraContainer,
    SimulatedEventContainer,
    SimulatedShowerContainer,
    SimulatedShowerDistribution,
    SimulationConfigContainer,
    TelescopeImpactParameterContainer,
    TelescopePointingContainer,
    TelescopeTriggerContainer,
    TriggerContainer,
)
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import DataLevel, EventSource

from cherenkov_mlops.simulation.atmosphere import TOP_M, standard_atmosphere
from cherenkov_mlops.simulation.events import Batch, Event, open_windows, throw_showers
from cherenkov_mlops.simulation.instrument import read_subarray, sst1m_pair
from cherenkov_mlops.simulation.light import WAVELENGTHS_NM
from cherenkov_mlops.simulation.options import SimulationOptions

#: Images made when neither a number of showers nor of images is asked for.
DEFAULT_N_IMAGES = 1000
#: Time of the first event, and seconds between events.
FIRST_TIME, INTERVAL_S = Time("2025-01-01T00:00:00", scale="tai"), 0.01
#: Showers without a single trigger after which no more are thrown.
GIVE_UP_AFTER = 20_000
_N_ENERGY_BINS, _N_CORE_BINS = 50, 40

# EventSource logs the path of its input at level INFO; there is none.
logging.getLogger(f"{__name__}.ShowerSource").setLevel(logging.WARNING)


class ShowerSource(EventSource):
    """Triggered showers of a simulated run, as ctapipe events with images and pulse times.

    Parameters
    ----------
    options : SimulationOptions
        The run.

    Attributes
    ----------
    n_thrown : int
        Showers thrown up to the event yielded last, or in all after the last one.
    n_images : int
        Telescope images yielded so far.
    """

    def __init__(self, options: SimulationOptions, **kwargs):
        super().__init__(**kwargs)
        self.options = options
        self.n_thrown = self.n_images = 0
        self._subarray = read_subarray(options.subarray) if options.subarray else sst1m_pair()
        self._pointing = u.Quantity([90 - options.zenith_deg, options.azimuth_deg], u.deg)
        self._n_wanted = options.n_images
        if options.n_images is None and options.n_showers is None:
            self._n_wanted = DEFAULT_N_IMAGES
        bins = (
            np.linspace(0, options.scatter_radius_m, _N_CORE_BINS + 1),
            np.geomspace(options.energy_min_tev, options.energy_max_tev, _N_ENERGY_BINS + 1),
        )
        self._bins, self._thrown = bins, np.zeros((_N_CORE_BINS, _N_ENERGY_BINS))
        top = standard_atmosphere().depth(np.array(TOP_M))
        self._starting_grammage = float(top) * u.g / u.cm**2

    @staticmethod
    def is_compatible(file_path: str) -> bool:
        """Return False: showers come from no file."""
        return False

    @property
    def subarray(self) -> SubarrayDescription:
        """The telescopes."""
        return self._subarray

    @property
    def is_simulation(self) -> bool:
        """True."""
        return True

    @property
    def datalevels(self) -> tuple[DataLevel, ...]:
        """Images, and waveforms if asked for; parameters are ctapipe's."""
        waveforms = (DataLevel.R1,) if self.options.waveforms else ()
        return (*waveforms, DataLevel.DL1_IMAGES)

    @property
    def scheduling_blocks(self) -> dict[int, SchedulingBlockContainer]:
        """One block, numbered like the observation."""
        obs_id = self.options.observation_id
        block = SchedulingBlockContainer(
            sb_id=np.uint64(obs_id),
            sb_type=SchedulingBlockType.OBSERVATION,
            producer_id="simulation",
            observing_mode=ObservingMode.UNKNOWN,
            pointing_mode=PointingMode.DRIFT,
        )
        return {obs_id: block}

    @property
    def observation_blocks(self) -> dict[int, ObservationBlockContainer]:
        """One block, pointing at the fixed altitude and azimuth."""
        obs_id = self.options.observation_id
        block = ObservationBlockContainer(
            obs_id=np.uint64(obs_id),
            sb_id=np.uint64(obs_id),
            producer_id="simulation",
            state=ObservationBlockState.COMPLETED_SUCCEDED,
            subarray_pointing_lat=self._pointing[0],
            subarray_pointing_lon=self._pointing[1],
            subarray_pointing_frame=CoordinateFrameType.ALTAZ,
            actual_start_time=FIRST_TIME,
            scheduled_start_time=FIRST_TIME,
        )
        return {obs_id: block}

    @property
    def simulation_config(self) -> dict[int, SimulationConfigContainer]:
        """The run as pyirf and ctapipe weight it; ``n_showers`` counts those thrown so far."""
        options, altitude, azimuth = self.options, *self._pointing.to(u.rad)
        config = SimulationConfigContainer(
            run_number=np.int32(options.observation_id),
            energy_range_min=options.energy_min_tev * u.TeV,
            energy_range_max=options.energy_max_tev * u.TeV,
            prod_site_alt=self._subarray.reference_location.geodetic.height.to(u.m),
            spectral_index=options.spectral_index,
            n_showers=np.int64(self.n_thrown),
            shower_reuse=np.int64(1),
            max_alt=altitude,
            min_alt=altitude,
            max_az=azimuth,
            min_az=azimuth,
            diffuse=options.viewcone_deg > 0,
            max_viewcone_radius=options.viewcone_deg * u.deg,
            min_viewcone_radius=0.0 * u.deg,
            max_scatter_range=options.scatter_radius_m * u.m,
            min_scatter_range=0.0 * u.m,
            core_pos_mode=np.int64(0),
            corsika_wlen_min=WAVELENGTHS_NM[0] * u.nm,
            corsika_wlen_max=WAVELENGTHS_NM[-1] * u.nm,
        )
        return {options.observation_id: config}

    @property
    def simulated_shower_distributions(self) -> dict[int, SimulatedShowerDistribution]:
        """Thrown showers by distance of the core and energy."""
        distribution = SimulatedShowerDistribution(
            obs_id=self.options.observation_id,
            hist_id=6,
            n_entries=int(self._thrown.sum()),
            bins_core_dist=self._bins[0] * u.m,
            bins_energy=self._bins[1] * u.TeV,
            histogram=self._thrown,
        )
        return {self.options.observation_id: distribution}

    def _generator(self) -> Iterator[ArrayEventContainer]:
        throw = open_windows if self.options.particle == "nsb" else throw_showers
        for batch in throw(self.options, self._subarray):
            times = FIRST_TIME + batch.numbers * INTERVAL_S * u.s
            for event in batch.events:
                self.n_images += len(event.tel_ids)
                self.n_thrown = event.number
                row = event.number - batch.first_number
                # Showers thrown behind the last one that is written do not count.
                if self._n_wanted is not None and self.n_images >= self._n_wanted:
                    self._count(batch, row + 1)
                    yield self._fill(event, times[row])
                    return
                yield self._fill(event, times[row])
            self.n_thrown = int(batch.numbers[-1])
            self._count(batch, len(batch.numbers))
            if not self.n_images and self.n_thrown >= GIVE_UP_AFTER:
                return

    def _count(self, batch: Batch, n: int) -> None:
        """Add the first ``n`` showers of ``batch`` to the histogram of thrown ones."""
        if self.options.particle == "nsb":
            return
        distance = np.hypot(*batch.primaries.core[:n].T)
        energy = batch.primaries.particles.energy[:n] / 1000
        # Rounding may put a shower just outside of the range that it was drawn from.
        edges = [distance.clip(*self._bins[0][[0, -1]]), energy.clip(*self._bins[1][[0, -1]])]
        self._thrown += np.histogram2d(*edges, bins=self._bins)[0]

    def _fill(self, event: Event, time: Time) -> ArrayEventContainer:
        """Put the event into ctapipe's containers."""
        truth = event.truth
        shower = SimulatedShowerContainer(
            energy=truth.energy_tev * u.TeV,
            alt=np.degrees(truth.alt) * u.deg,
            az=np.degrees(truth.az) * u.deg,
            core_x=truth.core_x * u.m,
            core_y=truth.core_y * u.m,
            h_first_int=truth.h_first_int * u.m,
            x_max=truth.x_max * u.g / u.cm**2,
            starting_grammage=self._starting_grammage,
            shower_primary_id=np.int16(self.options.primary_id),
        )
        data = ArrayEventContainer(
            count=event.number - 1,
            index=EventIndexContainer(
                obs_id=np.int32(self.options.observation_id), event_id=np.int64(event.number)
            ),
            simulation=SimulatedEventContainer(shower=shower),
            trigger=TriggerContainer(
                time=time, tels_with_trigger=event.tel_ids, event_type=EventType.SUBARRAY
            ),
        )
        altitude, azimuth = self._pointing.to(u.rad)
        for tel_id, image, impact in zip(event.tel_ids, event.images, event.impact_m, strict=True):
            data.trigger.tel[tel_id] = TelescopeTriggerContainer(
                time=time, event_type=EventType.SUBARRAY
            )
            data.monitoring.tel[tel_id].pointing = TelescopePointingContainer(
                altitude=altitude, azimuth=azimuth
            )
            data.dl1.tel[tel_id] = DL1CameraContainer(
                image=image.charge, peak_time=image.peak_time, is_valid=True
            )
            if image.samples is not None:
                data.r1.tel[tel_id] = R1CameraContainer(
                    event_time=time,
                    waveform=image.samples[None],
                    selected_gain_channel=np.zeros(len(image.samples), dtype=np.int8),
                )
            data.simulation.tel[tel_id] = SimulatedCameraContainer(
                true_image_sum=np.int32(image.true.sum()),
                true_image=image.true if self.options.true_images else None,
                impact=TelescopeImpactParameterContainer(
                    distance=impact * u.m, prefix="true_impact"
                ),
            )
        return data

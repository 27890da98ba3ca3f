"""Metrics of the energy; ``events`` has the columns ``true_energy`` and ``reco_energy`` [TeV]."""

import numpy as np
from pyirf.benchmarks.energy_bias_resolution import (
    energy_resolution_absolute_68,
    inter_quantile_distance,
)
from sklearn import metrics as sklearn_metrics

from cherenkov_mlops.metrics.base import metric
from cherenkov_mlops.metrics.table import Events, n_rows, per_event


@per_event
def relative_error(events: Events) -> np.ndarray:
    """(reconstructed - true) / true energy of each event."""
    return events["reco_energy"] / events["true_energy"] - 1


@per_event
def log10_error(events: Events) -> np.ndarray:
    """Difference of the decimal logarithms, reconstructed minus true, of each event [dex]."""
    return _log10_reco(events) - _log10_true(events)


@per_event
def _log10_true(events: Events) -> np.ndarray:
    return np.log10(events["true_energy"])


@per_event
def _log10_reco(events: Events) -> np.ndarray:
    return np.log10(events["reco_energy"])


@metric(kind="energy", symbol=r"$\langle\Delta E/E\rangle$", unit="", better="zero", key=True)
def energy_bias(events: Events) -> float:
    r"""Median relative energy error.

    Formula: $\mathrm{median}(E_\mathrm{reco} / E_\mathrm{true} - 1)$
    Source: pyirf, ``energy_bias_resolution``.
    """
    return float(np.median(relative_error(events)))


@metric(kind="energy", symbol=r"$\sigma_{68}(\Delta E/E)$", unit="", better="lower", key=True)
def energy_resolution_68(events: Events) -> float:
    r"""68.27 % quantile of the absolute relative energy error, bias included.

    Formula: $Q_{0.6827}(|E_\mathrm{reco} / E_\mathrm{true} - 1|)$
    Source: definition of CTAO and ctaplot; pyirf, ``energy_resolution_absolute_68``.
    """
    return energy_resolution_absolute_68(relative_error(events))


@metric(kind="energy", symbol=r"$\sigma_{IQR}(\Delta E/E)$", unit="", better="lower", key=True)
def energy_resolution_iqr68(events: Events) -> float:
    r"""Half the distance of the 15.87 and 84.13 % quantiles of the relative energy error.

    Bias not included.

    Formula: $(Q_{0.8413} - Q_{0.1587}) / 2$ of $E_\mathrm{reco} / E_\mathrm{true} - 1$
    Source: default of pyirf and ctapipe; pyirf, ``inter_quantile_distance``.
    """
    return inter_quantile_distance(relative_error(events))


@metric(kind="energy", symbol=r"std$(\Delta E/E)$", unit="", better="lower")
def energy_resolution_std(events: Events) -> float:
    r"""Standard deviation of the relative energy error; tails weigh heavily.

    Formula: $\sigma(E_\mathrm{reco} / E_\mathrm{true} - 1)$
    Source: own definition.
    """
    return float(np.std(relative_error(events)))


@metric(kind="energy", symbol="MSE", unit="TeV²", better="lower")
def mse(events: Events) -> float:
    r"""Mean squared energy error.

    Formula: $\langle (E_\mathrm{reco} - E_\mathrm{true})^2 \rangle$
    Source: scikit-learn, ``mean_squared_error``.
    """
    return sklearn_metrics.mean_squared_error(events["true_energy"], events["reco_energy"])


@metric(kind="energy", symbol="RMSE", unit="TeV", better="lower")
def rmse(events: Events) -> float:
    r"""Root of the mean squared energy error; the highest energies dominate.

    Formula: $\sqrt{\langle (E_\mathrm{reco} - E_\mathrm{true})^2 \rangle}$
    Source: scikit-learn, ``root_mean_squared_error``.
    """
    return sklearn_metrics.root_mean_squared_error(events["true_energy"], events["reco_energy"])


@metric(kind="energy", symbol="MAE", unit="TeV", better="lower")
def mae(events: Events) -> float:
    r"""Mean absolute energy error.

    Formula: $\langle |E_\mathrm{reco} - E_\mathrm{true}| \rangle$
    Source: scikit-learn, ``mean_absolute_error``.
    """
    return sklearn_metrics.mean_absolute_error(events["true_energy"], events["reco_energy"])


@metric(kind="energy", symbol="$R^2$", unit="", better="higher")
def r2(events: Events) -> float:
    r"""Share of the variance of the energy that is explained; below 0 worse than the mean.

    NaN with fewer than two events.

    Formula: $1 - \langle (E_\mathrm{reco} - E_\mathrm{true})^2 \rangle / \sigma^2(E_\mathrm{true})$
    Source: scikit-learn, ``r2_score``.
    """
    if n_rows(events) < 2:
        return float("nan")
    return sklearn_metrics.r2_score(events["true_energy"], events["reco_energy"])


@metric(kind="energy", symbol="RMSLE", unit="", better="lower")
def rmsle(events: Events) -> float:
    r"""Root mean square of ln(1 + reco) - ln(1 + true), energies in TeV; not the root of the MSE.

    Formula: $\sqrt{\langle (\ln(1 + E_\mathrm{reco}) - \ln(1 + E_\mathrm{true}))^2 \rangle}$
    Source: scikit-learn, ``root_mean_squared_log_error``.
    """
    return sklearn_metrics.root_mean_squared_log_error(events["true_energy"], events["reco_energy"])


@metric(kind="energy", symbol=r"RMSE($\log_{10}E$)", unit="dex", better="lower")
def rmse_log10(events: Events) -> float:
    r"""Root mean square of the error of log10(E): what the network is trained on.

    Formula: $\sqrt{\langle (\log_{10} E_\mathrm{reco} - \log_{10} E_\mathrm{true})^2 \rangle}$
    Source: CTLearn, whose network predicts log10 of the energy in TeV.
    """
    return float(np.sqrt(np.mean(log10_error(events) ** 2)))


@metric(kind="energy", symbol=r"RMSE($\log_{10}E$) / mean", unit="", better="lower")
def rmse_log10_ratio(events: Events) -> float:
    r"""RMSE of log10(E), relative to that of always answering the mean; 1 = nothing learnt.

    Formula: ``rmse_log10`` $/ \, \sigma(\log_{10} E_\mathrm{true})$
    Source: own definition.
    """
    # All events of one energy: nothing could be learnt.
    spread = float(np.std(_log10_true(events)))
    return rmse_log10(events) / spread if spread else float("nan")


@metric(
    kind="energy",
    symbol=r"$\sigma(\log_{10}E_{reco})$",
    unit="dex",
    better="none",
    fails_below=1e-5,
    failure="the network gives the same energy for every event",
)
def energy_spread(events: Events) -> float:
    r"""Standard deviation of log10 of the reconstructed energy; zero for a constant answer.

    Formula: $\sigma(\log_{10} E_\mathrm{reco})$
    Source: own definition.
    """
    return float(np.std(_log10_reco(events)))

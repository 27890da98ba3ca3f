"""Which exports of a run keep up with a trigger, and which of those does the best physics."""

import logging
from dataclasses import dataclass

from cherenkov_mlops.commands.costs import find_exports
from cherenkov_mlops.compression.measuring.costs import measure_paths
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.manifest import check_unchanged, read_manifest
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.metrics import Metric, metrics_of
from cherenkov_mlops.models.keras_model import tested_model
from cherenkov_mlops.pipeline.lifecycle import is_made
from cherenkov_mlops.results import Results, read_results
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.tasks import TASKS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """One form of a model: how fast, how good.

    Parameters
    ----------
    run_dir : RunDir
        Its run.
    form : str
        ``keras``, or that of the export.
    rates_hz : dict of int to float
        Batch size -> images a second of the whole path on one core.
    results : Results or None
        Of its test; None if it was not tested.
    """

    run_dir: RunDir
    form: str
    rates_hz: dict[int, float]
    results: Results | None

    @property
    def best_batch(self) -> int:
        """Batch size of the highest rate."""
        return max(self.rates_hz, key=self.rates_hz.__getitem__)

    @property
    def rate_hz(self) -> float:
        """Highest rate."""
        return self.rates_hz[self.best_batch]


@dataclass(frozen=True)
class Budget:
    """All offers against a rate.

    Parameters
    ----------
    rate_hz : float
        What is asked for.
    metric : Metric
        What decides between those that keep up.
    offers : list of Offer
        Fastest first.
    """

    rate_hz: float
    metric: Metric
    offers: list[Offer]

    @property
    def best(self) -> Offer | None:
        """The best physics among the tested ones that keep up; None without any."""
        fit = [offer for offer in self.offers if self.keeps_up(offer) and offer.results]
        known = [offer for offer in fit if self.value(offer) is not None]
        return min(known, key=lambda o: float(self.metric.badness(self.value(o))), default=None)

    def keeps_up(self, offer: Offer) -> bool:
        """Whether the offer holds the rate."""
        return offer.rate_hz >= self.rate_hz

    def value(self, offer: Offer) -> float | None:
        """Look up the metric of a tested offer."""
        stored = offer.results.stored(self.metric.name)
        return None if stored is None else stored.value


def run(config: RunConfig, run_dir: RunDir, rate_hz: float) -> Budget:
    """Measure the whole path of the run's model and of its exports on one core.

    Parameters
    ----------
    config : RunConfig
        A trained run.
    run_dir : RunDir
        Its folder.
    rate_hz : float
        Images a second that a trigger has to take.
    """
    check_unchanged(read_manifest(run_dir).inputs)
    runs = [(config, run_dir), *find_exports(run_dir)]
    models = {each.name: tested_model(settings, each) for settings, each in runs}
    log.info("compress: measuring the whole path of %d forms on one core", len(runs))
    rates = measure_paths(run_dir.path.resolve(), models)
    offers = []
    for settings, each in runs:
        results = read_results(each.metrics) if is_made(each.metrics, each) else None
        form = settings.export.format if settings.export else "keras"
        offers.append(Offer(each, form, rates[each.name], results))
    offers.sort(key=lambda offer: -offer.rate_hz)
    metric = next(entry for entry in metrics_of(TASKS[config.tasks[0]].kind).values() if entry.key)
    return Budget(rate_hz, metric, offers)


def columns(budget: Budget) -> list[str]:
    """Names of the columns of ``describe``."""
    unit = f" [{budget.metric.unit}]" if budget.metric.unit else ""
    return ["form", "images/s", "batch", f"{budget.metric.symbol}{unit}", "68 % interval", "state"]


def describe(budget: Budget, offer: Offer) -> list[str]:
    """Cells of one row of a table."""
    state = "keeps up" if budget.keeps_up(offer) else "too slow"
    cells = [offer.form, f"{offer.rate_hz:.0f}", str(offer.best_batch)]
    if offer.results is None or (value := budget.value(offer)) is None:
        return [*cells, "", "", f"{state}, not tested"]
    stored = offer.results.stored(budget.metric.name)
    known = stored.low is not None and stored.high is not None
    interval = f"{stored.low:.3g} to {stored.high:.3g}" if known else ""
    return [*cells, f"{value:.4g}", interval, "best" if offer is budget.best else state]


def advise(budget: Budget) -> list[str]:
    """Say what the table tells, and what is missing for it to tell more."""
    lines = []
    if (best := budget.best) is not None:
        lines.append(
            f"best {budget.metric.symbol} at {budget.rate_hz:,.0f} images/s on one core: "
            f"{best.run_dir.name} ({best.form}, batches of {best.best_batch})"
        )
    lines += [
        f"not tested yet: cherenkov-mlops test {offer.run_dir.path}"
        for offer in budget.offers
        if offer.results is None and budget.keeps_up(offer)
    ]
    return lines


def check_budget(budget: Budget) -> None:
    """Raise UserError if no offer keeps up."""
    fastest = budget.offers[0]
    if not budget.keeps_up(fastest):
        raise UserError(
            f"compress: expected a form that takes {budget.rate_hz:,.0f} images/s on one core, got "
            f"{fastest.rate_hz:,.0f} from the fastest of {len(budget.offers)} ({fastest.form}); "
            "export to other forms (int8 is fast on a CPU), or train a smaller network"
        )

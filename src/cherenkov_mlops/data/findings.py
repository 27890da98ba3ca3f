"""What is odd about the files of a run, though it can be trained on: for the log and the pages."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.dl1_file import DL1File
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.data.production import NO_SHOWER, Production, unite_productions
from cherenkov_mlops.results import Finding

log = logging.getLogger(__name__)

#: Classes with more samples than this times those of the other are worth a note.
MAX_CLASS_RATIO = 3.0
_MAX_NAMED = 6
#: A class that bears the name of a particle should hold showers of it.
_KNOWN_NAMES = {
    "gamma": {"gamma"},
    "electron": {"electron", "positron"},
    "muon": {"muon", "antimuon"},
    "proton": {"proton"},
    "helium": {"helium"},
    "iron": {"iron"},
}


@dataclass(frozen=True)
class DataClass:
    """What the files of one class have in common, and where they differ.

    Parameters
    ----------
    label, name : str
        ``signal`` or ``background``, and its name in the configuration.
    productions : list of Production
        Different settings.
    pointings : list of tuple of float
        (zenith, azimuth) [deg].
    particles : dict of str to int
        Particle -> simulated events that triggered.
    n_files, n_showers : int
        Files, and simulated events that triggered.
    """

    label: str
    name: str
    productions: list[Production]
    pointings: list[tuple[float, float]]
    particles: dict[str, int]
    n_files: int
    n_showers: int

    @property
    def has_showers(self) -> bool:
        """Whether there is any shower: windows of night sky alone have no spectrum."""
        return set(self.particles) != {NO_SHOWER}

    def extremes(self, name: str) -> tuple[float, float]:
        """Smallest and largest value of a setting."""
        values = [getattr(production, name) for production in self.productions]
        return min(values), max(values)

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self) | {"has_showers": self.has_showers}


def describe_classes(config: RunConfig, inputs: Inputs) -> list[DataClass]:
    """Describe the classes of the files, signal first."""
    return [
        describe_class(label, getattr(config.data.classes, label), files)
        for label, files in inputs.files.items()
    ]


def describe_class(label: str, name: str, files: Sequence[DL1File]) -> DataClass:
    """Describe what the files of one class hold together."""
    particles: dict[str, int] = {}
    for file in files:
        for particle, n in file.particles.items():
            particles[particle] = particles.get(particle, 0) + n
    return DataClass(
        label=label,
        name=name,
        productions=unite_productions(p for file in files for p in file.productions),
        pointings=sorted({pair for file in files for pair in file.pointings}),
        particles=particles,
        n_files=len(files),
        n_showers=sum(file.n_showers for file in files),
    )


def tell(findings: Iterable[Finding]) -> None:
    """Say each in the log."""
    for finding in findings:
        level = logging.INFO if finding.level == "hint" else logging.WARNING
        log.log(level, "%s", finding.text)


def particle_findings(classes: Sequence[DataClass]) -> list[Finding]:
    """Find classes whose showers are not what their name says, mixed, or the same in both."""
    found = []
    for each in classes:
        expected = _KNOWN_NAMES.get(each.name.lower())
        names = join(each.particles)
        if expected and not expected & set(each.particles):
            text = (
                f"The class '{each.name}' holds {names}: give other files, or name the class after "
                f"what it holds (data.classes.{each.label})."
            )
            found.append(Finding("warning", "particle", text))
        elif len(each.particles) > 1:
            counts = join(f"{n:,} {particle}" for particle, n in each.particles.items())
            text = f"The class '{each.name}' is a mixture: {counts}."
            found.append(Finding("hint", "particle", text))
    if len(classes) > 1 and (shared := set(classes[0].particles) & set(classes[1].particles)):
        text = (
            f"Both classes hold {join(sorted(shared))}: there is nothing to tell them apart by, "
            "unless you mean to."
        )
        found.append(Finding("warning", "particle", text))
    return found


def file_findings(config: RunConfig, inputs: Inputs) -> list[Finding]:
    """Find empty cleaning masks, telescopes without tables, run numbers that files share."""
    files = inputs.all_files()
    found = []
    n_passing, n_empty = sum(file.n_passing for file in files), sum(file.n_empty for file in files)
    if n_empty and config.data.reader != "waveforms":
        text = (
            f"{n_empty:,} of {n_passing:,} images that pass the cuts ({share(n_empty, n_passing)}) "
            "have an empty cleaning mask"
        )
        cleaned = any("cleaned" in channel for channel in config.data.channels)
        if cleaned:
            text += (
                ": their cleaned channels are all 0, and the network learns to guess from nothing"
            )
        text += "; a cut such as [cleaned, hillas_intensity > 0] removes images without parameters."
        found.append(Finding("warning" if cleaned else "hint", "mask", text))
    # Telescopes that are missing, in all files or in some.
    if inputs.idle:
        text = f"Telescopes {join(inputs.idle)} have no images in any file and are not used."
        found.append(Finding("hint", "telescopes", text))
    lacking = {
        number: sum(number not in file.images for file in files) for number in inputs.telescopes
    }
    if any(lacking.values()):
        listed = join(f"{number} ({n} of {len(files)} files)" for number, n in lacking.items() if n)
        text = f"Telescopes without tables in some files, used where they have them: {listed}."
        found.append(Finding("hint", "telescopes", text))
    seen = Counter(obs_id for file in files for obs_id in file.obs_ids)
    if shared := [obs_id for obs_id, n in seen.items() if n > 1]:
        text = (
            f"Files share the run numbers (obs_id) {join(shared)} but hold different events. They "
            "are kept apart by file here; merged into one, their events could not be told apart."
        )
        found.append(Finding("hint", "runs", text))
    return found


def balance_findings(classes: Sequence[DataClass], training: Mapping[str, int]) -> list[Finding]:
    """Find classes of very different size; ``training`` holds samples after the cuts by label."""
    counts = {each.name: training.get(each.label, 0) for each in classes}
    if len(counts) < 2 or min(counts.values()) * MAX_CLASS_RATIO >= max(counts.values()):
        return []
    text = (
        f"The classes are not balanced: {join(f'{n:,} {name}' for name, n in counts.items())} to "
        "train on. CTLearn weights them; sampling.balance: classes draws as many of each."
    )
    return [Finding("hint", "balance", text)]


def share(n: int, total: int) -> str:
    """Write the share in percent, never rounded to nothing."""
    percent = 100 * n / max(total, 1)
    return f"{percent:.2g} %" if percent < 10 else f"{percent:.0f} %"


def join(values: Iterable[Any]) -> str:
    """Name the first few values, and how many there are."""
    texts = [str(value) for value in values]
    shown = ", ".join(texts[:_MAX_NAMED])
    return shown if len(texts) <= _MAX_NAMED else f"{shown} and {len(texts) - _MAX_NAMED} more"

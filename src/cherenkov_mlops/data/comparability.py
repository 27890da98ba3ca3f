"""Whether classes differ in more than the particle, and test files from those trained on."""

from collections.abc import Sequence

from cherenkov_mlops.data.findings import DataClass, Finding, join

#: Zenith angles nearer than this count as one [deg].
SAME_ZENITH_DEG = 1.0
#: Azimuths nearer than this count as one [deg]; near the zenith all do.
SAME_AZIMUTH_DEG = 5.0
NEAR_ZENITH_DEG = 3.0
#: Ends of energy ranges farther apart than this factor are more than the usual difference of
#: light yield between particles.
MAX_ENERGY_RATIO = 3.0
#: Relative differences below this are rounding.
SAME_SETTING = 0.01
#: Relative differences of radii below this do no harm.
SAME_RADIUS = 0.1

type Pointing = tuple[float, float]


def class_findings(classes: Sequence[DataClass]) -> list[Finding]:
    """Find what a classifier could learn instead of the particle, for two classes."""
    found = []
    for each in classes:
        if len({production.settings for production in each.productions}) > 1:
            text = (
                f"The files of the class '{each.name}' were simulated with "
                f"{len(each.productions)} different settings (spectrum, energies, cone or disk)."
            )
            found.append(Finding("hint", "spectrum", text))
    if len(classes) < 2:
        return found
    first, second = classes
    found += _pointing_findings(first, second)
    if first.has_showers and second.has_showers:
        found += [*_spectrum_findings(first, second), *_place_findings(first, second)]
    return found


def training_findings(trained: Sequence[DataClass], tested: Sequence[DataClass]) -> list[Finding]:
    """Find where test files leave what the network was trained on."""
    known = [pair for each in trained for pair in each.pointings]
    # Manifests of older versions do not know.
    if not known:
        return []
    found = []
    unseen = _unmatched([pair for each in tested for pair in each.pointings], known, _same_zenith)
    if unseen:
        text = (
            f"The test files point at zenith {_zeniths(unseen)}, where the network was never "
            f"trained (zenith {_zeniths(known)}): energies and scores will be off."
        )
        found.append(Finding("warning", "pointing", text))
    before = {each.label: each for each in trained}
    for after in tested:
        if after.label not in before:
            continue
        new = sorted(set(after.particles) - set(before[after.label].particles))
        if new:
            text = (
                f"The test files of the class '{after.name}' hold {join(new)}, of which the "
                "network saw none in training."
            )
            found.append(Finding("warning", "particle", text))
    return found


def _pointing_findings(first: DataClass, second: DataClass) -> list[Finding]:
    pairs = [(first, second), (second, first)]
    alone = [(a, _unmatched(a.pointings, b.pointings, _same_zenith)) for a, b in pairs]
    if all(rest and len(rest) == len(each.pointings) for each, rest in alone):
        text = (
            f"'{first.name}' was simulated at zenith {_zeniths(first.pointings)}, "
            f"'{second.name}' at {_zeniths(second.pointings)}: showers from nearer to the horizon "
            "make smaller and fainter images, so a classifier learns the pointing and not the "
            "particle, and all its metrics are too good. Use files of the same pointing."
        )
        return [Finding("failure", "pointing", text)]
    found = [
        Finding(
            "warning",
            "pointing",
            f"Zenith {_zeniths(rest)} is in the files of '{each.name}' only: there, images tell "
            "the pointing and with it the class. Leave these files out, or add the other class.",
        )
        for each, rest in alone
        if rest
    ]
    if found:
        return found
    return [
        Finding(
            "warning",
            "pointing",
            f"Azimuth {join(f'{azimuth:g}' for _, azimuth in rest)} deg is in the files of "
            f"'{each.name}' only: the magnetic field spreads showers differently there, which a "
            "classifier can learn in place of the particle.",
        )
        for each, rest in [(a, _unmatched(a.pointings, b.pointings, _same_place)) for a, b in pairs]
        if rest
    ]


def _same_zenith(one: Pointing, other: Pointing) -> bool:
    return abs(one[0] - other[0]) <= SAME_ZENITH_DEG


def _same_place(one: Pointing, other: Pointing) -> bool:
    apart = abs((one[1] - other[1] + 180) % 360 - 180)
    return _same_zenith(one, other) and (
        apart <= SAME_AZIMUTH_DEG or max(one[0], other[0]) <= NEAR_ZENITH_DEG
    )


def _unmatched(pointings: Sequence[Pointing], others: Sequence[Pointing], same) -> list[Pointing]:
    return [one for one in pointings if not any(same(one, other) for other in others)]


def _zeniths(pointings: Sequence[Pointing]) -> str:
    return join(f"{zenith:g}" for zenith in sorted({pair[0] for pair in pointings})) + " deg"


def _spectrum_findings(first: DataClass, second: DataClass) -> list[Finding]:
    """Find differences of the spectral index and of the range of energies."""
    found = []
    indices = [each.extremes("spectral_index") for each in (first, second)]
    if max(abs(a - b) for a, b in zip(*indices, strict=True)) > SAME_SETTING:
        shown = [join(f"{value:g}" for value in sorted({*pair})) for pair in indices]
        text = (
            f"'{first.name}' was thrown with spectral index {shown[0]}, '{second.name}' with "
            f"{shown[1]}: one class has more faint images than the other, so a classifier can "
            "learn brightness in place of the particle; sampling.balance: energy evens it out."
        )
        found.append(Finding("warning", "spectrum", text))
    ranges = [
        (each.extremes("energy_min_tev")[0], each.extremes("energy_max_tev")[1])
        for each in (first, second)
    ]
    ratio = max(max(a, b) / max(min(a, b), 1e-9) for a, b in zip(*ranges, strict=True))
    if ratio > 1 + SAME_SETTING:
        shown = [f"{low:g} to {high:g} TeV" for low, high in ranges]
        text = f"'{first.name}' was thrown from {shown[0]}, '{second.name}' from {shown[1]}: "
        if ratio > MAX_ENERGY_RATIO:
            text += (
                "where only one class has events, a classifier can learn the energy in place of "
                "the particle; cut on the intensity, or use files of the same range."
            )
        else:
            text += "usual, as the particles yield different amounts of light; see the intensities."
        level = "warning" if ratio > MAX_ENERGY_RATIO else "hint"
        found.append(Finding(level, "spectrum", text))
    return found


def _place_findings(first: DataClass, second: DataClass) -> list[Finding]:
    """Find differences of the cone and of the disk that showers were thrown into."""
    found = []
    cones = [
        max(production.viewcone_deg[1] for production in each.productions)
        for each in (first, second)
    ]
    if not _same_radius(*cones):
        shown = [
            f"from a cone of {value:g} deg" if value else "from one direction" for value in cones
        ]
        text = (
            f"Showers of '{first.name}' come {shown[0]}, those of '{second.name}' {shown[1]}: a "
            "classifier can learn where in the camera an image lies in place of the particle. "
            "Train on diffuse showers of both classes."
        )
        found.append(Finding("warning", "direction", text))
    radii = [each.extremes("scatter_radius_m")[1] for each in (first, second)]
    if not _same_radius(*radii):
        text = (
            f"Cores of '{first.name}' were thrown up to {radii[0]:g} m, those of '{second.name}' "
            f"up to {radii[1]:g} m: compare the distances of the cores after the cuts."
        )
        found.append(Finding("hint", "core", text))
    return found


def _same_radius(one: float, other: float) -> bool:
    return abs(one - other) <= SAME_RADIUS * max(one, other)

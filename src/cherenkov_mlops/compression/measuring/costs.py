"""What each form of a model costs, measured."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cherenkov_mlops.compression.measuring.processes import measure_apart
from cherenkov_mlops.compression.packing import packed_size
from cherenkov_mlops.forms import parts_of
from cherenkov_mlops.models.cost import file_sizes, sizes_without_optimizer
from cherenkov_mlops.models.keras_model import load_model_file

NETWORK = "cherenkov_mlops.compression.measuring.network_process"
WHOLE_PATH = "cherenkov_mlops.compression.measuring.whole_path"
SECONDS = 1.0
BATCH_SIZE = 64


@dataclass(frozen=True)
class Speed:
    """How fast a network is on some processors.

    Parameters
    ----------
    latency_ms : float
        Median time for one image.
    throughput_hz : float
        Images a second in batches of 64.
    peak_memory_mb : float
        Largest resident memory of a process (VmHWM; Python and the engine included) that has
        loaded the network and predicted single images.
    """

    latency_ms: float
    throughput_hz: float
    peak_memory_mb: float


@dataclass(frozen=True)
class Costs:
    """What one form of a model costs.

    Parameters
    ----------
    form : str
        ``keras``, or one of ``forms.FORMS``.
    sha256 : str
        Digest of its file: costs are of no other.
    size_mb, zipped_mb : float
        Of its file without optimizer state, as it is and deflated.
    one_core, all_cores : Speed
        On one processor and on all of this process.
    packed_mb : float or None
        Of a Keras model in the packed form.
    """

    form: str
    sha256: str
    size_mb: float
    zipped_mb: float
    one_core: Speed
    all_cores: Speed
    packed_mb: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Costs":
        """The inverse of ``as_dict``."""
        speeds = {name: Speed(**content[name]) for name in ("one_core", "all_cores")}
        return cls(**content | speeds)

    def facts(self) -> dict[str, float]:
        """Facts of a run for ``metrics.json``: those of one processor, and the packed size."""
        packed = {} if self.packed_mb is None else {"model_size_packed_mb": self.packed_mb}
        return asdict(self.one_core) | packed


def measure_costs(
    form: str, path: Path, shape: tuple[int, ...], custom_code: Path | None = None
) -> Costs:
    """Measure size, speed and memory of the network in a file.

    Parameters
    ----------
    form : str
        ``keras``, or one of ``forms.FORMS``.
    path : Path
        The file.
    shape : tuple of int
        Height, width, channels of its images.
    custom_code : Path, optional
        Python file that the Keras model is made by.
    """
    is_keras = path.suffix == ".keras"
    packed_mb = None
    if is_keras:
        model = load_model_file(path)
        size, zipped = sizes_without_optimizer(model)
        packed_mb = packed_size(model) / 1e6
    else:
        size, zipped = file_sizes(path)
    speeds = [measure_speed(path, shape, custom_code, one_core=one) for one in (True, False)]
    return Costs(form, digest_of_model(path), size / 1e6, zipped / 1e6, *speeds, packed_mb)


def measure_speed(
    path: Path,
    shape: tuple[int, ...],
    custom_code: Path | None = None,
    *,
    one_core: bool,
    seconds: float = SECONDS,
    batch_size: int = BATCH_SIZE,
    by_predict: bool = False,
) -> Speed:
    """Measure speed and memory of the network in a file; see ``measure_costs``."""
    request = {
        "path": str(path),
        "shape": list(shape),
        "custom_code": str(custom_code) if custom_code else None,
        "seconds": seconds,
        "batch_size": batch_size,
        "by_predict": by_predict,
    }
    return Speed(**measure_apart(NETWORK, request, one_core=one_core))


def measure_paths(
    run: Path, models: dict[str, Path], seconds: float = SECONDS
) -> dict[str, dict[int, float]]:
    """Measure the whole path on one processor: images a second by name of the model and batch size.

    Parameters
    ----------
    run : Path
        Folder of the run whose training images are read.
    models : dict of str to Path
        Name -> file of a network.
    seconds : float
        Time of each measurement.
    """
    request = {
        "run": str(run),
        "models": {name: str(path) for name, path in models.items()},
        "seconds": seconds,
    }
    found = measure_apart(WHOLE_PATH, request, one_core=True)
    return {name: {int(n): rate for n, rate in rates.items()} for name, rates in found.items()}


def digest_of_model(path: Path) -> str:
    """Digest of the file, or files, of a model."""
    digest = hashlib.sha256()
    for part in parts_of(path):
        digest.update(part.read_bytes())
    return digest.hexdigest()

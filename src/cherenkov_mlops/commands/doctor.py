"""``doctor``: whether this machine, its packages, its cluster and the data are fit for the work."""

import os
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cherenkov_mlops.cluster import slurm
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.checks import find_in_training_files
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.durations import format_duration
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.provenance import machine, package_versions
from cherenkov_mlops.training.devices import loaded_driver, try_gpus
from cherenkov_mlops.training.estimating import estimate_training

type Mark = Literal["ok", "warning", "bad"]

SHOWN = ("python", "tensorflow", "keras", "ctlearn", "dl1-data-handler", "ctapipe", "numpy")
LEAST_FILES = 4096
LEAST_DISK_GB = 10


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Parameters
    ----------
    what, said : str
        What it is, and how it is.
    mark : {"ok", "warning", "bad"}
        Whether the work can be done: yes; with something to know; no.
    """

    what: str
    said: str
    mark: Mark = "ok"


def run(
    *, gpu: bool = False, cluster: bool = False, config: RunConfig | None = None
) -> Iterator[Check]:
    """What was found, one after the other.

    Parameters
    ----------
    gpu, cluster : bool
        Whether to look for GPUs, and for SLURM.
    config : RunConfig, optional
        Run whose data are checked and whose training is estimated.
    """
    checks: list[Callable[[], Iterator[Check]]] = [
        check_versions,
        check_environment,
        check_machine,
        lambda: check_disks(config),
    ]
    if gpu:
        checks.append(check_gpus)
    if cluster:
        checks.append(check_cluster)
    if config is not None:
        checks.append(lambda: check_data(config))
    for check in checks:
        yield from check()


def check_versions(installed: dict[str, str] | None = None) -> Iterator[Check]:
    """Versions, and pairs of them that are known not to work together."""
    found = {name.replace("_", "-"): value for name, value in package_versions().items()}
    found |= installed or {}
    yield Check("versions", ", ".join(f"{name} {found.get(name, '-')}" for name in SHOWN))
    if found.get("dl1-data-handler", "").startswith("0.14.11"):
        yield Check(
            "dl1_data_handler 0.14.11",
            "works here; CTLearn's own commands need dl1_data_handler==0.14.10",
            "warning",
        )
    if not found.get("keras", "3").startswith("3"):
        said = f"expected Keras 3, got {found['keras']}: pip install 'keras>=3.8'"
        yield Check("keras", said, "bad")


def check_environment() -> Iterator[Check]:
    """Environment variables that change what TensorFlow does."""
    if os.environ.get("TF_USE_LEGACY_KERAS", "0") not in ("", "0"):
        said = "TensorFlow would use Keras 2, which cannot read these models: unset it"
        yield Check("TF_USE_LEGACY_KERAS", said, "bad")
    paths = os.environ.get("LD_LIBRARY_PATH", "")
    if "cuda" in paths.lower():
        said = "goes before the libraries that TensorFlow brings; unset it if no GPU is found"
        yield Check("LD_LIBRARY_PATH", f"{paths}: {said}", "warning")


def check_machine() -> Iterator[Check]:
    """Processors, memory, files that may be open at once."""
    about = machine()
    usable = len(os.sched_getaffinity(0))
    said = f"{about['processor']}, {usable} of {about['cpus']} processors, {about['memory_gb']} GB"
    yield Check("machine", said)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_low = 0 <= soft < LEAST_FILES
    hint = f"; write ulimit -n {hard} first if there are many input files" if is_low else ""
    yield Check("open files", f"{soft}{hint}", "warning" if is_low else "ok")


def check_disks(config: RunConfig | None) -> Iterator[Check]:
    """Free space where runs and temporary files are written."""
    places = {"disk of temporary files": Path(tempfile.gettempdir())}
    places["disk of runs"] = config.run.dir if config else Path.cwd()
    for what, path in places.items():
        there = next(each for each in (path, *path.absolute().parents) if each.exists())
        free_gb = shutil.disk_usage(there).free / 1e9
        mark: Mark = "ok" if free_gb >= LEAST_DISK_GB else "warning"
        yield Check(what, f"{there}: {free_gb:.0f} GB free", mark)


def check_gpus() -> Iterator[Check]:
    """The driver and each GPU, with a matrix product on it."""
    gpus = try_gpus()
    driver = loaded_driver()
    if driver is not None:
        yield Check("CUDA driver", str(driver))
    if not gpus:
        said = "none that TensorFlow can use; in a container write --nv, in a job ask for --gpus=1"
        yield Check("GPU", said, "bad")
    for device in gpus:
        memory = f", {device.memory_gb:.1f} GB" if device.memory_gb else ""
        yield Check("GPU", f"{device.name}{memory}: matrix product {device.tflops:.1f} TFLOP/s")


def check_cluster() -> Iterator[Check]:
    """Partitions and their limits."""
    try:
        partitions = slurm.read_partitions()
    except UserError as error:
        yield Check("SLURM", str(error), "bad")
        return
    for each in dict.fromkeys(partitions):
        limit = (
            "no time limit" if each.seconds is None else f"at most {format_duration(each.seconds)}"
        )
        said = f"{limit}; nodes of {each.cpus} processors, {each.memory_mb / 1000:.0f} GB"
        gpus = f", {each.gpus} GPUs" if each.gpus else ""
        default = " (default)" if each.is_default else ""
        yield Check(f"partition {each.name}{default}", said + gpus)


def check_data(config: RunConfig) -> Iterator[Check]:
    """What prepare would find in the files, and what an epoch would take."""
    try:
        inputs = inspect_inputs(config, "train")
        for finding in find_in_training_files(config, inputs):
            yield Check("data", finding.text, "warning")
        estimate = estimate_training(config, inputs)
    except UserError as error:
        yield Check("data", str(error), "bad")
        return
    yield Check(
        "an epoch",
        f"about {format_duration(estimate.epoch_s)}: {estimate.n_events} events in "
        f"{estimate.n_steps} steps; a step reads for {1e3 * estimate.reading_s:.0f} ms (less with "
        f"the pixel cache) beside {1e3 * estimate.network_s:.0f} ms of the network",
    )
    yield Check("memory", f"{estimate.memory_gb:.1f} GB so far")

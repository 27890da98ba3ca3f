"""Small simulated data sets and runs that many tests share."""

from pathlib import Path
from typing import Any

import numpy as np

from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.data.checks import with_findings
from cherenkov_mlops.data.description import describe_data
from cherenkov_mlops.data.inputs import inspect_inputs
from cherenkov_mlops.data.manifest import Counts, Manifest
from cherenkov_mlops.run_dir import RunDir

TINY_MODEL = {
    "type": "SingleCNN",
    "architecture": [{"filters": 4, "kernel_size": 3, "number": 1}] * 2,
    "attention_mechanism": None,
    "head_layers": {
        "type": [8, 2],
        "energy": [8, 1],
        "cameradirection": [8, 2],
        "skydirection": [8, 2],
    },
}


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over``, section by section."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = merge(base[key], value) if both else value
    return merged


def study(task: str, files: dict[str, Path], **over: Any) -> dict[str, Any]:
    """A configuration of a tiny run on the files, as the content of a YAML file."""
    stereo = task == "skydirection"
    sides = ("signal", "background") if task == "type" else ("signal",)
    particles = {"signal": "gamma", "background": "proton"}
    content = {
        "run": {"name": f"tiny_{task}", "dir": "runs", "seed": 3},
        "task": task,
        "data": {
            part: {side: str(files[f"{particles[side]}_{part}"]) for side in sides}
            for part in ("train", "test")
        }
        | {
            "image_mapper_type": "ShiftingMapper",
            "mode": "stereo" if stereo else "mono",
            "stack_telescope_images": stereo,
            "min_telescopes": 2 if stereo else 1,
        },
        "model": TINY_MODEL,
        "train": {
            "n_epochs": 2,
            "batch_size": 32,
            "validation_split": 0.2,
            "optimizer": {"name": "Adam", "base_learning_rate": 0.003, "adam_epsilon": 1e-8},
        },
        "test": {"energy_min_tev": 1, "energy_max_tev": 100, "n_bootstrap": 20},
    }
    return merge(content, over)


def write_study(folder: Path, content: dict[str, Any], name: str = "study.yaml") -> Path:
    """The YAML file, written to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(to_yaml(content), encoding="utf-8")
    return path


def load_study(folder: Path, content: dict[str, Any]) -> tuple[RunConfig, RunDir]:
    """Configuration and run folder of the study, written to ``folder`` and read back."""
    config = load_config(write_study(folder, content))
    return config, RunDir(config.run_path)


def describe_files(config: RunConfig) -> dict[str, Any]:
    """Content of ``prepare/data.json`` without the network: the split is made up."""
    inputs = inspect_inputs(config, "train")
    sets = {
        name: dict.fromkeys(inputs.files, n) for name, n in (("training", 80), ("validation", 20))
    }
    cuts = [{"cut": "images in the files", **dict.fromkeys(inputs.files, 120)}]
    counts = Counts(cuts, sets, [], {}, {})
    rows = np.arange(1)
    manifest = with_findings(config, Manifest(inputs, counts, (1,), "", rows, rows))
    return describe_data(config, inputs, manifest.classes, counts, manifest.findings)

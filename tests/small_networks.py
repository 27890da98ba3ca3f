"""Untrained networks of every kind, small."""

import keras
import numpy as np

import cherenkov_mlops.models.template as template
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.models.keras_model import build_model

SHAPE = (16, 16, 2)
BLOCKS = [{"filters": 8, "blocks": 1}] * 2
LAYERS = [{"filters": 8, "kernel_size": 3, "number": 1}] * 2
HEAD = {"head_layers": {"energy": [8, 1]}}
PLAIN, DUAL = (
    {"attention_mechanism": None},
    {"attention_mechanism": "Dual-SE", "attention_reduction_ratio": 2},
)
RESNET = {"type": "ResNet", "architecture": BLOCKS}
MODELS = {
    "SingleCNN": {"type": "SingleCNN", "architecture": LAYERS, "batchnorm": True} | PLAIN | HEAD,
    "basic": RESNET | {"residual_block_type": "basic"} | PLAIN | HEAD,
    "bottleneck": RESNET | DUAL | HEAD,
    "custom": {
        "type": "custom",
        "file": template.__file__,
        "class": "TemplateModel",
        "options": {"filters": [8, 8]},
    }
    | HEAD,
}


def build(kind: str, **options) -> keras.Model:
    """Model for the energy, by its key; options take the place of its own."""
    files = {"signal": ["unused.h5"]}
    config = RunConfig.model_validate(
        {
            "run": {"name": "unused"},
            "task": "energy",
            "data": {"train": files, "test": files},
            "model": MODELS[kind] | options,
        }
    )
    return build_model(config, SHAPE)


def noise(n_images: int = 5) -> np.ndarray:
    """Images that no network has seen."""
    return np.random.default_rng(0).normal(size=(n_images, *SHAPE)).astype(np.float32)


def energies(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The model's output."""
    return np.asarray(model(images, training=False)["energy"])

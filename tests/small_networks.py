"""A network of each kind, small enough for tests."""

import cherenkov_mlops.engine.models.template as template

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

"""The network of the benchmarks: small, so that what surrounds it counts."""

SMALL_CNN = {
    "type": "SingleCNN",
    "architecture": [{"filters": 4, "kernel_size": 3, "number": 1}] * 2,
    "attention_mechanism": None,
    "head_layers": {"type": [8, 2], "energy": [8, 1], "cameradirection": [8, 2]},
}

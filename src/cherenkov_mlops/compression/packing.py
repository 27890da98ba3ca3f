"""Writing of packed networks, in the format of ``models.packed``: for archives and slow links."""

import json
import struct
import tempfile
from pathlib import Path

import keras
import numpy as np
import zstandard

from cherenkov_mlops.compression.pruning.kernels import find_kernels
from cherenkov_mlops.models.packed import MAGIC, SIZES, SKIP
from cherenkov_mlops.run_dir import atomic_path

LEVEL = 19
LARGEST = 127


def pack_model(model: keras.Model, path: Path) -> Path:
    """Write the model with kernels of 8 bit to ``path``, whole or not at all, and return it.

    ``unpack_model`` gives the rounded kernels back bit by bit, zeros among them, and all other
    weights as they were.
    """
    kernels = {kernel.path for kernel in find_kernels(model, with_last=True).values()}
    weights, values, gaps, others = [], [], [], []
    for weight in model.weights:
        array = np.asarray(weight, dtype=np.float32)
        is_packed = weight.path in kernels and array.ndim > 1
        weights.append({"shape": array.shape, "packed": is_packed})
        if not is_packed:
            others.append(array.tobytes())
            continue
        rounded, scale = round_kernel(array)
        others.append(scale.tobytes())
        values.append(rounded[rounded != 0].tobytes())
        gaps.append(encode_gaps(np.flatnonzero(rounded)))
        weights[-1] |= {"n": len(values[-1]), "gaps": len(gaps[-1])}
    header = json.dumps({"model": model.to_json(), "weights": weights}).encode()
    compressor = zstandard.ZstdCompressor(LEVEL, write_checksum=True)
    streams = (header, b"".join(values), b"".join(gaps), b"".join(others))
    pieces = [compressor.compress(stream) for stream in streams]
    with atomic_path(path) as temporary:
        sizes = struct.pack(SIZES, *map(len, pieces))
        temporary.write_bytes(MAGIC + sizes + b"".join(pieces))
    return path


def packed_size(model: keras.Model) -> int:
    """Bytes of the file that ``pack_model`` would write."""
    with tempfile.TemporaryDirectory() as folder:
        return pack_model(model, Path(folder) / "model.packed").stat().st_size


def round_kernel(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round to numbers of -127 to 127, with a scale for each output channel."""
    largest = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)))
    scale = (np.where(largest > 0, largest, 1) / LARGEST).astype(np.float32)
    return np.round(kernel / scale).astype(np.int8), scale


def encode_gaps(places: np.ndarray) -> bytes:
    """Count the zeros before each place in a byte; in more of them where there are many."""
    gaps = np.diff(places, prepend=-1) - 1
    counts = gaps // SKIP + 1
    encoded = np.full(counts.sum(), SKIP, dtype=np.uint8)
    encoded[np.cumsum(counts) - 1] = gaps % SKIP
    return encoded.tobytes()

"""A Keras model in the fewest bytes: for archives and slow links.

The file holds, compressed by Zstandard with a checksum, a JSON header (the model's configuration;
name, shape and kind of each weight) and three streams: kernels as signed 8-bit numbers with one
scale an output channel, zeros left out; the distances between those that are not zero; and
everything else (scales, biases, normalisations) as it is.
"""

import json
import struct
import tempfile
from pathlib import Path

import keras
import numpy as np
import zstandard

from cherenkov_mlops.compression.pruning.kernels import find_kernels
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.run_dir import atomic_path

MAGIC = b"CMPACK1\n"
LEVEL = 19
LARGEST = 127
#: A byte that says: 255 more zeros, and on.
SKIP = 255


def pack_model(model: keras.Model, path: Path) -> Path:
    """``path``, holding the model with kernels of 8 bit; whole or not there at all.

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
        rounded, scale = _round(array)
        others.append(scale.tobytes())
        values.append(rounded[rounded != 0].tobytes())
        gaps.append(_encode_gaps(np.flatnonzero(rounded)))
        weights[-1] |= {"n": len(values[-1]), "gaps": len(gaps[-1])}
    header = json.dumps({"model": model.to_json(), "weights": weights}).encode()
    compressor = zstandard.ZstdCompressor(LEVEL, write_checksum=True)
    streams = (header, b"".join(values), b"".join(gaps), b"".join(others))
    pieces = [compressor.compress(stream) for stream in streams]
    with atomic_path(path) as temporary:
        sizes = struct.pack(f"<{len(pieces)}Q", *map(len, pieces))
        temporary.write_bytes(MAGIC + sizes + b"".join(pieces))
    return path


def packed_size(model: keras.Model) -> int:
    """Bytes of the file that ``pack_model`` would write."""
    with tempfile.TemporaryDirectory() as folder:
        return pack_model(model, Path(folder) / "model.packed").stat().st_size


def unpack_model(path: Path) -> keras.Model:
    """The model in a file of ``pack_model``.

    Raises
    ------
    DataError
        The file is another one, or damaged.
    """
    content = path.read_bytes()
    if not content.startswith(MAGIC):
        raise DataError(f"{path}: expected a packed model, got another file")
    try:
        header, *streams = _split(content)
        facts = json.loads(header)
        model = keras.models.model_from_json(facts["model"])
        model.set_weights(_read_weights(facts["weights"], *streams))
    except (zstandard.ZstdError, struct.error, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: damaged ({error}); copy or make it again") from error
    return model


def _split(content: bytes) -> list[bytes]:
    layout = "<4Q"
    start = len(MAGIC) + struct.calcsize(layout)
    pieces = []
    for size in struct.unpack_from(layout, content, len(MAGIC)):
        pieces.append(zstandard.ZstdDecompressor().decompress(content[start : start + size]))
        start += size
    return pieces


def _read_weights(weights: list[dict], values: bytes, gaps: bytes, others: bytes) -> list:
    arrays, at = [], {"values": 0, "gaps": 0, "others": 0}

    def take(stream: bytes, name: str, n: int, dtype: type) -> np.ndarray:
        taken = np.frombuffer(stream, dtype, n, at[name])
        at[name] += taken.nbytes
        return taken

    for each in weights:
        shape = tuple(each["shape"])
        if not each["packed"]:
            array = take(others, "others", int(np.prod(shape, dtype=int)), np.float32)
            arrays.append(array.reshape(shape))
            continue
        scale = take(others, "others", shape[-1], np.float32)
        rounded = np.zeros(int(np.prod(shape)), dtype=np.int8)
        places = _decode_gaps(take(gaps, "gaps", each["gaps"], np.uint8))
        rounded[places] = take(values, "values", each["n"], np.int8)
        arrays.append(rounded.reshape(shape) * scale)
    return arrays


def _round(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of -127 to 127, and the scale of each output channel."""
    largest = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)))
    scale = (np.where(largest > 0, largest, 1) / LARGEST).astype(np.float32)
    return np.round(kernel / scale).astype(np.int8), scale


def _encode_gaps(places: np.ndarray) -> bytes:
    """Number of zeros before each place, one byte; more of them where there are many."""
    gaps = np.diff(places, prepend=-1) - 1
    counts = gaps // SKIP + 1
    encoded = np.full(counts.sum(), SKIP, dtype=np.uint8)
    encoded[np.cumsum(counts) - 1] = gaps % SKIP
    return encoded.tobytes()


def _decode_gaps(encoded: np.ndarray) -> np.ndarray:
    """The places, from what ``_encode_gaps`` made of them."""
    ends = np.flatnonzero(encoded != SKIP)
    return np.cumsum(encoded, dtype=np.int64)[ends] + np.arange(len(ends))

"""Reading of packed networks: a Keras model in the fewest bytes.

The file holds, compressed by Zstandard with a checksum, a JSON header (the model's configuration;
name, shape and kind of each weight) and three streams: kernels as signed 8-bit numbers with one
scale an output channel, zeros left out; the distances between those that are not zero; and
everything else (scales, biases, normalisations) as it is. ``compression.packing`` writes it.
"""

import json
import struct
from pathlib import Path

import keras
import numpy as np
import zstandard

from cherenkov_mlops.errors import DataError

MAGIC = b"CMPACK1\n"
#: Sizes of header and streams.
SIZES = "<4Q"
#: A byte that says: 255 more zeros, and on.
SKIP = 255


def unpack_model(path: Path) -> keras.Model:
    """Read the model in a packed file.

    Raises
    ------
    DataError
        The file is another one, or damaged.
    """
    content = path.read_bytes()
    if not content.startswith(MAGIC):
        raise DataError(f"{path}: expected a packed model, got another file")
    try:
        start, pieces = len(MAGIC) + struct.calcsize(SIZES), []
        for size in struct.unpack_from(SIZES, content, len(MAGIC)):
            pieces.append(zstandard.ZstdDecompressor().decompress(content[start : start + size]))
            start += size
        header, *streams = pieces
        facts = json.loads(header)
        model = keras.models.model_from_json(facts["model"])
        model.set_weights(_read_weights(facts["weights"], *streams))
    except (zstandard.ZstdError, struct.error, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: damaged ({error}); copy or make it again") from error
    return model


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
        places = decode_gaps(take(gaps, "gaps", each["gaps"], np.uint8))
        rounded[places] = take(values, "values", each["n"], np.int8)
        arrays.append(rounded.reshape(shape) * scale)
    return arrays


def decode_gaps(encoded: np.ndarray) -> np.ndarray:
    """Places of the numbers that are not zero, from the bytes that count the zeros before each."""
    ends = np.flatnonzero(encoded != SKIP)
    return np.cumsum(encoded, dtype=np.int64)[ends] + np.arange(len(ends))

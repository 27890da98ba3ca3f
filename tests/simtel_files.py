"""Simulation files rewritten block by block: other particles, other runs, fewer events."""

import gzip
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import zstandard

SHOWER, EVENT, ARRAY_EVENT, HISTOGRAMS = 2020, 2021, 2010, 100
#: Blocks between the headers and the histograms: all that belongs to showers.
SHOWER_BLOCKS = {SHOWER, EVENT, ARRAY_EVENT, 2023, 2026, 1200, 1201, 1202, 1203, 1204, 1205}
EXTENDED, SIZE = 1 << 17, (1 << 30) - 1

Block = tuple[int, bytes]


def unpack(path: Path) -> bytes:
    """Content of a simtel file."""
    if path.suffix == ".zst":
        with path.open("rb") as stream:
            return zstandard.ZstdDecompressor().stream_reader(stream).read()
    with gzip.open(path) as stream:
        pieces = []
        try:
            while piece := stream.read(1 << 20):
                pieces.append(piece)
        except EOFError:  # A file that was cut.
            pass
        return b"".join(pieces)


def blocks(content: bytes) -> Iterator[Block]:
    """Type and bytes, header included, of the blocks on top level."""
    start = 0
    while start + 16 <= len(content):
        _, kind, _, length = struct.unpack_from("<4I", content, start)
        head = 20 if kind & EXTENDED else 16
        size = length & SIZE
        if kind & EXTENDED:
            size |= (struct.unpack_from("<I", content, start + 16)[0] & 0xFFF) << 30
        end = start + head + size
        if end > len(content):
            return
        yield kind & 0xFFFF, content[start:end]
        start = end


def write_simtel(path: Path, parts: Iterator[Block] | list[Block]) -> Path:
    """``path``, a gzipped simtel file of the blocks."""
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for _, content in parts:
            stream.write(content)
    return path


def rewrite(source: Path, target: Path, change: Callable[[Block], Block | None]) -> Path:
    """``target``, with each block of ``source`` changed, or left out where None comes back."""
    changed = (change(block) for block in blocks(unpack(source)))
    return write_simtel(target, [block for block in changed if block is not None])


def without_events(block: Block) -> Block | None:
    """For ``rewrite``: the block, unless it belongs to a shower."""
    return None if block[0] in SHOWER_BLOCKS else block


def with_particle(number: int) -> Callable[[Block], Block]:
    """For ``rewrite``: showers of another particle."""

    def change(block: Block) -> Block:
        kind, content = block
        if kind != SHOWER:
            return block
        return kind, content[:16] + struct.pack("<i", number) + content[20:]

    return change


def keep_events(n_events: int) -> Callable[[Block], Block | None]:
    """For ``rewrite``: no more than so many triggered events."""
    seen = 0

    def change(block: Block) -> Block | None:
        nonlocal seen
        seen += block[0] == ARRAY_EVENT
        return None if block[0] in SHOWER_BLOCKS and seen > n_events else block

    return change

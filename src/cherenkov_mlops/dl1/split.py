"""Training and validation sets that share no shower."""

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from astropy.table import Table
from sklearn.model_selection import GroupShuffleSplit

from cherenkov_mlops.data.paths import IMAGE_KEYS
from cherenkov_mlops.dl1.reader import BatchReader
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.tasks import TASKS


def shower_groups(events: Table, reuse: dict[int, int]) -> np.ndarray:
    """Number of the shower that each row belongs to, shape (n,).

    Parameters
    ----------
    events : Table
        Columns ``file_index``, ``obs_id``, ``event_id``.
    reuse : dict of int to int
        ``obs_id`` -> how often each simulated shower was used. sim_telarray numbers events as
        100 x shower + use, so uses of one shower differ in the last two digits only.
    """
    obs_id, event_id = np.asarray(events["obs_id"]), np.asarray(events["event_id"])
    reused = np.isin(obs_id, [number for number, times in reuse.items() if times > 1])
    shower = np.where(reused, event_id // 100, event_id)
    # With the file: runs of different productions may have the same number.
    keys = np.stack([np.asarray(events["file_index"]), obs_id, shower], axis=1)
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)


def split_events(
    reader: BatchReader, share: float, by: Literal["event", "file"], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training and of the validation set, each sorted; no shower is in both.

    Each class is split on its own, so that both sets hold both classes.

    Parameters
    ----------
    reader : BatchReader
        Open reader.
    share : float
        Share of the showers (or files) for validation.
    by : {"event", "file"}
        What is kept together.
    seed : int
        Seed of the random choice.

    Raises
    ------
    DataError
        A class has a single shower (or file), which cannot be in both sets.
    """
    events = examples_of(reader)
    by_file = by == "file"
    groups = (
        np.asarray(events["file_index"]) if by_file else shower_groups(events, reader.shower_reuse)
    )
    classes = np.asarray(events["true_shower_primary_class"])
    validation = np.zeros(len(events), dtype=bool)
    # Class by class: with few showers, a common draw could leave a class out of the validation.
    for number in np.unique(classes):
        rows = np.flatnonzero(classes == number)
        validation[rows[_choose_groups(groups[rows], share, by, seed)]] = True
    return np.flatnonzero(~validation), np.flatnonzero(validation)


def _choose_groups(groups: np.ndarray, share: float, by: str, seed: int) -> np.ndarray:
    """Positions of the rows whose groups go to the validation set."""
    n_groups = len(np.unique(groups))
    if n_groups < 2:
        raise DataError(
            f"train.validation_split: expected at least 2 {by}s of each class to split, got "
            f"{n_groups}; give more files or relax the cuts"
        )
    # Never an empty side, however few showers there are.
    n_validation = min(max(1, round(share * n_groups)), n_groups - 1)
    splitter = GroupShuffleSplit(n_splits=1, test_size=n_validation, random_state=seed)
    return next(splitter.split(groups, groups=groups))[1]


def examples_of(reader: BatchReader) -> Table:
    """One row an example of the reader: a telescope image (mono) or an event (stereo)."""
    is_mono = reader.mode == "mono"
    return reader.example_identifiers if is_mono else reader.unique_example_identifiers


def label_columns(reader: BatchReader, tasks: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns that labels of the tasks are made from: those of the examples, and more if asked for.

    ``tel_x`` and ``tel_y`` [m] are the places of the telescopes in the ground frame (mono).
    """
    events = examples_of(reader)
    columns = {name: events[name] for name in events.colnames}
    if any("tel_x" in TASKS[task].truth for task in tasks):
        places = np.stack(
            [reader.subarray.positions[n].to_value("m")[:2] for n in reader.tel_ids], axis=0
        )
        order = {number: row for row, number in enumerate(reader.tel_ids)}
        rows = [order[number] for number in np.asarray(events["tel_id"]).tolist()]
        columns |= {"tel_x": places[rows, 0], "tel_y": places[rows, 1]}
    return columns


def digest_examples(reader: BatchReader) -> str:
    """Digest of which examples the reader has, in which order: what row numbers refer to."""
    events = examples_of(reader)
    names = [name for name in ("file_index", *IMAGE_KEYS) if name in events.colnames]
    identity = np.stack([np.asarray(events[name], dtype=np.int64) for name in names], axis=1)
    return hashlib.sha256(np.ascontiguousarray(identity).tobytes()).hexdigest()

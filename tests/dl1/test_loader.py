"""The order of events: drawn afresh each epoch, the same for the same seed, nothing forgotten."""

import numpy as np
import pytest
from astropy.table import Table

from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.split import shower_groups
from cherenkov_mlops.errors import DataError


class EchoReader:
    """Stands in for a reader: the features of a row are its number."""

    mode = "mono"
    input_shape = (1,)

    def __init__(self, n_rows):
        self.example_identifiers = Table(
            {
                "true_shower_primary_class": np.arange(n_rows) % 2,
                "log_true_energy": np.arange(n_rows) / n_rows,
            }
        )

    def read_features(self, rows):
        """The rows themselves; row 13 cannot be read."""
        if 13 in rows and len(self.example_identifiers) == 14:
            raise DataError("row 13")
        return np.array(rows)


def make_loader(n_rows=100, batch_size=10, **options):
    """Loader over ``n_rows`` rows of an echoing reader."""
    return SampledLoader(EchoReader(n_rows), np.arange(n_rows), ["energy"], batch_size, **options)


def epoch_rows(loader):
    """Rows of one epoch, in order."""
    return np.concatenate([loader[number][0] for number in range(len(loader))])


def test_without_a_seed_the_order_is_as_given():
    assert np.array_equal(epoch_rows(make_loader(25)), np.arange(25))


@pytest.mark.parametrize("n_rows", [1, 9, 10, 11, 99])
def test_every_row_once_an_epoch(n_rows):
    loader = make_loader(n_rows, seed=1)
    for _ in range(3):
        assert np.array_equal(np.sort(epoch_rows(loader)), np.arange(n_rows))
        loader.on_epoch_end()


def test_order_is_a_function_of_seed_and_epoch():
    loader, again, other = make_loader(seed=1), make_loader(seed=1), make_loader(seed=2)
    first = epoch_rows(loader)
    loader.on_epoch_end()
    second = epoch_rows(loader)
    again.set_epoch(1)
    assert np.array_equal(second, epoch_rows(again))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, epoch_rows(other))


def test_read_ahead_or_not_the_batches_are_the_same():
    ahead, alone = make_loader(seed=1), make_loader(seed=1)
    for epoch in range(2):
        for loader in (ahead, alone):
            loader.set_epoch(epoch)
        # Backwards, nothing is ever read ahead of its use.
        backwards = [alone[number][0] for number in reversed(range(10))][::-1]
        for number in range(10):
            assert np.array_equal(ahead[number][0], backwards[number])


def test_a_new_epoch_forgets_what_was_read_ahead():
    loader, fresh = make_loader(seed=1), make_loader(seed=1)
    loader[0]
    for both in (loader, fresh):
        both.set_epoch(5)
    assert np.array_equal(loader[1][0], fresh[1][0])


def test_what_is_read_ahead_does_not_count_as_seen():
    loader = make_loader(seed=1)
    loader[0]
    assert loader.seen.sum() == 10


def test_an_error_in_the_background_reaches_the_caller():
    loader = make_loader(14, batch_size=7)
    assert len(loader[0][0]) == 7
    with pytest.raises(DataError, match="row 13"):
        loader[1]


def test_weights_follow_their_events():
    loader = make_loader(21, seed=1, class_weight={0: 0.5, 1: 2.0})
    for number in range(len(loader)):
        rows, labels, weights = loader[number]
        assert np.array_equal(weights, np.where(rows % 2, 2.0, 0.5).astype(np.float32))
        assert np.array_equal(labels["energy"], rows[:, None] / 21)


def test_balanced_epochs_count_what_they_draw():
    loader = make_loader(100, seed=1, balance="classes")
    assert loader.count_drawn() == {"background": 50, "signal": 50}
    assert make_loader(100, seed=1).count_drawn() == {}
    assert loader.n_drawn == 100


def test_the_share_never_seen_falls():
    loader = make_loader(seed=1, fraction=0.4)
    shares = [loader.share_never_seen]
    for _ in range(12):
        epoch_rows(loader)
        loader.on_epoch_end()
        shares.append(loader.share_never_seen)
    assert shares[:2] == pytest.approx([1, 0.6])
    assert all(np.diff(shares) <= 0) and shares[-1] < 0.02


def test_no_rows_are_refused():
    with pytest.raises(DataError):
        make_loader(0)


def test_uses_of_one_shower_belong_together():
    events = {
        "file_index": np.array([0, 0, 0, 0, 1]),
        "obs_id": np.array([1, 1, 1, 2, 1]),
        "event_id": np.array([100, 105, 200, 100, 100]),
    }
    reused = shower_groups(events, {1: 10, 2: 1})
    assert len(set(reused)) == 4 and reused[0] == reused[1]
    assert len(set(shower_groups(events, {1: 1, 2: 1}))) == 5

"""The order of events: drawn afresh each epoch, the same for the same seed, nothing forgotten."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import chisquare

from cherenkov_mlops.engine.loader import SampledLoader
from cherenkov_mlops.engine.split import shower_groups
from cherenkov_mlops.errors import DataError


class EchoReader:
    """Stands in for a reader: the features of a row are its number."""

    mode = "mono"
    input_shape = (1,)

    def generate_mono_batch(self, rows):
        """The rows as their own features and labels."""
        return {
            "features": SimpleNamespace(data=np.asarray(rows)),
            "log_true_energy": SimpleNamespace(data=np.asarray(rows, dtype=float)),
        }


def make_loader(n_rows=100, batch_size=10, **options):
    """Loader over ``n_rows`` rows of an echoing reader."""
    return SampledLoader(EchoReader(), np.arange(n_rows), ["energy"], batch_size, **options)


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


def test_a_share_of_the_batches_each_epoch():
    loader = make_loader(seed=1, fraction=0.4)
    drawn = np.zeros((500, 10), dtype=bool)
    for epoch in range(500):
        loader.set_epoch(epoch)
        assert len(loader) == len(set(loader.drawn)) == 4
        drawn[epoch, loader.drawn] = True
    # Each batch with the expected frequency, and whatever the epoch before drew.
    assert chisquare(drawn.sum(axis=0)).pvalue > 0.01
    assert (drawn[1:] & drawn[:-1]).mean() == pytest.approx(0.16, abs=0.02)


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

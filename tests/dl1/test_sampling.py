"""The draw of an epoch: a function of seed and epoch, in the shares that were asked for."""

import numpy as np
import pytest
from scipy.stats import chisquare

from cherenkov_mlops.dl1.sampling import EpochOrder, make_strata

RNG = np.random.default_rng(5)
CLASSES = (RNG.random(1000) < 0.2).astype(int)
#: A steep spectrum: few events at the highest energies.
LOG_ENERGY = np.minimum(RNG.exponential(0.4, 1000), 1.99)


def draw(balance, epoch=0, n=1000, **options):
    strata = make_strata(balance, CLASSES[:n], LOG_ENERGY[:n])
    return np.concatenate(EpochOrder(n, 10, 3, strata=strata, **options).draw(epoch)), strata


def test_a_share_of_the_batches_each_epoch():
    order = EpochOrder(100, 10, seed=1, fraction=0.4)
    # Batches are cut from a fresh permutation, so count events.
    seen = np.zeros((500, 100), dtype=bool)
    for epoch in range(500):
        batches = order.draw(epoch)
        assert len(batches) == order.n_batches == 4
        seen[epoch, np.concatenate(batches)] = True
    assert (seen.sum(axis=1) == 40).all()
    # Each event with the expected frequency, whatever the epoch before drew.
    assert chisquare(seen.sum(axis=0)).pvalue > 0.01
    assert (seen[1:] & seen[:-1]).mean() == pytest.approx(0.16, abs=0.005)


def test_the_same_list_for_the_same_seed():
    draws = [EpochOrder(95, 10, seed=7, fraction=0.4).draw(12) for _ in range(2)]
    for first, second in zip(*draws, strict=True):
        assert np.array_equal(first, second)
    other = EpochOrder(95, 10, seed=8, fraction=0.4).draw(12)
    assert not np.array_equal(np.concatenate(draws[0]), np.concatenate(other))


def test_balanced_classes():
    drawn, strata = draw("classes")
    assert len(drawn) == 1000
    assert strata.count(drawn) == {"background": 500, "signal": 500}


def test_flat_in_log_energy():
    drawn, strata = draw("energy")
    counts = strata.count(drawn)
    by_class = {
        label: [n for name, n in counts.items() if name.startswith(label)]
        for label in ("signal", "background")
    }
    for numbers in by_class.values():
        assert max(numbers) - min(numbers) <= 1
        assert sum(numbers) == pytest.approx(500, abs=len(numbers))
    # Far from what the files hold.
    raw = strata.count(np.arange(1000))
    assert max(raw.values()) > 5 * min(raw.values())


def test_a_rich_group_gives_no_event_twice_and_a_poor_one_all_its_events():
    drawn, _ = draw("classes")
    times = np.bincount(drawn, minlength=1000)
    assert times[CLASSES == 0].max() == 1
    poor = times[CLASSES == 1]
    assert poor.min() == 500 // len(poor) and poor.max() - poor.min() == 1


@pytest.mark.parametrize("balance", ["none", "classes", "energy"])
def test_balanced_epochs_are_a_function_of_seed_and_epoch(balance):
    first, again, other = (draw(balance, epoch)[0] for epoch in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_one_class_alone_can_be_balanced():
    strata = make_strata("classes", np.ones(20, dtype=int), np.zeros(20))
    drawn = np.concatenate(EpochOrder(20, 8, 1, strata=strata).draw(0))
    assert sorted(drawn) == list(range(20))


def test_a_share_of_a_balanced_epoch():
    drawn, strata = draw("classes", fraction=0.3)
    assert len(drawn) == 300
    assert strata.count(drawn)["signal"] == pytest.approx(150, abs=30)

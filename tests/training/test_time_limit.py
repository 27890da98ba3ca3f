"""When a training stops for lack of time: durations, the rule, signals."""

import os
import signal
import time
from types import SimpleNamespace

import pytest

from cherenkov_mlops.durations import parse_duration
from cherenkov_mlops.errors import TimeLimitReached, UserError
from cherenkov_mlops.training import time_limit
from cherenkov_mlops.training.stopping import StopInTime
from cherenkov_mlops.training.time_limit import StopRequests, TimeLimit

EPOCH_S = 100.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("12:00:00", 43200),
        ("0:00:05", 5),
        ("2-12", 216000),
        ("2-12:30", 217800),
        ("2-12:30:15", 217815),
        (" 1-00:00:00 ", 86400),
    ],
)
def test_durations_are_those_of_slurm(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "1h", "-5", "1:2:3:4", "1-", "0", "0:00:00", "1.5"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UserError, match="--deadline: expected a time as hours:minutes:seconds"):
        parse_duration(text)


def test_the_deadline_comes_before_the_end_of_the_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 500))
    assert TimeLimit().seconds_left() == pytest.approx(500, abs=5)
    assert TimeLimit(time.time() + 50).seconds_left() == pytest.approx(50, abs=5)
    monkeypatch.setenv("SLURM_JOB_END_TIME", "soon")
    assert TimeLimit().seconds_left() is None
    assert not TimeLimit().is_reached
    assert TimeLimit(time.time() - 1).is_reached


def make_stop(monkeypatch, *, left=None, job_left=None, sent=None, epochs=(EPOCH_S,)):
    """A callback in the second of five epochs, with so many seconds left."""
    monkeypatch.setattr(time_limit, "time", SimpleNamespace(time=lambda: 1000.0))
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    if job_left is not None:
        monkeypatch.setenv("SLURM_JOB_END_TIME", str(1000 + job_left))
    requests = StopRequests()
    requests.received = sent
    history = SimpleNamespace(rows=[{"seconds": seconds} for seconds in epochs])
    limit = TimeLimit(None if left is None else 1000.0 + left)
    stop = StopInTime(limit, requests, history, n_epochs=5)
    stop.set_model(SimpleNamespace(stop_training=False))
    stop.on_epoch_begin(1)
    return stop


def stops(call, *arguments) -> bool:
    """Whether the call ends the training."""
    try:
        call(*arguments)
    except TimeLimitReached:
        return True
    return False


@pytest.mark.parametrize(
    ("given", "at_batch", "at_epoch"),
    [
        ({}, False, False),
        # Asked by a signal: the epoch is finished only if that is known to fit.
        ({"sent": "SIGTERM"}, True, True),
        ({"sent": "SIGUSR2", "job_left": 129}, True, True),
        ({"sent": "SIGUSR2", "job_left": 131}, False, True),
        ({"sent": "SIGUSR2", "left": 131, "job_left": 10}, False, True),
        ({"sent": "SIGUSR2", "left": 129, "job_left": 1000}, True, True),
        ({"sent": "SIGUSR2", "job_left": 1000, "epochs": ()}, True, True),
        # By a deadline alone.
        ({"left": 131}, False, False),
        ({"left": 129}, False, True),
        ({"left": 0}, True, True),
        # The end of the job alone asks for nothing: the batch system sends a signal if wanted.
        ({"job_left": 1}, False, False),
        # The longest epoch counts.
        ({"left": 1000, "epochs": (100, 800, 100)}, False, True),
    ],
)
def test_the_rule(monkeypatch, given, at_batch, at_epoch):
    assert stops(make_stop(monkeypatch, **given).on_train_batch_end, 0) == at_batch
    assert stops(make_stop(monkeypatch, **given).on_test_batch_end, 0) == at_batch
    assert stops(make_stop(monkeypatch, **given).on_epoch_end, 1) == at_epoch


def test_the_last_epoch_needs_no_time_for_another(monkeypatch):
    assert not stops(make_stop(monkeypatch, left=1).on_epoch_end, 4)
    assert stops(make_stop(monkeypatch, sent="SIGTERM").on_epoch_end, 4)


def test_what_is_said(monkeypatch):
    with pytest.raises(TimeLimitReached) as caught:
        make_stop(monkeypatch, left=0).on_train_batch_end(3)
    assert str(caught.value) == (
        "train: stopped at the time limit after epoch 1 of 5; the same command goes on from there"
    )
    with pytest.raises(TimeLimitReached, match=r"^train: stopped by SIGUSR2 in the first epoch;"):
        make_stop(monkeypatch, sent="SIGUSR2", epochs=()).on_train_batch_end(0)


class LosesErrors:
    """Interrupted while it is deleted, when Python can raise nothing."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100):
            time.sleep(0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_lost_ctrl_c_ends_the_training_at_the_next_batch(monkeypatch):
    stop = make_stop(monkeypatch)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with stop.requests:
            LosesErrors()
            with pytest.raises(KeyboardInterrupt):
                stop.on_train_batch_end(0)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_ignored_ctrl_c_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequests() as requests:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)
        assert not requests.is_interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_signals_are_noted_and_given_back(number):
    seen = []
    before = signal.signal(number, lambda *_: seen.append("outside"))
    try:
        with StopRequests() as requests:
            os.kill(os.getpid(), number)
            time.sleep(0)
            assert requests.received == number.name
        assert seen == []
        os.kill(os.getpid(), number)
        time.sleep(0)
        assert seen == ["outside"]
    finally:
        signal.signal(number, before)

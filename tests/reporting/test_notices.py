"""Warnings appear when they should, and only then."""

import copy

import numpy as np
import pytest

from cherenkov_mlops.metrics import evaluate_metrics
from cherenkov_mlops.reporting.html import render_report
from cherenkov_mlops.reporting.notices import find_notices
from cherenkov_mlops.results import (
    Counts,
    Data,
    Finding,
    Measured,
    ModelInfo,
    Predictions,
    Provenance,
    Training,
)
from cherenkov_mlops.tasks import TASKS
from synthetic import SETTINGS, make_events, make_results, only_task


@pytest.fixture
def run(three_runs):
    return copy.deepcopy(three_runs[0])


def test_a_sound_run_has_none(run):
    assert find_notices(run) == []
    assert "All clear" in render_report(run)


def _evaluate(run, events, name):
    metrics, replicates = evaluate_metrics(events, TASKS[name].kind, SETTINGS)
    values = {key: Measured.model_validate(entry) for key, entry in metrics.items()}
    run.tasks[name].metrics, run.tasks[name].replicates = values, replicates


def test_swapped_classes_are_called_out_at_the_top(run):
    events = make_events(300)
    swapped = events | {"gh_score": 1 - events["gh_score"]}
    _evaluate(run, swapped, "type")
    notice = find_notices(run)[0]
    assert notice.level == "failure"
    assert "classes may be swapped" in notice.text
    page = render_report(run)
    assert page.index("classes may be swapped") < page.index('id="data"')


def test_a_constant_answer_is_called_out():
    run = make_results("energy", n_events=200)
    constant = make_events(200) | {"reco_energy": np.full(200, 3.0)}
    _evaluate(run, constant, "energy")
    assert "same energy for every event" in find_notices(run)[0].text


OUTSIDE = {
    "n": 600,
    "n_distinct": 600,
    "n_most_common": 1,
    "trained_tev": [1.0, 100.0],
    "n_below": 2,
    "n_above": 7,
}


def _predictions(**facts) -> dict:
    return {"predictions": {"n": 600} | facts}


def test_rows_that_the_cuts_explain_are_only_mentioned(run):
    only_task(run).n_invalid = 200
    (notice,) = find_notices(run)
    assert (notice.level, "25% of the test rows" in notice.text) == ("hint", True)
    run.data.cuts = []
    (notice,) = find_notices(run)
    assert notice.level == "warning"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"n_invalid": 300}, "33% of the test rows are invalid"),
        ({"train": {"signal": 4000, "background": 900}}, "not balanced: 4,000 and 900"),
        ({"test": {"signal": 300, "background": 12}}, "Only 12 test events of class proton"),
        ({"overlap": ["/data/a.h5"]}, "1 test file was trained on: a.h5; all values are too good"),
        ({"overlap": list("abcde")}, "5 test files were trained on: a, b, c and 2 more"),
        (_predictions(n_distinct=40, n_most_common=90), "15% of the predictions are one and the"),
        (_predictions(n_distinct=1, n_most_common=600), "All 600 predictions are the same"),
        (
            {"predictions": OUTSIDE},
            "1.5% of the reconstructed energies are outside the training range of 1 to 100 TeV "
            "(2 below, 7 above)",
        ),
    ],
)
def test_data_that_weaken_the_result_are_called_out(run, change, text):
    (section,) = change
    if section in ("test", "predictions"):
        kind = Counts if section == "test" else Predictions
        setattr(only_task(run), section, kind.model_validate(change[section]))
    elif section == "n_invalid":
        only_task(run).n_invalid = change[section]
    elif section == "train":
        run.data.train = Counts.model_validate(change[section])
    else:
        setattr(run.data, section, change[section])
    assert [text in notice.text for notice in find_notices(run)] == [True]


@pytest.mark.parametrize(
    ("val_loss", "text"),
    [([3, 2, 1], "lowest at the last epoch"), ([3, 1, 2], "has risen by 100%")],
)
def test_the_course_of_the_validation_loss_is_called_out(run, val_loss, text):
    run.training.history.val_loss = val_loss
    assert text in find_notices(run)[0].text


def test_results_without_data_and_training_give_no_notice_and_a_page(run):
    run.data, run.training, run.provenance = Data(), Training(), Provenance()
    run.model, run.facts = ModelInfo(), {}
    assert find_notices(run) == []
    assert "Nothing was recorded" in render_report(run)


def test_classes_out_of_balance_are_said_once(run):
    run.data.train = Counts(signal=1000, background=100)
    assert [notice.check for notice in find_notices(run)] == ["balance"]
    run.data.findings.append(Finding("hint", "balance", "The classes are not balanced: so and so."))
    assert find_notices(run) == []
    shown = render_report(run).split('<script type="application/json"')[0]
    assert shown.count("not balanced") == 1

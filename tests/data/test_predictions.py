"""Facts about predictions as a whole."""

import pandas as pd

from cherenkov_mlops.data.predictions import describe_predictions
from synthetic import make_events


def test_repeated_predictions_are_counted():
    events = pd.DataFrame({"gh_score": [0.5, 0.5, 0.5, 0.1, 0.2]})
    assert describe_predictions(events, "type") == {"n": 5, "n_distinct": 3, "n_most_common": 3}


def test_directions_are_equal_only_if_both_angles_are():
    events = pd.DataFrame({"reco_alt": [70.0, 70.0, 71.0], "reco_az": [0.0, 1.0, 0.0]})
    assert describe_predictions(events, "skydirection")["n_distinct"] == 3


def test_energies_outside_the_training_range_are_counted():
    events = pd.DataFrame({"reco_energy": [0.5, 1.0, 2.0, 100.0, 101.0, 300.0]})
    facts = describe_predictions(events, "energy", (1.0, 100.0))
    assert facts["trained_tev"] == [1.0, 100.0]
    assert (facts["n_below"], facts["n_above"]) == (1, 2)
    assert "n_below" not in describe_predictions(events, "energy")


def test_no_events_are_no_mistake():
    events = pd.DataFrame(make_events(5)).head(0)
    assert describe_predictions(events, "type") == {"n": 0, "n_distinct": 0, "n_most_common": 0}

"""The demo, with a fraction of its data."""

import pytest

from cherenkov_mlops.commands import demo
from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.pipeline.stage import names
from simulated import TINY_MODEL


def test_the_demo_makes_all_it_promises(tmp_path, monkeypatch, caplog):
    few = tuple(demo.Sample(s.name, 150, s.seed) for s in demo.SAMPLES)
    monkeypatch.setattr(demo, "SAMPLES", few)
    base = {
        "run": {"dir": "runs"},
        "data": {
            "train": {"signal": "data/gamma_train.dl1.h5"},
            "test": {"signal": "data/gamma_test.dl1.h5"},
            "image_mapper_type": "ShiftingMapper",
        },
        "model": TINY_MODEL,
        "train": {"n_epochs": 1},
        "test": {"n_bootstrap": 5},
    }
    # A configuration that is there already is the user's, and kept.
    (tmp_path / "demo_base.yaml").write_text(to_yaml(base))
    with caplog.at_level("INFO"):
        demo.run(tmp_path)
    for file in demo.RUNS:
        name = file.removeprefix("demo_").removesuffix(".yaml")
        assert (tmp_path / "runs" / name / "report.html").exists()
    assert (tmp_path / "comparison.html").exists()
    assert caplog.text.count("(expected ") == len(demo.RUNS)
    caplog.clear()
    with caplog.at_level("INFO"):
        demo.run(tmp_path)
    assert caplog.text.count("complete and unchanged") == len(names()) * len(demo.RUNS)
    assert "all files are there" in caplog.text


@pytest.mark.parametrize(
    ("value", "at_least", "verdict"),
    [(0.9, True, "ok"), (0.8, True, "NOT"), (0.5, False, "ok"), (0.9, False, "NOT")],
)
def test_what_was_learnt_is_said_with_its_bound(value, at_least, verdict):
    lesson = demo.Lesson("auc", 0.85, at_least, "AUC")
    sentence = lesson.sentence("run", value)
    assert f"{value:.3f}" in sentence and "0.85" in sentence and verdict in sentence

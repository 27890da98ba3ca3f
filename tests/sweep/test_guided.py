"""A sweep that Optuna guides: what it asks for, what it is told, how it goes on."""

import pytest

from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.errors import ConfigError, SweepFailed, UserError
from cherenkov_mlops.sweep import guided
from cherenkov_mlops.sweep.plan import load_sweep
from cherenkov_mlops.sweep.processes import Ended, Job
from simulated import study

KEYS = {
    "train.optimizer.base_learning_rate": {"min": 0.0001, "max": 0.1, "log": True},
    "train.batch_size": {"min": 16, "max": 64},
    "model.pooling_type": ["max", "average"],
}


@pytest.fixture
def make_sweep(dl1_files, tmp_path):
    """Function that writes a sweep file and reads it back."""

    def make(n_runs: int = 12, guided_by: str | None = "energy_resolution_68", **over):
        base = study("energy", dl1_files)
        del base["run"]
        folder = over.pop("dir", None)
        drawn = {"n_runs": n_runs, "keys": KEYS, "guided_by": guided_by} | over
        content = {"config": base, "random": drawn, "dir": folder}
        path = tmp_path / "guided.yaml"
        path.write_text(to_yaml(content), encoding="utf-8")
        return load_sweep(path)

    return make


@pytest.fixture
def told(monkeypatch):
    """Runs that were made, in place of trainings: the resolution is best at a rate of 0.01."""
    made, pages = {}, []

    def run(sweep, runs, n_lanes):
        for config in runs:
            made[config.run.name] = config
            name = config.run.name
            code = int(name in broken)
            yield Ended(Job(name, (), sweep.folder / "log"), code, 1.0)

    def result(config, metric):
        rate = config.train.optimizer.base_learning_rate
        return abs(rate - 0.01) + 0.1 * (config.model.pooling_type == "max")

    broken: set[str] = set()
    made_and_broken = (made, broken, pages)
    monkeypatch.setattr(guided, "run_side_by_side", run)
    monkeypatch.setattr(guided, "_result", result)
    monkeypatch.setattr(guided, "write_pages", lambda sweep: pages.append(sweep))
    return made_and_broken


def test_later_trials_are_better(make_sweep, told, caplog):
    made, _, pages = told
    sweep = make_sweep(30)
    with caplog.at_level("INFO"):
        guided.run(sweep, 2)
    assert list(made) == [f"trial_{number:03d}" for number in range(30)]
    rates = [config.train.optimizer.base_learning_rate for config in made.values()]
    assert all(0.0001 <= rate <= 0.1 for rate in rates)
    assert {config.train.batch_size for config in made.values()} <= set(range(16, 65))
    late = [config.model.pooling_type for config in list(made.values())[20:]]
    assert late.count("average") > late.count("max")
    assert all((sweep.folder / "configs" / f"{name}.yaml").exists() for name in made)
    assert "sweep: best of 30: trial_" in caplog.text
    assert len(pages) == 1 and len(pages[0].runs) == 10


def test_it_goes_on_and_can_be_made_longer(make_sweep, told, monkeypatch):
    made, broken, _ = told
    broken.add("trial_001")
    whole = guided.run_side_by_side

    def stop_in_the_second_round(sweep, runs, n_lanes):
        if len(made) >= 2:
            raise KeyboardInterrupt
        yield from whole(sweep, runs, n_lanes)

    with monkeypatch.context() as patch:
        patch.setattr(guided, "run_side_by_side", stop_in_the_second_round)
        with pytest.raises(KeyboardInterrupt):
            guided.run(make_sweep(6), 2)
    assert list(made) == ["trial_000", "trial_001"]
    guided.run(make_sweep(6), 2)
    # What was asked for and never told is run first; what failed is not run again.
    assert list(made) == [f"trial_{number:03d}" for number in range(6)]
    guided.run(make_sweep(8), 2)
    assert len(made) == 8
    before = {name: config.train.batch_size for name, config in made.items()}
    guided.run(make_sweep(8), 2)
    assert {name: config.train.batch_size for name, config in made.items()} == before


def test_draws_do_not_depend_on_interruptions(make_sweep, told):
    made, *_ = told
    for n_runs in (1, 2, 3, 6):
        guided.run(make_sweep(n_runs, seed=3))
    rates = [config.train.optimizer.base_learning_rate for config in made.values()]
    assert len(set(rates)) == 6
    made.clear()
    guided.run(make_sweep(6, seed=3, dir="whole"), 2)
    assert [config.train.optimizer.base_learning_rate for config in made.values()] == rates


def test_two_processes_share_the_trials(make_sweep, told, monkeypatch):
    made, *_ = told
    sweep = make_sweep(6)
    alone, both = guided.run_side_by_side, []

    def run_beside(sweep, runs, n_lanes):
        """A second process begins, and ends, while the first works at its two trials."""
        monkeypatch.setattr(guided, "run_side_by_side", alone)
        both.append({config.run.name for config in runs})
        guided.run(make_sweep(6), 1)
        both.append(set(made))
        yield from alone(sweep, runs, n_lanes)

    monkeypatch.setattr(guided, "run_side_by_side", run_beside)
    guided.run(sweep, 2)
    assert both == [
        {"trial_000", "trial_001"},
        {"trial_002", "trial_003", "trial_004", "trial_005"},
    ]
    assert sorted(made) == [f"trial_{number:03d}" for number in range(6)]


def test_by_the_validation_and_by_nothing_else_then(make_sweep, told):
    made, *_ = told
    guided.run(make_sweep(2, "best_val_loss"))
    assert len(made) == 2
    with pytest.raises(UserError, match=r"was guided by best_val_loss, got mae; choose another"):
        guided.run(make_sweep(4, "mae"))


def test_what_cannot_be_guided_is_told(make_sweep, told, monkeypatch):
    with pytest.raises(UserError, match=r"no metric 'energy_resolution_86' .*; did you mean"):
        guided.run(make_sweep(2, "energy_resolution_86"))
    with pytest.raises(ConfigError, match="expected numbers, min below max"):
        make_sweep(2, keys={"train.batch_size": {"min": 3, "max": 2}})
    assert not make_sweep(2, None).is_guided and make_sweep(2).is_guided
    _, broken, _ = told
    broken |= {"trial_000", "trial_001"}
    with pytest.raises(SweepFailed, match="no trial was completed"):
        guided.run(make_sweep(2))

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(guided, "import_module", missing)
    with pytest.raises(UserError, match=r"pip install 'cherenkov-mlops\[optuna\]'"):
        guided.run(make_sweep(2))

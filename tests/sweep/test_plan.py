"""Sweep files: which runs they make, how these are called, every mistake one line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.config.text import to_yaml
from cherenkov_mlops.config.yaml_text import Place, read_yaml
from cherenkov_mlops.errors import ConfigError
from cherenkov_mlops.sweep.plan import is_sweep, load_sweep
from cherenkov_mlops.sweep.points import NAME, labels_of, make_points

BASE = "config: {task: energy, data: {train: {signal: g.h5}, test: {signal: t.h5}}}\n"
PRUNED = "{schedule: constant, final_sparsity: 0.5}"


def names(path):
    return [config.run.name for config in load_sweep(path).runs]


def test_a_grid_is_every_combination(write_yaml):
    path = write_yaml(BASE + "grid: {train.batch_size: [32, 64], run.seed: [1, 2]}\n")
    sweep = load_sweep(path)
    found = [(run.train.batch_size, run.run.seed) for run in sweep.runs]
    assert found == [(32, 1), (32, 2), (64, 1), (64, 2)]
    assert names(path)[1] == "batch_size32_seed2"
    assert sweep.folder == path.parent / "sweeps" / "study"
    assert {run.run.dir for run in sweep.runs} == {sweep.folder / "runs"}


def test_choices_by_name_set_several_options(write_yaml):
    path = write_yaml(
        BASE + "name: '{case}_{pruning}_s{seed}'\n"
        "grid:\n  case: {quick: {train.n_epochs: 1, test: {n_bootstrap: 5}}, slow: {}}\n"
        f"  pruning: {{dense: {{pruning: null}}, half: {{pruning: {PRUNED}}}}}\n"
        "  run.seed: [7]\n"
    )
    sweep = load_sweep(path)
    assert names(path) == ["quick_dense_s7", "quick_half_s7", "slow_dense_s7", "slow_half_s7"]
    assert [run.train.n_epochs for run in sweep.runs] == [1, 1, 10, 10]
    assert [run.pruning is None for run in sweep.runs] == [True, False] * 2


def test_values_may_be_sections(write_yaml):
    pruning = f"[null, {PRUNED}, {{schedule: polynomial, final_sparsity: 0.5}}]"
    path = write_yaml(BASE + f"grid: {{pruning: {pruning}}}\n")
    assert names(path) == ["none", "constant", "polynomial"]


def test_a_list_names_each_run(write_yaml):
    path = write_yaml(BASE + "list: [{train.n_epochs: 1}, {train.n_epochs: 2, run.seed: 5}]\n")
    assert names(path) == ["n_epochs1", "n_epochs2_seed5"]
    assert load_sweep(path).runs[1].run.seed == 5


def test_draws_are_the_same_for_the_same_seed(write_yaml):
    keys = "{train.optimizer.base_learning_rate: {min: 1e-5, max: 1e-2, log: true}, "
    keys += "train.batch_size: {min: 16, max: 64}, run.seed: [1, 2, 3]}"
    text = BASE + f"random: {{n_runs: 12, seed: SEED, keys: {keys}}}\n"
    path = write_yaml(text.replace("SEED", "4"))
    runs = load_sweep(path).runs
    assert len({run.run.name for run in runs}) == 12
    assert all(1e-5 <= run.train.optimizer.base_learning_rate <= 1e-2 for run in runs)
    assert all(16 <= run.train.batch_size <= 64 for run in runs)
    assert [r.dump() for r in load_sweep(path).runs] == [r.dump() for r in runs]
    other = load_sweep(write_yaml(text.replace("SEED", "5"))).runs
    assert [r.train.batch_size for r in other] != [r.train.batch_size for r in runs]


def test_a_base_gives_the_rest_and_its_paths(write_yaml, minimal):
    base = write_yaml(minimal, "deep/base.yaml")
    path = write_yaml("base: deep/base.yaml\ngrid: {run.seed: [1, 2]}\n")
    (first, _) = load_sweep(path).runs
    assert first.data.train.signal == [str(base.parent / "gammas.h5")]
    assert first.run.name == "seed1"


def test_a_written_run_reads_back_as_it_was(write_yaml):
    (run,) = load_sweep(write_yaml(BASE + f"grid: {{pruning: [{PRUNED}]}}\n")).runs
    assert load_config(write_yaml(to_yaml(run.dump()), "run.yaml")).dump() == run.dump()


MISTAKES = [
    ("", "study.yaml: expected one of grid, list, random, found none; write"),
    ("grid: {}\n", "study.yaml:2:1: grid: expected 1 to 10,000 runs, got 0"),
    ("grid: {run.seed: 1}\n", "study.yaml:2:8: grid.run.seed: expected a list of values, got 1"),
    ("grid: {run.seed: []}\n", "study.yaml:2:8: grid.run.seed: expected at least one value"),
    ("grid: {run.seed: [1, 1]}\n", "study.yaml:2:8: grid.run.seed: 1 stands twice; leave one out"),
    ("grid: {train.epochs: [1]}\n", "study.yaml:2:23: train.epochs: unknown key; did you mean"),
    ("grid: {a: {x: 1}}\n", "study.yaml:2:8: grid.a: 'x': expected the options that this choice"),
    ("gird: {}\ngrid: {run.seed: [1]}\n", "study.yaml:2:1: gird: unknown key; did you mean 'grid'"),
    (
        "grid: {run.seed: [1]}\nlist: [{run.seed: 1}]\n",
        "study.yaml:3:1: list: expected one of grid, list, random, got 'grid' too",
    ),
    (
        "grid: {pruning: [null, {final_sparsity: 90}]}\n",
        "study.yaml:2:25: pruning.final_sparsity: expected 0 to 1, got 90; write 0.9 for 90 % "
        "(in run v2)",
    ),
    (
        "grid: {train.n_epochs: [1], b: {x: {train: {n_epochs: 2}}}}\n",
        "study.yaml:2:29: grid.b: sets train.n_epochs, as the axis 'train.n_epochs' does",
    ),
    ("name: run\ngrid: {run.seed: [1, 2]}\n", "study.yaml:2:1: name: 2 runs would be called 'run'"),
    ("name: '{sed}'\ngrid: {run.seed: [1]}\n", "study.yaml:2:1: name: unknown {sed}; did you mean"),
    ("base: no.yaml\ngrid: {run.seed: [1]}\n", "study.yaml:2:1: base: "),
    (
        "random: {n_runs: 2, keys: {run.seed: {min: 3, max: 1}}}\n",
        "study.yaml:2:28: random.keys.run.seed: expected numbers, min below max, got 3 and 1",
    ),
    ("study: {up_to: 90}\ngrid: {run.seed: [1]}\n", "study.yaml:2:9: study.up_to: expected 0 to 1"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES, ids=[m.split(":")[-1] for _, m in MISTAKES])
def test_mistakes_say_where_and_what(write_yaml, text, message):
    path = write_yaml(BASE + text)
    with pytest.raises(ConfigError) as error:
        load_sweep(path)
    assert len(error.value.problems) == 1, error.value.problems
    assert error.value.problems[0].removeprefix(f"{path.parent}/").startswith(message)


def test_all_mistakes_of_all_runs_come_at_once_each_once(write_yaml):
    path = write_yaml(BASE + "grid: {train.n_epochs: [0, 1, 2], train.batch_size: [0, -1]}\n")
    with pytest.raises(ConfigError) as error:
        load_sweep(path)
    assert [line.split(": ")[1] for line in error.value.problems] == [
        "train.n_epochs",
        "train.batch_size",
        "train.batch_size",
    ]


def test_a_run_is_no_sweep(write_yaml, tmp_path):
    assert not is_sweep(write_yaml())
    assert is_sweep(write_yaml(BASE + "grid: {run.seed: [1]}\n"))
    assert not is_sweep(tmp_path / "missing.yaml")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-50, 50), st.floats(0, 1), st.text("ab/é_-. ", max_size=6)
)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b.c", "b.d", "e.c"]),
        st.lists(VALUES, min_size=1, max_size=4, unique_by=repr),
        min_size=1,
    )
)
def test_names_are_unique_fit_for_folders_and_always_the_same(tmp_path_factory, grid):
    # 1, 1.0 and True are equal for Python: they would count as standing twice.
    grid = {k: [v for n, v in enumerate(vs) if v not in vs[:n]] for k, vs in grid.items()}
    start = Place(0, 1, 1, "sweep.yaml", tmp_path_factory.getbasetemp())
    points = make_points(read_yaml(to_yaml({"grid": grid}), start), "r{n}_" + "{a}" * ("a" in grid))
    found = [point.name for point in points]
    assert len(set(found)) == len(found)
    assert all(NAME.match(name) for name in found)


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_labels_of_an_axis_are_unique(values):
    labels = labels_of(values)
    assert len(set(labels)) == len(labels) == len(values)

"""Real kills of the whole program, as in the benchmark of the same name, three of them."""

import importlib.util
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "kill_resume.py"


def load_benchmark():
    """The benchmark as a module."""
    spec = importlib.util.spec_from_file_location("kill_resume", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules["kill_resume"] = module
    spec.loader.exec_module(module)
    return module


def test_three_kills_and_the_result_of_none(tmp_path):
    benchmark = load_benchmark()
    study = benchmark.write_study(tmp_path, n_images=400, n_epochs=5)
    # Kinds that come in any run: a time at random may come after its end.
    benchmark.KINDS = ("cache", "state", "model")
    outcome = benchmark.kill_and_resume(study, n_kills=3, seed=4)
    assert outcome.kills.total() == outcome.n_identical == 3
    assert outcome.damaged == []


def test_a_damaged_file_would_be_found(tmp_path):
    benchmark = load_benchmark()
    whole = {"a.json": "{}", "b.csv": "x,y\n1,2\n", ".c.7.tmp.json": "{", "logs/d.json": "{"}
    broken = {"e.json": "{", "f.csv": "x,y\n1\n", "g.keras": "PK", "h.h5": "no", "i.npy": ""}
    for name, text in (whole | broken).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = benchmark.find_damaged(tmp_path)
    assert [Path(line.partition(": ")[0]).name for line in found] == list(broken)

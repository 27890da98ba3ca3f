"""Results of compression studies without any training, for tests of their page."""

from cherenkov_mlops.results import Results
from synthetic import make_results

SPARSITIES = (0.5, 0.9, 0.95)
SIZES = {"model_size_mb": 5.0, "model_size_zipped_mb": 4.6, "model_size_packed_mb": 1.2}


def make_run(
    task: str | tuple[str, ...],
    model: str,
    seed: int,
    pruning: dict | None,
    noise: float,
    network: int,
) -> Results:
    """Results of one run with errors of the size ``noise``."""
    way = f"{pruning['schedule']}_{pruning['final_sparsity']:g}" if pruning else "dense"
    run = make_results(
        task,
        f"{'_'.join(task) if isinstance(task, tuple) else task}_{model}_{way}_s{seed}",
        noise=noise,
        network=network,
    )
    run.run.seed = seed
    run.config = {
        "run": {"name": run.run.name, "seed": seed},
        "model": {"type": model},
        "pruning": pruning,
    }
    left = 1 - (pruning["final_sparsity"] if pruning else 0)
    run.facts |= {name: size * left for name, size in SIZES.items()} | {"model_size_mb": 5.0}
    run.facts |= {"n_nonzero_parameters": 1e6 * left, "sparsity": 1 - left, "latency_ms": 2.0}
    return run


def make_study_runs(
    task: str | tuple[str, ...] = "type",
    model: str = "SingleCNN",
    seeds: tuple[int, ...] = (1, 2),
    constant_is_worse: float = 1.25,
) -> list[Results]:
    """Baselines and pruned runs; nothing is lost by `polynomial` below 95 %, much at 95 %."""
    runs = []
    for seed in seeds:
        runs.append(make_run(task, model, seed, None, 1.0, seed))
        for schedule, factor in (("polynomial", 1.0), ("constant", constant_is_worse)):
            for place, sparsity in enumerate(SPARSITIES):
                pruning = {"schedule": schedule, "final_sparsity": sparsity, "frequency": 100}
                noise = factor * (1.6 if sparsity > 0.9 else 1.0)
                network = 100 * seed + 10 * place + (schedule == "constant")
                runs.append(make_run(task, model, seed, pruning, noise, network))
    return runs

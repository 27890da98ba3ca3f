"""Lets all tests import `synthetic`: pytest puts the folder of this file on the path."""

import logging
import os
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from light import is_light

# Quiet, and on one thread: the tests share two cores with whatever else runs.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

REAL_DATA = "CHERENKOV_MLOPS_REAL_DATA"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--quick``."""
    parser.addoption("--quick", action="store_true", help="Only files that load no TensorFlow.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass over what loads TensorFlow, trains, or opens a browser, where a quick answer counts."""
    is_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    if config.getoption("--quick") and is_test and not is_light(collection_path):
        return True
    return None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a quick run that loaded TensorFlow all the same."""
    if session.config.getoption("--quick") and "tensorflow" in sys.modules:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("--quick: TensorFlow was loaded; tests/light.py does not see by whom")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real telescope simulations; the test is skipped where there is none."""
    if REAL_DATA not in os.environ:
        pytest.skip(f"{REAL_DATA} does not name a folder of real simulations")
    return Path(os.environ[REAL_DATA])


@pytest.fixture(autouse=True)
def _keep_loggers_enabled():
    """Other packages configure logging for the whole process; ours must stay audible."""
    level = logging.root.level
    yield
    logging.root.setLevel(level)
    logging.disable(logging.NOTSET)
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith("cherenkov_mlops") and isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture(scope="session")
def dl1_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Simulated DL1 files: ``gamma_train``, ``proton_train``, ``gamma_test``, ``proton_test``."""
    from cherenkov_mlops.commands import simulate
    from cherenkov_mlops.data import file_look

    # Processes that share the tests share the files: below the folder of the first of them.
    is_one_of_several = "PYTEST_XDIST_WORKER" in os.environ
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if is_one_of_several else base) / "dl1"
    sizes = {"gamma_train": 400, "proton_train": 400, "gamma_test": 230, "proton_test": 230}
    files = {name: folder / f"{name}.dl1.h5" for name in sizes}
    folder.mkdir(exist_ok=True)
    # What is found in files of tests is not remembered in the user's cache folder.
    file_look._cache_folder = lambda: folder / "checked"
    with FileLock(folder.with_suffix(".lock")):
        for seed, (name, n_images) in enumerate(sizes.items()):
            particle = name.partition("_")[0]
            if not files[name].exists():
                simulate.run(files[name], particle=particle, n_images=n_images, seed=100 + seed)
    return files


@pytest.fixture(scope="session")
def completed_runs(dl1_files, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Task -> (config, run folder) of runs that went through all stages."""
    from cherenkov_mlops.pipeline import chain as run
    from simulated import load_study, study

    folder = tmp_path_factory.mktemp("runs")
    runs = {}
    for task in ("type", "energy", "cameradirection", "skydirection"):
        config, run_dir = load_study(folder / task, study(task, dl1_files))
        run.run(config, run_dir)
        runs[task] = (config, run_dir)
    return runs

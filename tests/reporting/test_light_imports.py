"""Pages are made without the packages that train."""

import os
import subprocess
import sys

PROGRAM = """
import sys
from pathlib import Path
from cherenkov_mlops.run_dir import RunDir
from cherenkov_mlops.commands import compare
from cherenkov_mlops.stages import report
folder = Path(sys.argv[1])
report.run(None, RunDir(folder))
compare.run([folder, folder], folder / "comparison.html")
heavy = {"tensorflow", "keras", "ctlearn", "ctapipe", "dl1_data_handler"} & set(sys.modules)
sys.exit(f"loaded: {sorted(heavy)}" if heavy else 0)
"""


def test_report_and_compare_load_neither_tensorflow_nor_ctapipe(run_folders):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(run_folders[0])],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (run_folders[0] / "comparison.html").stat().st_size > 100_000

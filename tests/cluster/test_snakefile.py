"""The example for a pipeline manager, read by the real one."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SNAKEFILE = ROOT / "docs" / "Snakefile"


def test_it_is_short():
    assert len(SNAKEFILE.read_text(encoding="utf-8").splitlines()) <= 30


def test_snakemake_plans_all_stages_in_order(tmp_path):
    if shutil.which("snakemake") is None:
        pytest.skip("snakemake is not installed")
    folder = tmp_path / "demo"
    folder.mkdir()
    for file in (ROOT / "configs").glob("demo_*.yaml"):
        shutil.copy(file, folder)
    done = subprocess.run(
        ["snakemake", "-n", "-p", "--cores", "1", "--snakefile", SNAKEFILE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    for run in ("type_cnn", "type_resnet"):
        places = [
            said.index(f"cherenkov-mlops {stage} demo/demo_{run}.yaml")
            for stage in ("prepare", "train", "test")
        ]
        assert places == sorted(places)
    assert "cherenkov-mlops compare demo/runs/type_cnn/metrics.json" in said

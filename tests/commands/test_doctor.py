"""What ``doctor`` says of this machine, and of one that is not fit."""

import resource
import shutil
from types import SimpleNamespace

import pytest

from cherenkov_mlops.cluster.slurm import Partition
from cherenkov_mlops.commands import doctor
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.training.devices import Device, time_product
from simulated import load_study, study


def marks(checks):
    """Mark of each thing that was looked at."""
    return {check.what: check.mark for check in checks}


def test_this_machine_is_fit(monkeypatch):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    found = marks(doctor.run())
    assert {"versions", "machine", "open files", "disk of runs"} <= found.keys()
    assert "bad" not in found.values()


def test_bad_pairs_and_settings(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/local/cuda/lib64")
    found = marks(doctor.check_environment())
    assert found == {"TF_USE_LEGACY_KERAS": "bad", "LD_LIBRARY_PATH": "warning"}
    old = {"dl1-data-handler": "0.14.11", "keras": "2.15.0"}
    found = marks(doctor.check_versions(old))
    assert found == {"versions": "ok", "dl1_data_handler 0.14.11": "warning", "keras": "bad"}


def test_little_room(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1e9))
    assert set(marks(doctor.check_disks(None)).values()) == {"warning"}
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1024, 65536))
    check = [each for each in doctor.check_machine() if each.what == "open files"][0]
    assert check.mark == "warning" and "ulimit -n 65536" in check.said


def test_gpus(monkeypatch):
    monkeypatch.setattr(doctor, "try_gpus", list)
    assert marks(doctor.check_gpus()) == {"GPU": "bad"}
    monkeypatch.setattr(doctor, "try_gpus", lambda: [Device("A100", 40.0, 17.2)])
    said = [check.said for check in doctor.check_gpus()]
    assert said == ["A100, 40.0 GB: matrix product 17.2 TFLOP/s"]
    assert time_product("CPU:0") > 0


def test_partitions(monkeypatch):
    gpu = Partition("gpu", True, 7200.0, 64, 512_000, 4)
    monkeypatch.setattr(doctor.slurm, "read_partitions", lambda: [gpu, gpu])
    checks = list(doctor.check_cluster())
    assert [(each.what, each.said) for each in checks] == [
        (
            "partition gpu (default)",
            "at most 2:00:00; nodes of 64 processors, 512 GB, 4 GPUs",
        )
    ]

    def missing():
        raise UserError("sinfo: not found")

    monkeypatch.setattr(doctor.slurm, "read_partitions", missing)
    assert marks(doctor.check_cluster()) == {"SLURM": "bad"}


def test_data_and_epoch(dl1_files, tmp_path):
    config, _ = load_study(tmp_path, study("type", dl1_files))
    found = {check.what: check for check in doctor.check_data(config)}
    assert found["an epoch"].mark == "ok"
    assert "events in" in found["an epoch"].said and "GB" in found["memory"].said
    # What prepare would refuse.
    broken = study("type", dl1_files, data={"quality_criteria": [["b", "hillas_intensity > 1e9"]]})
    config, _ = load_study(tmp_path / "broken", broken)
    assert marks(doctor.check_data(config))["data"] == "bad"


@pytest.mark.parametrize("options", [{"cluster": True}, {"gpu": True}])
def test_what_is_not_asked_for_is_not_looked_at(options, monkeypatch):
    for name in ("check_gpus", "check_cluster"):
        monkeypatch.setattr(doctor, name, lambda name=name: iter([doctor.Check(name, "")]))
    names = marks(doctor.run(**options)).keys() & {"check_gpus", "check_cluster"}
    assert names == {"check_gpus" if "gpu" in options else "check_cluster"}

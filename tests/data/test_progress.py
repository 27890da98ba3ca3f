"""Progress through many files, off a terminal."""

from cherenkov_mlops.data import progress


def test_a_line_now_and_then_off_a_terminal(tmp_path, caplog, monkeypatch):
    paths = [tmp_path / name for name in ("a", "b", "c", "missing")]
    for path, size in zip(paths, (10, 30, 60), strict=False):
        path.write_bytes(b"x" * size)
    with caplog.at_level("INFO"):
        assert list(progress.with_progress(paths, "checking files")) == paths
        assert not caplog.records
        monkeypatch.setattr(progress, "SECONDS_A_LINE", -1.0)
        list(progress.with_progress(paths, "checking files"))
    assert [record.getMessage() for record in caplog.records] == [
        "checking files: 1 of 4 files, 10 %",
        "checking files: 2 of 4 files, 40 %",
        "checking files: 3 of 4 files, 100 %",
    ]

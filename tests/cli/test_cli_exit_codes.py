"""What the terminal shows and which code a command ends with, whatever happens in a stage."""

import os

import pytest

from cherenkov_mlops.console import is_disk_full


def test_messages_come_out_in_this_process_too(call, study):
    result = call("report", study, body="logging.getLogger('cherenkov_mlops.x').info('done')")
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


def test_noise_goes_to_the_log_of_the_run_and_an_error_names_it(call, study, tmp_path):
    body = """\
run_dir.logs.mkdir(parents=True)
logging.getLogger('cherenkov_mlops').warning('seen')
os.write(1, b'noise')
raise ValueError('odd')"""
    result = call("report", study, body=body)
    log = tmp_path / "runs" / "first" / "logs" / "report.log"
    assert result.returncode == 1
    assert result.stderr == (
        f"warning: seen\nerror: ValueError: odd; log: {log}; "
        f"to continue: cherenkov-mlops report {study}\n"
    )
    assert log.read_text().startswith("noise")


def test_a_stage_that_works_ends_with_0_and_its_messages(start, study):
    body = "logging.getLogger('cherenkov_mlops.x').info('[b]done[/b] 100 % of ' + 'x' * 100)"
    result = start("report", study, body=body)
    assert (result.returncode, result.stderr) == (0, "")
    # Neither markup nor the width of the terminal changes a message.
    assert result.stdout == "[b]done[/b] 100 % of " + "x" * 100 + "\n"


def test_the_stage_gets_configuration_folder_and_force(call, study, tmp_path):
    body = "logging.getLogger('cherenkov_mlops').info(f'{config.run.seed} {run_dir.path} {force}')"
    result = call("report", study, "-o", "run.seed=7", "--force", body=body)
    assert result.stdout == f"7 {tmp_path}/runs/first True\n"


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        ("UserError('a.yaml: wrong')", 2, ["error: a.yaml: wrong"]),
        ("ConfigError(['one [x]', 'two'])", 2, ["error: one [x]", "error: two"]),
        ("DataError('no events')", 3, ["error: no events"]),
        ("QualityError('auc 0.4 < 0.9')", 4, ["error: auc 0.4 < 0.9"]),
        ("KeyboardInterrupt", 130, ["interrupted; the same command starts the stage again"]),
        ("KeyboardInterrupt('report: interrupted')", 130, ["report: interrupted"]),
        ("TimeLimitReached('report: no time left')", 75, ["report: no time left"]),
    ],
)
def test_mistakes_and_interruptions_are_lines_without_traceback(call, study, error, code, lines):
    result = call("report", study, body=f"raise {error}")
    assert (result.returncode, result.stderr.splitlines()) == (code, lines)
    assert result.stdout == ""


def test_an_error_with_a_code_of_its_own_keeps_it(call, study):
    body = "error = UserError('odd'); error.exit_code = 9\nraise error"
    assert call("report", study, body=body).returncode == 9


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR2"])
def test_a_batch_system_that_asks_for_an_end_gets_75(start, study, name):
    # No library may take it for a failure of its own.
    body = f"""\
import signal, time
try:
    os.kill(os.getpid(), signal.{name})
    time.sleep(30)
except Exception:
    time.sleep(30)"""
    result = start("report", study, body=body)
    assert (result.returncode, result.stdout) == (75, "")
    assert result.stderr == f"stopped by {name}; the same command starts the stage again\n"


def test_no_log_is_left_by_a_mistake(call, study, tmp_path):
    call("report", study, body="raise UserError('wrong')")
    assert list(tmp_path.glob("*.log")) == []


def test_a_full_disk_is_one_line_and_3(call, study):
    result = call("report", study, body="raise OSError(28, 'No space left on device', 'x.h5')")
    assert result.returncode == 3
    assert result.stderr.startswith("error: disk full: ") and result.stderr.count("\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is a file of Linux")
def test_a_really_full_device_is_recognised(call, study):
    body = "with open('/dev/full', 'w') as stream:\n    stream.write('x')"
    assert call("report", study, body=body).returncode == 3


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(28, "x"), True),
        (OSError(122, "x"), True),
        (RuntimeError("HDF5: No space left on device"), True),
        (OSError(2, "x"), False),
        (ValueError("x"), False),
    ],
)
def test_full_disks_are_told_from_other_errors(error, full):
    assert is_disk_full(error) == full


def test_a_full_disk_is_found_behind_another_error():
    error = RuntimeError("cannot write")
    error.__cause__ = OSError(28, "x")
    assert is_disk_full(error)


def test_an_unexpected_error_is_one_line_with_log_and_command(start, study, tmp_path):
    result = start("report", study, "-o", "run.seed=7", body="raise ValueError('odd\\nand more')")
    (log,) = tmp_path.glob("cherenkov-mlops-report-*.log")
    assert result.returncode == 1
    assert result.stderr == (
        f"error: ValueError: odd; log: {log}; "
        f"to continue: cherenkov-mlops report {study} -o run.seed=7\n"
    )
    assert "Traceback" in log.read_text() and "and more" in log.read_text()


def test_noise_and_traceback_go_to_the_log_of_the_run(start, study, tmp_path):
    body = """\
os.write(2, b'noise of a library\\n')
print('printed')
warnings.warn('a warning')
run_dir.logs.mkdir(parents=True)
logging.getLogger('cherenkov_mlops').warning('seen')
os.write(1, b'later noise\\n')
raise ValueError('odd')"""
    result = start("report", study, body=body)
    log = tmp_path / "runs" / "first" / "logs" / "report.log"
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == "warning: seen"
    assert f"log: {log};" in result.stderr.splitlines()[1]
    order = ["noise of a library", "printed", "a warning", "later noise", "Traceback"]
    places = [log.read_text().index(text) for text in order]
    assert set(places) and places[0] < places[3] < places[4]
    assert list(tmp_path.glob("*.log")) == []


def test_the_traceback_survives_when_a_stage_takes_its_folder_away(call, study, tmp_path):
    body = """\
import shutil
run_dir.logs.mkdir(parents=True)
logging.getLogger('cherenkov_mlops').info('started')
shutil.rmtree(run_dir.path)
raise ValueError('odd')"""
    assert call("report", study, body=body).returncode == 1
    (log,) = tmp_path.glob("cherenkov-mlops-report-*.log")
    assert "ValueError: odd" in log.read_text()


def test_the_console_of_rich_is_the_terminal(start, study):
    body = "import rich\nrich.get_console().print('on the terminal')"
    assert start("report", study, body=body).stdout == "on the terminal\n"


def test_ctrl_c_ends_with_130_and_one_line(start, study):
    body = "import signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)"
    result = start("report", study, body=body)
    assert (result.returncode, result.stdout) == (130, "")
    assert result.stderr == "interrupted; the same command starts the stage again\n"

"""What ``compress`` and ``test --engine`` answer to requests that make no sense."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected --to, --measure or --budget, got none of them"),
        (["--budget", "fast"], "--budget: expected a rate above zero, as 1kHz, 1.5kHz or 1000"),
        (["--budget", "1 lightyear"], "--budget: expected a rate above zero"),
        (["--measure"], "expected a trained run, got a run that is not trained"),
        (["--budget", "1kHz"], "expected a trained run, got a run that is not trained"),
    ],
)
def test_requests_that_cannot_be_met_are_one_line(call, study, arguments, said):
    result = call("compress", study, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_unknown_forms_are_told_with_those_there_are(call, study):
    result = call("compress", study, "--to", "int3")
    assert result.returncode == 2
    assert all(form in result.stderr for form in ("int8", "onnx-int8", "openvino", "packed"))


def test_unknown_engines_are_told_with_those_there_are(call, study):
    result = call("test", study, "--engine", "fastest")
    assert result.returncode == 2
    assert "expected one of keras, litert, onnx, openvino, auto, got 'fastest'" in result.stderr
    assert result.stderr.count("\n") == 1

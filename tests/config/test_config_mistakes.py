"""Every mistake in a YAML file is one clear line with its place, and all come at once."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.errors import ConfigError

LENIENT = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def problems_of(path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_config(path, overrides)
    return [problem.replace(f"{path}", path.name) for problem in error.value.problems]


def test_five_mistakes_are_five_lines_in_order(write_yaml):
    text = """\
run:
  name: my run
task: energies
data:
  train:
    signal: gammas.h5
train:
  n_epoch: 5
  lr_reducing:
    patience: soon
pruning:
    final_sparsity: 80
"""
    assert problems_of(write_yaml(text)) == [
        "study.yaml:2:3: run.name: expected a name of letters, digits, '.', '_' and '-', "
        "got 'my run'",
        "study.yaml:3:1: task: expected one of type, energy, cameradirection, skydirection, "
        "got 'energies'; did you mean 'energy'?",
        "study.yaml:8:3: train.n_epoch: unknown key; did you mean 'n_epochs'?",
        "study.yaml:10:5: train.lr_reducing.patience: expected a whole number of at least 0, "
        "got 'soon'",
        "study.yaml:12:5: pruning.final_sparsity: expected 0 to 1, got 80; write 0.8 for 80 %",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "study.yaml: the file is empty; `cherenkov-mlops init` writes one to start from"),
        ("# nothing\n", "study.yaml: the file is empty"),
        ("hello", "study.yaml: expected sections such as 'run:', got 'hello'"),
        ("- 1\n- 2\n", "study.yaml: expected sections such as 'run:', got a list of 2"),
        ("run:\n\tname: a\n", "study.yaml:2:1: expected spaces, got a tab"),
        ("run: {name: a\ntask: b\n", "study.yaml:2:5: not YAML: "),
        ("run: [1, 2\n", "study.yaml:2:1: not YAML: "),
        ("a: 1\n---\nb: 2\n", "study.yaml:2:1: expected one document, got a second one"),
        ("a: \x00\n", "study.yaml:1:1: not YAML: "),
        ("[" * 5000, "study.yaml:1:1: not YAML: nested too deeply"),
    ],
)
def test_broken_text_is_one_line(write_yaml, text, expected):
    assert problems_of(write_yaml(text))[0].startswith(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("task: energy", "7:1: task: stands twice, first in line 3; remove one of them"),
        ("trian: {}", "7:1: trian: unknown key; did you mean 'train'?"),
        ("n_epochs: 3", "7:1: n_epochs: unknown key; did you mean 'train.n_epochs'?"),
        ("train: 5", "7:1: train: expected a section, got 5"),
        ("train:", "7:1: train: expected a section, got null"),
        ("train: {n_epochs: '5'}", "7:9: train.n_epochs: expected a whole number of at least 1, "
         "got '5'; write 5 without quotes"),
        ("train: {n_epochs: 5.5}", "7:9: train.n_epochs: expected a whole number of at least 1, "
         "got 5.5"),
        ("train: {n_epochs: true}", "7:9: train.n_epochs: expected a whole number of at least 1, "
         "got true"),
        ("train: {save_best_validation_only: yes}", "7:9: train.save_best_validation_only: "
         "expected true or false, got 'yes'; write true"),
        ("train: {validation_split: 20}", "7:9: train.validation_split: expected 0.01 to 0.99, "
         "got 20; write 0.2 for 20 %"),
        ("sampling: {percentage_per_epoch: 40}", "7:12: sampling.percentage_per_epoch: expected a "
         "number above 0 and up to 1, got 40; write 0.4 for 40 %"),
        ("sampling: {percentage_per_epoch: .nan}", "7:12: sampling.percentage_per_epoch: expected "
         "a number above 0 and up to 1, got nan"),
        ("report: {title: 12}", "7:10: report.title: expected text or null, got 12; "
         "write '12' in quotes"),
        ("model: {init_layer: {filters: 3}}", "7:9: model.init_layer: refused: CTLearn drops this "
         "layer and then rejects the data; leave it out"),
        ("model: {type: Resnet}", "7:9: model.type: expected one of SingleCNN, ResNet, custom, "
         "loaded, got 'Resnet'; did you mean 'ResNet'?"),
        ("model: {architecture: [{filters: 3, block: 2}]}", "7:37: model.architecture[0].block: "
         "unknown key; did you mean 'blocks'?"),
        ("model: {head_layers: {energi: [1]}}", "7:23: model.head_layers.energi: expected one of "
         "type, energy, cameradirection, skydirection, got 'energi'; did you mean 'energy'?"),
        ("ctlearn: {DLImageReader: 3}", "7:11: ctlearn.DLImageReader: expected a section, got 3"),
        ("report: {title: !x 12}", "7:17: report.title: expected no tag, got !x"),
        ("report: {title: !!int x}", "7:17: report.title: not a value of type int: x"),
        ("slurm: &x {binds: [*x]}", "7:8: slurm.binds[0]: an anchor that contains itself"),
        ("[1]: 2", "7:1: expected a name before ':', got a list or a section"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_line(write_yaml, minimal, line, expected):
    assert problems_of(write_yaml(minimal + line + "\n"))[0] == f"study.yaml:{expected}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("run:\n  name: first\n", "", "study.yaml: run: missing; expected a section"),
        ("  name: first", "  seed: 1", "study.yaml:1:1: run.name: missing; expected a name of "
         "letters, digits, '.', '_' and '-'"),
        ("task: energy\n", "", "study.yaml: tasks: missing; expected a list, each item one "
         "of type, energy, cameradirection, skydirection"),
        ("signal: gammas.h5", "signal: []", "study.yaml:6:5: data.train.signal: expected at least "
         "one file, folder or pattern, got none"),
        ("signal: gammas.h5", "signal: [gammas.h5, 3]", "study.yaml:6:25: data.train.signal[1]: "
         "expected text, got 3; write '3' in quotes"),
    ],
)  # fmt: skip
def test_a_missing_or_empty_value_is_one_line(write_yaml, minimal, old, new, expected):
    assert problems_of(write_yaml(minimal.replace(old, new))) == [expected]


def test_a_mistake_of_type_and_one_of_fit_are_reported_together(write_yaml, minimal):
    text = minimal.replace("energy", "skydirection") + "train: {n_epochs: 0}\n"
    assert problems_of(write_yaml(text)) == [
        "study.yaml:4:1: data.mode: task skydirection needs mode stereo, got mono; "
        "write stereo, or take task cameradirection",
        "study.yaml:7:9: train.n_epochs: expected a whole number of at least 1, got 0",
    ]


def test_no_word_of_the_validation_library_is_shown(write_yaml, minimal):
    text = minimal + "train: [1]\ndata2: 1\nmodel: {type: 3, batchnorm: 7}\ntest: {threshold: []}\n"
    shown = "\n".join(problems_of(write_yaml(text)))
    for word in ("pydantic", "Input", "input_type", "valid ", "dictionary", "instance", "Extra"):
        assert word not in shown


def test_a_missing_file_a_folder_and_a_binary_file_are_one_line(tmp_path):
    assert problems_of(tmp_path / "no.yaml") == ["no.yaml: no such file"]
    assert problems_of(tmp_path) == [f"{tmp_path.name}: expected a YAML file, got a folder"]
    (tmp_path / "study.yaml").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert problems_of(tmp_path / "study.yaml") == [
        "study.yaml: expected text in UTF-8, got another encoding or a binary file"
    ]


def load_or_complain(path, *overrides: str) -> None:
    """Load; the only exception that may come is one with lines for the user."""
    try:
        config = load_config(path, overrides)
    except ConfigError as error:
        assert error.problems
        assert all(problem and "\n" not in problem for problem in error.problems)
    else:
        assert isinstance(config, RunConfig)


@LENIENT
@given(text=st.text())
def test_any_text_loads_or_complains(write_yaml, text):
    path = write_yaml()
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    load_or_complain(path)


@LENIENT
@given(text=st.text(alphabet="abtru:-[]{},&*!|>'\"#%@<.~0123e \n\t", max_size=60))
def test_any_yaml_like_text_loads_or_complains(write_yaml, minimal, text):
    load_or_complain(write_yaml(minimal + text))


YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@LENIENT
@given(section=st.sampled_from(sorted(RunConfig.model_fields)), value=YAML_VALUES)
def test_any_value_of_any_section_loads_or_complains(write_yaml, minimal, section, value):
    from_python = repr(value).replace("None", "null").replace("True", "true")
    load_or_complain(write_yaml(), f"{section}={from_python}")

"""Configurations to start from load as they are."""

import pytest

from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.config.template import TELESCOPES, make_template
from cherenkov_mlops.errors import UserError
from cherenkov_mlops.tasks import TASKS


@pytest.mark.parametrize("telescope", TELESCOPES)
@pytest.mark.parametrize("task", TASKS)
def test_every_template_loads(write_yaml, task, telescope):
    config = load_config(write_yaml(make_template(task, telescope, "my study")))
    assert (config.run.name, config.tasks) == ("my_study", [task])
    assert config.data.allowed_tel_types == [TELESCOPES[telescope].tel_type]
    assert bool(config.data.train.background) == TASKS[task].needs_background


def test_templates_explain_themselves():
    text = make_template("type", "SST1M", "study")
    assert "# Passes over the training set." in text
    assert all(len(line) <= 100 for line in text.splitlines())


@pytest.mark.parametrize(("task", "telescope"), [("typo", "SST1M"), ("type", "SST2M")])
def test_unknown_names_are_refused_with_a_hint(task, telescope):
    with pytest.raises(UserError, match="did you mean"):
        make_template(task, telescope, "study")

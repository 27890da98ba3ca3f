"""Options that must fit each other."""

import pytest

from cherenkov_mlops.config.load import load_config
from cherenkov_mlops.errors import ConfigError

STEREO = "data={train: {signal: g.h5}, mode: stereo, stack_telescope_images: true}"

FITS = [
    ["task=type", "data.train.background=p.h5"],
    ["task=cameradirection"],
    ["task=skydirection", STEREO],
    [STEREO, "model.type=SingleCNN"],
    ["model={type: ResNet, architecture: [{filters: 8, blocks: 1}]}"],
    ["model={type: SingleCNN, architecture: [{filters: 8, kernel_size: 3, number: 1}]}"],
    ["model={type: custom, file: a.py, class: Net, options: {x: 1}}"],
    ["model={type: loaded, load_model_from: a.keras, overwrite_head: true}"],
    ["model={type: loaded, load_model_from: a.keras, pooling_type: null}"],
    ["model.head_layers={energy: [64, 1]}"],
    ["pruning={initial_sparsity: 0.2, final_sparsity: 0.5, begin_step: 0, end_step: 10}"],
    # As runs of older versions have it in their resolved configuration.
    ["pruning={structure: weights, block_size: [4, 4], final_sparsity: 0.5}"],
    ["pruning={scope: model, layers: {'conv1_*': 0.3}, exclude: [fc_*]}"],
]

MISFITS = {
    "data.train.background: task type needs files of a second class": ["task=type"],
    "data.mode: task skydirection needs mode stereo, got mono": ["task=skydirection"],
    "data.mode: task cameradirection needs mode mono, got stereo": [STEREO, "task=cameradirection"],
    "data.stack_telescope_images: model ResNet in mode stereo needs it; write true": [
        "data.mode=stereo"
    ],
    "data.stack_telescope_images: only mode stereo stacks images": [
        "data.stack_telescope_images=true"
    ],
    "data.sort_by_intensity: only mode stereo sorts images": ["data.sort_by_intensity=true"],
    "data.sort_by_intensity: stacked images cannot be sorted": [
        STEREO,
        "data.sort_by_intensity=true",
    ],
    "data.classes: expected two different names, got 'gamma' twice": [
        "data.classes={signal: gamma, background: gamma}"
    ],
    "model.batchnorm: belongs to model type SingleCNN, got type ResNet": ["model.batchnorm=true"],
    "model.residual_block_type: belongs to model type ResNet, got type SingleCNN": [
        "model={type: SingleCNN, residual_block_type: basic}"
    ],
    "model.options: belongs to model type custom, got type ResNet": ["model.options={a: 1}"],
    "model.trainable_backbone: belongs to model type custom and loaded": [
        "model.trainable_backbone=false"
    ],
    "model.file: missing; model type custom needs it": ["model={type: custom, class: Net}"],
    "model.class: missing; model type custom needs it": ["model={type: custom, file: a.py}"],
    "model.load_model_from: missing; model type loaded needs it": ["model.type=loaded"],
    "model.architecture[0]: expected blocks, filters for ResNet, got filters, number": [
        "model.architecture=[{filters: 3, number: 1}]"
    ],
    "model.head_layers.energy: expected 1 neurons in the last layer, got 2": [
        "model.head_layers={energy: [64, 2]}"
    ],
    "test.energy_max_tev: expected more than test.energy_min_tev = 5, got 2": [
        "test={energy_min_tev: 5, energy_max_tev: 2}"
    ],
    "pruning.final_sparsity: expected more than pruning.initial_sparsity = 0.6, got 0.5": [
        "pruning.initial_sparsity=0.6"
    ],
    "pruning.initial_sparsity: a constant sparsity is final_sparsity from the beginning": [
        "pruning={schedule: constant, initial_sparsity: 0.1, final_sparsity: 0.5}"
    ],
    "pruning.structure: there is no choice any more, single weights go; leave it out": [
        "pruning={structure: '2:4', schedule: constant}"
    ],
    "pruning.kind: filters go layer by layer; leave scope out": [
        "pruning={kind: filters, scope: model}"
    ],
    "pruning.end_step: expected more than pruning.begin_step = 9, got 9": [
        "pruning={begin_step: 9, end_step: 9}"
    ],
}


@pytest.mark.parametrize("overrides", FITS, ids=" ".join)
def test_what_fits_loads(write_yaml, overrides):
    load_config(write_yaml(), overrides)


@pytest.mark.parametrize("message", MISFITS)
def test_what_does_not_fit_is_one_line(write_yaml, message):
    with pytest.raises(ConfigError) as error:
        load_config(write_yaml(), MISFITS[message])
    assert len(error.value.problems) == 1
    key, _, rest = message.partition(": ")
    # An override that sets the key itself names it only once.
    assert f"{key}: {rest}" in error.value.problems[0].removeprefix("-o ")

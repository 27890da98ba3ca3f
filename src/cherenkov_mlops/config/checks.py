"""Options that must fit each other: task, mode, model, limits."""

from collections.abc import Callable, Iterator
from typing import Any

from cherenkov_mlops.config.model_section import MODEL_TYPES, ModelSection
from cherenkov_mlops.config.words import fields_of, show
from cherenkov_mlops.tasks import TASKS

Ask = Callable[[str], Any]
"""Value of an option by dotted key, its default where it is not given."""

Found = Iterator[tuple[str, str]]
"""Pairs of a dotted key and a message."""


class NotKnown(Exception):
    """The value of an option is wrong itself, so nothing can be said about its fit."""


def check_tasks(ask: Ask) -> Found:
    """Find tasks that stand twice, or whose predictions would stand in one place."""
    names = ask("tasks")
    places: dict[tuple[str, str], str] = {}
    for number, name in enumerate(names):
        place = (TASKS[name].dl2.group, TASKS[name].dl2.prefix)
        before = places.setdefault(place, name)
        if name in names[:number]:
            yield f"tasks[{number}]", f"{name} stands twice; leave one out"
        elif before != name:
            yield (
                f"tasks[{number}]",
                f"{name} and {before} have one place in DL2 files; leave one out",
            )
    is_learnt_alone = len(names) > 1 and not ask("test.with_runs")
    if is_learnt_alone and len(set(names)) == len(names):
        yield (
            "tasks",
            "one network learns one task as yet; write one, and name trained runs of the others "
            "in test.with_runs",
        )


def check_tasks_fit_mode(ask: Ask) -> Found:
    """Find tasks that make no sense in the mode."""
    mode = ask("data.mode")
    for name in ask("tasks"):
        task = TASKS[name]
        if mode not in task.modes:
            modes = " or ".join(task.modes)
            other = f", or take task {task.elsewhere}" if task.elsewhere else ""
            yield "data.mode", f"task {name} needs mode {modes}, got {mode}; write {modes}{other}"


def check_files_by_class(ask: Ask) -> Found:
    """Find no training files for a class that the task learns from."""
    if not ask("data.train.signal"):
        yield "data.train.signal", "expected at least one file, folder or pattern, got none"
    names = [name for name in ask("tasks") if TASKS[name].needs_background]
    if names and not ask("data.train.background"):
        yield (
            "data.train.background",
            f"task {', '.join(names)} needs files of a second class, got none; "
            "write a file, folder or pattern",
        )


def check_class_names(ask: Ask) -> Found:
    """Find one name for both classes."""
    if ask("data.classes.signal") == ask("data.classes.background"):
        name = show(ask("data.classes.signal"))
        yield "data.classes", f"expected two different names, got {name} twice"


def check_stacking(ask: Ask) -> Found:
    """Find stacked or sorted images where CTLearn cannot stack or sort them."""
    stacked, stereo = ask("data.stack_telescope_images"), ask("data.mode") == "stereo"
    shipped = ask("model.type") in ("SingleCNN", "ResNet")
    if stereo and shipped and not stacked:
        kind = ask("model.type")
        yield "data.stack_telescope_images", f"model {kind} in mode stereo needs it; write true"
    if stacked and not stereo:
        yield "data.stack_telescope_images", "only mode stereo stacks images; write false"
    if ask("data.min_telescopes") > 1 and not stereo:
        yield "data.min_telescopes", "only mode stereo counts telescopes; write 1"


def check_sorting(ask: Ask) -> Found:
    """Find images sorted by intensity in mono, or stacked as well."""
    if not ask("data.sort_by_intensity"):
        return
    if ask("data.mode") != "stereo":
        yield "data.sort_by_intensity", "only mode stereo sorts images; write false"
    elif ask("data.stack_telescope_images"):
        yield "data.sort_by_intensity", "stacked images cannot be sorted; write false"


def check_waveforms(ask: Ask) -> Found:
    """Find options of waveforms where images are read."""
    if ask("data.reader") == "images" and ask("data.sequence_length") is not None:
        yield (
            "data.sequence_length",
            "only waveforms have a sequence; write data.reader: waveforms, or leave it out",
        )


def check_model_options(ask: Ask) -> Found:
    """Find options of another model type."""
    kind = ask("model.type")
    for name, info in fields_of(ModelSection).items():
        unset = (None, info.get_default())
        if name == "type" or name in MODEL_TYPES[kind] or ask(f"model.{name}") in unset:
            continue
        owners = " and ".join(owner for owner in MODEL_TYPES if name in MODEL_TYPES[owner])
        yield f"model.{name}", f"belongs to model type {owners}, got type {kind}; leave it out"


def check_model_source(ask: Ask) -> Found:
    """Find no file or class for a custom model, no file for a loaded one."""
    needed = {"custom": ("file", "class"), "loaded": ("load_model_from",)}
    for name in needed.get(ask("model.type"), ()):
        if ask(f"model.{name}") is None:
            yield f"model.{name}", f"missing; model type {ask('model.type')} needs it"


def check_architecture(ask: Ask) -> Found:
    """Find rows of an architecture with the keys of the other model."""
    keys = {"SingleCNN": {"filters", "kernel_size", "number"}, "ResNet": {"filters", "blocks"}}
    expected = keys.get(ask("model.type"))
    for number, row in enumerate(ask("model.architecture") or [] if expected else []):
        if set(row) != expected:
            yield (
                f"model.architecture[{number}]",
                f"expected {', '.join(sorted(expected))} for {ask('model.type')}, "
                f"got {', '.join(sorted(row))}",
            )


def check_head(ask: Ask) -> Found:
    """Find a head whose last layer has not as many neurons as the task has outputs."""
    for task, neurons in (ask("model.head_layers") or {}).items():
        if not neurons or neurons[-1] != TASKS[task].n_outputs:
            yield (
                f"model.head_layers.{task}",
                f"expected {TASKS[task].n_outputs} neurons in the last layer, "
                f"got {neurons[-1] if neurons else 'no layer'}",
            )


def check_limits(ask: Ask) -> Found:
    """Find an upper limit that is not above its lower one."""
    for low, high in (
        ("test.energy_min_tev", "test.energy_max_tev"),
        ("pruning.initial_sparsity", "pruning.final_sparsity"),
        ("pruning.begin_step", "pruning.end_step"),
    ):
        if low.startswith("pruning") and ask("pruning") is None:
            continue
        if ask(high) is not None and not ask(low) < ask(high):
            yield high, f"expected more than {low} = {ask(low):g}, got {ask(high):g}"


def check_pruning(ask: Ask) -> Found:
    """Find options of pruning that have no meaning together."""
    if ask("pruning") is None:
        return
    if ask("pruning.schedule") == "constant" and ask("pruning.initial_sparsity"):
        yield (
            "pruning.initial_sparsity",
            "a constant sparsity is final_sparsity from the beginning; leave it out",
        )
    if ask("pruning.kind") == "filters" and ask("pruning.scope") != "layer":
        yield "pruning.kind", "filters go layer by layer; leave scope out"


def check_quantization(ask: Ask) -> Found:
    """Find half precision, or a changing shape, while the network learns to use 8 bits."""
    if ask("quantization") is None:
        return
    if ask("pruning") is not None and ask("pruning.kind") == "filters":
        yield (
            "pruning.kind",
            "filters are taken out of a network that is not rounded; prune first, then load that "
            "model (model.type: loaded) for a training with quantization",
        )
    if ask("train.mixed_precision"):
        yield (
            "train.mixed_precision",
            "quantization rounds numbers of 32 bits, got 16; write mixed_precision: false",
        )


CHECKS: tuple[Callable[[Ask], Found], ...] = (
    check_tasks,
    check_tasks_fit_mode,
    check_files_by_class,
    check_class_names,
    check_stacking,
    check_sorting,
    check_waveforms,
    check_model_options,
    check_model_source,
    check_architecture,
    check_head,
    check_limits,
    check_pruning,
    check_quantization,
)


def check_together(ask: Ask) -> Found:
    """Find all mistakes in how the options fit; a check that needs a wrong value is left out."""
    for check in CHECKS:
        try:
            yield from check(ask)
        except NotKnown:
            continue

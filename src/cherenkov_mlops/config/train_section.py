"""How the network learns: ``train``, ``sampling``, ``pruning`` and ``quantization``."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cherenkov_mlops.config.base import Fraction, Section

Share = Annotated[float, Field(ge=0, le=1)]


class Optimizer(Section):
    """Optimizer of the training."""

    name: Literal["Adam", "Adadelta", "RMSProp", "SGD"] = Field(
        "Adam", description="Keras optimizer."
    )
    base_learning_rate: float = Field(
        1e-4, gt=0, description="Learning rate at the first step (no unit)."
    )
    adam_epsilon: float = Field(
        1e-8, gt=0, description="Adam only: keeps its division from overflowing (no unit)."
    )


class LrReducing(Section):
    """Lower learning rate when the validation loss stands still."""

    factor: float = Field(0.5, gt=0, lt=1, description="New learning rate = old one x factor.")
    patience: int = Field(5, ge=0, description="Epochs without improvement before it is lowered.")
    min_delta: float = Field(
        0.01, ge=0, description="Smallest change of the loss that counts as improvement."
    )
    min_lr: float = Field(1e-6, ge=0, description="Learning rate that is never gone below.")


class EarlyStopping(Section):
    """End of the training before the last epoch."""

    monitor: str = Field(
        "val_loss", min_length=1, description="Logged quantity to watch, such as val_loss."
    )
    patience: int = Field(5, ge=0, description="Epochs without improvement before it stops.")
    verbose: int = Field(1, ge=0, le=1, description="1 says in the log when it stops, 0 does not.")
    restore_best_weights: bool = Field(
        True, description="Go back to the weights of the best epoch at the end."
    )


class TrainSection(Section):
    """Training; names as in CTLearn."""

    n_epochs: int = Field(10, ge=1, description="Passes over the training set.")
    batch_size: int = Field(64, ge=1, description="Samples a step; limited by the GPU's memory.")
    validation_split: float = Field(
        0.1,
        ge=0.01,
        le=0.99,
        description="Share of the training data kept for validation, as a fraction.",
    )
    split_by: Literal["event", "file"] = Field(
        "event",
        description="What must not stand on both sides of the split: all images of a shower "
        "(event), or of a file.",
    )
    optimizer: Optimizer = Field(Optimizer(), description="Optimizer and its learning rate.")
    lr_reducing: LrReducing | None = Field(
        LrReducing(), description="Lowering of the learning rate on a plateau; null = never."
    )
    early_stopping: EarlyStopping | None = Field(
        None, description="Early end of the training; null = always all epochs."
    )
    save_best_validation_only: bool = Field(
        True, description="Keep the model of the best validation loss, not of the last epoch."
    )
    mixed_precision: bool = Field(
        False,
        description="Compute in float16 while training, for GPUs with tensor cores; weights, "
        "output and the saved model stay float32.",
    )
    xla: bool = Field(
        False,
        description="Compile the training step by XLA: a slow start, faster steps; one device.",
    )


class SamplingSection(Section):
    """What each epoch sees."""

    percentage_per_epoch: Fraction = Field(
        1.0,
        description="Share of the batches that each epoch draws afresh, as a fraction: 0.4 = 40 %.",
    )
    balance: Literal["none", "classes", "energy"] = Field(
        "none",
        description="What each epoch draws equally often: classes = as many events of each class; "
        "energy = flat in log10 E within each class; some events repeat then.",
    )


#: Options of pruning that there were -> what to do where they still stand.
GONE_OPTIONS = {
    "structure": "there is no choice any more, single weights go; leave it out, or write "
    "kind: filters for a network that computes faster",
    "block_size": "blocks of weights cannot be pruned any more; leave it out",
}
#: What older runs have among their settings, and means what is done without it.
OLD_DEFAULTS = {"pruning.structure": "weights", "pruning.block_size": [4, 4]}


class PruningSection(Section):
    """Magnitude pruning during the training."""

    kind: Literal["weights", "filters"] = Field(
        "weights",
        description="weights: they become zero, the network keeps its shape; filters: those of the "
        "smallest L1 norm are taken out after the training, the network becomes smaller and "
        "faster. Sparsities are shares of the filters then.",
    )
    schedule: Literal["polynomial", "constant"] = Field(
        "polynomial",
        description="polynomial: the sparsity rises from begin_step to end_step; constant: it is "
        "final_sparsity from begin_step on.",
    )
    initial_sparsity: Share = Field(
        0.0, description="Share of zero weights at begin_step, as a fraction."
    )
    final_sparsity: Share = Field(
        0.5, description="Share of zero weights at end_step, as a fraction."
    )
    begin_step: int = Field(0, ge=0, description="When the first weights go, in units of unit.")
    end_step: int | None = Field(
        None,
        ge=1,
        description="When the last weights go, in units of unit; null = after four fifths of the "
        "epochs. Only epochs that end at final_sparsity compete for the best model.",
    )
    unit: Literal["steps", "epochs"] = Field(
        "steps", description="Unit of begin_step and end_step: steps (batches) or epochs."
    )
    frequency: int = Field(100, ge=1, description="Training steps (batches) between two prunings.")
    filter_multiple: int = Field(
        8, ge=1, description="filters: as many stay as the nearest multiple of it; CPUs like 8."
    )
    scope: Literal["layer", "model"] = Field(
        "layer",
        description="What has one threshold: each layer, or the whole model, whose layers become "
        "differently sparse.",
    )
    max_layer_sparsity: Share = Field(
        0.98, description="scope model: the sparsest that a layer may become, as a fraction."
    )
    exclude: list[str] = Field(
        [],
        description="Patterns of layer names that stay dense, such as conv1_*; the last layer "
        "before the output always does.",
    )
    layers: dict[str, Share] = Field(
        {}, description="Final sparsity of layers by pattern of their names, as {conv1_*: 0.3}."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_old_files(cls, content: Any) -> Any:
        """Leave out what older runs wrote and still means the same: the default structure."""
        if isinstance(content, dict) and content.get("structure", "weights") == "weights":
            return {key: value for key, value in content.items() if key not in GONE_OPTIONS}
        return content


class QuantizationSection(Section):
    """Training for an export of small numbers."""

    aware: Literal["int8"] = Field(
        "int8",
        description="Numbers that the network learns to compute with: weights and values rounded "
        "to 8 bits while it trains; compress --to int8 then exports the ranges that it learnt.",
    )
    range_momentum: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="Moving averages of the lowest and the highest value of each layer: share of "
        "the old average that stays at each step, as a fraction.",
    )

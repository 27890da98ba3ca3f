"""The ``model`` section: which network, with which options."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer

from cherenkov_mlops.config.base import FilePath, Section, TaskName

Neurons = Annotated[int, Field(ge=1)]

_HEAD = ("head_layers", "head_activation_function")
_ATTENTION = ("attention_mechanism", "attention_reduction_ratio")
OPTIONS_OF_TYPE: dict[str, tuple[str, ...]] = {
    "SingleCNN": (
        "architecture",
        "pooling_type",
        "pooling_parameters",
        "batchnorm",
        "bottleneck_filters",
        *_ATTENTION,
        *_HEAD,
    ),
    "ResNet": ("architecture", "residual_block_type", *_ATTENTION, *_HEAD),
    "custom": ("file", "class", "options", "trainable_backbone", *_HEAD),
    "loaded": ("load_model_from", "overwrite_head", "trainable_backbone", *_HEAD),
}
"""YAML keys of the ``model`` section, besides ``type``, that each model type knows."""

# CTLearn has these options, but its layers are dropped and the data rejected afterwards.
BROKEN_OPTIONS = ("init_layer", "init_max_pool", "init_padding")


class ArchitectureBlock(Section):
    """One row of the architecture of a SingleCNN or a ResNet."""

    filters: int = Field(ge=1, description="Number of filters (output channels).")
    kernel_size: int | None = Field(
        None, ge=1, description="SingleCNN: kernel size in image pixels."
    )
    number: int | None = Field(None, ge=1, description="SingleCNN: convolutions in a row.")
    blocks: int | None = Field(None, ge=1, description="ResNet: residual blocks in a row.")

    @model_serializer(mode="wrap")
    def _without_other_types(self, serialize: Any) -> dict[str, Any]:
        return {key: value for key, value in serialize(self).items() if value is not None}


class PoolingParameters(Section):
    """Pooling after each row of convolutions."""

    size: int = Field(2, ge=1, description="Window in image pixels.")
    strides: int = Field(2, ge=1, description="Step in image pixels.")


class ModelSection(Section):
    """The network; an option left at null keeps the default of CTLearn or of the model."""

    type: Literal["SingleCNN", "ResNet", "custom", "loaded"] = Field(
        "ResNet",
        description="CTLearn's SingleCNN (fast) or ResNet, your own class from a Python file "
        "(custom), or a trained model to go on from (loaded).",
    )
    architecture: list[ArchitectureBlock] | None = Field(
        None,
        min_length=1,
        description="SingleCNN: list of {filters, kernel_size, number}; ResNet: list of "
        "{filters, blocks}.",
    )
    residual_block_type: Literal["basic", "bottleneck"] | None = Field(
        None, description="ResNet: kind of residual block; CTLearn's default is bottleneck."
    )
    pooling_type: Literal["max", "average"] | None = Field(
        "max", description="SingleCNN: pooling after each row; null = none."
    )
    pooling_parameters: PoolingParameters | None = Field(
        None, description="SingleCNN: pooling window; CTLearn's default is size 2, strides 2."
    )
    batchnorm: bool | None = Field(None, description="SingleCNN: batch normalisation.")
    bottleneck_filters: int | None = Field(
        None, ge=1, description="SingleCNN: filters of a last 1x1 convolution; null = none."
    )
    attention_mechanism: Literal["Dual-SE", "Channel-SE", "Spatial-SE"] | None = Field(
        "Dual-SE", description="SingleCNN, ResNet: squeeze-and-excitation; null = none."
    )
    attention_reduction_ratio: int | None = Field(
        None, ge=1, description="SingleCNN, ResNet: squeeze ratio; CTLearn's default is 16."
    )
    head_layers: dict[TaskName, list[Neurons]] | None = Field(
        None, description="Neurons of each layer of the head by task; the last must be its outputs."
    )
    head_activation_function: dict[TaskName, str] | None = Field(
        None, description="Activation of the head by task, a Keras name such as relu or tanh."
    )
    file: FilePath | None = Field(None, description="custom: Python file that holds the class.")
    class_name: str | None = Field(
        None, alias="class", min_length=1, description="custom: name of the class in that file."
    )
    options: dict[str, Any] = Field(
        {}, description="custom: options that are passed to the class unchanged."
    )
    load_model_from: FilePath | None = Field(
        None, description="loaded: trained .keras file to go on from."
    )
    overwrite_head: bool | None = Field(
        None, description="loaded: put a new, untrained head on the backbone."
    )
    trainable_backbone: bool | None = Field(
        None, description="custom, loaded: false freezes the backbone; default true."
    )

    @model_serializer(mode="wrap")
    def _without_other_types(self, serialize: Any) -> dict[str, Any]:
        # Defaults of another type would be refused when the dumped section is read again.
        own = ("type", *OPTIONS_OF_TYPE[self.type])
        return {key: value for key, value in serialize(self).items() if key in own}

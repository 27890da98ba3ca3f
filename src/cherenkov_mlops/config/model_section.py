"""The ``model`` section: which network, with which options."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_serializer

from cherenkov_mlops.config.base import Expected, FilePath, Section, TaskName
from cherenkov_mlops.registry import Registry

Neurons = Annotated[int, Field(ge=1)]

_HEAD = ("head_layers", "head_activation_function")
_ATTENTION = ("attention_mechanism", "attention_reduction_ratio")
#: Name of a model type -> keys of the section ``model``, beside ``type``, that it knows. Other
#: packages add theirs by ``models.base.add_model``.
MODEL_TYPES: Registry[tuple[str, ...]] = Registry("model type")
MODEL_TYPES.add(
    "SingleCNN",
    (
        "architecture",
        "pooling_type",
        "pooling_parameters",
        "batchnorm",
        "bottleneck_filters",
        *_ATTENTION,
        *_HEAD,
    ),
)
MODEL_TYPES.add("ResNet", ("architecture", "residual_block_type", *_ATTENTION, *_HEAD))
MODEL_TYPES.add("custom", ("file", "class", "options", "trainable_backbone", *_HEAD))
MODEL_TYPES.add("loaded", ("load_model_from", "overwrite_head", "trainable_backbone", *_HEAD))


def _is_model_type(name: str) -> str:
    if name not in MODEL_TYPES:
        raise ValueError("unknown model type")
    return name


ModelName = Annotated[str, AfterValidator(_is_model_type), Expected(names=MODEL_TYPES)]
"""Name of a model type; which there are, the registry says when a configuration is checked."""

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

    type: ModelName = Field(
        "ResNet",
        description="CTLearn's SingleCNN (fast) or ResNet, your own class from a Python file "
        "(custom), or a trained model to go on from (loaded); or a type of another package.",
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
        {}, description="custom, and types of other packages: options that are passed on unchanged."
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
        own = ("type", *MODEL_TYPES[self.type])
        return {key: value for key, value in serialize(self).items() if key in own}

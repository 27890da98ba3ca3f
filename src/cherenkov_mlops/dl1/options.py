"""Options of the reader, from our configuration and from what ``ctlearn:`` says."""

from typing import Any

from traitlets.config import Config

from cherenkov_mlops.config.schema import RunConfig

READER_CLASSES = {"images": "DLImageReader", "waveforms": "DLWaveformReader"}
READER_OPTIONS = (
    "mode",
    "image_mapper_type",
    "min_telescopes",
    "focal_length_choice",
    "enforce_subarray_equality",
    "force_dl1_lookup",
    "allowed_tel_types",
    "allowed_tels",
)
KIND_OPTIONS = {
    "images": ("channels",),
    "waveforms": ("sequence_length", "sequence_position"),
}


def own_traits(config: RunConfig, telescopes: list[int] | None = None) -> Config:
    """Options of reader and cuts by CTLearn's names, without what ``ctlearn:`` says.

    Parameters
    ----------
    config : RunConfig
        The run.
    telescopes : list of int, optional
        Telescopes to use instead of ``data.allowed_tels``: those that have tables.
    """
    names = READER_OPTIONS + KIND_OPTIONS[config.data.reader]
    options: dict[str, Any] = {name: getattr(config.data, name) for name in names}
    if telescopes is not None:
        options["allowed_tels"], options["allowed_tel_types"] = telescopes, None
    criteria = [tuple(pair) for pair in config.data.quality_criteria]
    given = {name: value for name, value in options.items() if value is not None}
    return Config(
        {
            READER_CLASSES[config.data.reader]: given,
            "TableQualityQuery": {"quality_criteria": criteria},
        }
    )


def reader_traits(config: RunConfig, telescopes: list[int] | None = None) -> Config:
    """Options of reader and cuts; what ``ctlearn:`` says wins."""
    traits = own_traits(config, telescopes)
    traits.merge(Config(config.ctlearn))
    return traits

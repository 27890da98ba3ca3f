"""The ``data`` section: which files, which telescopes, which images."""

from typing import Annotated, Literal

from pydantic import Field

from cherenkov_mlops.config.base import Expected, FileList, FilePath, Section

Channel = Literal[
    "image",
    "log_image",
    "cleaned_image",
    "log_cleaned_image",
    "peak_time",
    "relative_peak_time",
    "cleaned_peak_time",
    "cleaned_relative_peak_time",
]

Mapper = Literal[
    "AxialMapper",
    "BicubicMapper",
    "BilinearMapper",
    "HexagdlyMapper",
    "NearestNeighborMapper",
    "OversamplingMapper",
    "RebinMapper",
    "ShiftingMapper",
    "SquareMapper",
]

Criterion = Annotated[
    list[str], Field(min_length=2, max_length=2), Expected("a pair [name, expression]")
]


class FileSets(Section):
    """DL1 files by class."""

    signal: FileList = Field(
        [],
        description="Files of the signal class, such as diffuse gammas: a path, a folder (its "
        "*.h5 files) or a pattern, or a list of them.",
    )
    background: FileList = Field(
        [],
        description="Files of the background class, such as protons; only tasks that tell "
        "two classes apart use them.",
    )


class Classes(Section):
    """Names of the two classes on every page."""

    signal: str = Field("gamma", min_length=1, description="Name of the signal class.")
    background: str = Field("proton", min_length=1, description="Name of the background class.")


class DataSection(Section):
    """Files, telescopes and images."""

    train: FileSets = Field(
        FileSets(), description="Files to train on; a share of them is kept for validation."
    )
    test: FileSets = Field(
        FileSets(), description="Files to test on; may stay empty until `test` runs."
    )
    classes: Classes = Field(Classes(), description="Names of the classes, for tables and figures.")
    mode: Literal["mono", "stereo"] = Field(
        "mono", description="One image a sample (mono), or all telescopes of a shower (stereo)."
    )
    reader: Literal["images", "waveforms"] = Field(
        "images",
        description="What the network sees: channels of DL1 images, or R1 waveforms, whose samples "
        "are its channels (for trigger studies).",
    )
    sequence_length: int | None = Field(
        None,
        ge=1,
        description="Waveforms: samples that the network sees; null = the whole readout window.",
    )
    sequence_position: Literal["center", "maximum"] = Field(
        "center",
        description="Waveforms: samples around the middle of the window, or around the brightest "
        "one.",
    )
    channels: list[Channel] = Field(
        ["cleaned_image", "cleaned_relative_peak_time"],
        min_length=1,
        description="Images: channels of CTLearn's reader; charges in photoelectrons, times in ns.",
    )
    image_mapper_type: Mapper = Field(
        "BilinearMapper",
        description="How hexagonal pixels become a square image; Axial- and ShiftingMapper keep "
        "exact neighbours and need a quarter of BilinearMapper's pixels.",
    )
    allowed_tel_types: list[str] | None = Field(
        None,
        description="Telescope types as ctapipe writes them, such as LST_LST_LSTCam; null = all "
        "in the files, which must then be of one type.",
    )
    allowed_tels: list[Annotated[int, Field(ge=0)]] | None = Field(
        None, description="Telescope ids; null = all of the allowed types."
    )
    min_telescopes: int = Field(
        1, ge=1, description="Fewest triggered telescopes that a shower must have."
    )
    stack_telescope_images: bool = Field(
        False,
        description="Stereo: stack the images of all telescopes as channels; the models SingleCNN "
        "and ResNet need it.",
    )
    sort_by_intensity: bool = Field(
        False, description="Stereo without stacking: brightest telescope first."
    )
    quality_criteria: list[Criterion] = Field(
        [["> 50 phe", "hillas_intensity > 50"]],
        description="Cuts, pairs of a name and an expression on the DL1 parameters; intensity in "
        "photoelectrons.",
    )
    focal_length_choice: Literal["EFFECTIVE", "EQUIVALENT"] = Field(
        "EFFECTIVE",
        description="Focal length for camera coordinates; EQUIVALENT for files without an "
        "effective one.",
    )
    enforce_subarray_equality: bool = Field(
        True,
        description="Refuse files whose subarrays differ; false allows production runs with "
        "different arrays.",
    )
    force_dl1_lookup: bool = Field(
        False,
        description="Match images to events by id instead of by row, for files whose rows do not "
        "line up; slower.",
    )
    cache: bool = Field(
        True,
        description="Train from a memory-mapped copy of the selected pixels, made at first use; "
        "false reads the HDF5 files (`--no-cache`).",
    )
    cache_dir: FilePath | None = Field(
        None,
        description="Folder of the copies; runs that share it share equal copies. null = `cache` "
        "in the run folder.",
    )
    cache_local_dir: FilePath | None = Field(
        None,
        description="Folder on a fast disk of the node, such as `$SLURM_TMPDIR/pixels`, that the "
        "copies are copied to before they are read; left out where the variable is not set or the "
        "disk is too small.",
    )
    cache_dtype: Literal["float32", "float16"] = Field(
        "float32",
        description="Type of the copied pixels: float32 is exact, float16 needs half the room and "
        "keeps three digits.",
    )

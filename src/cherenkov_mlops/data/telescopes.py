"""Which telescopes of which files a run can use."""

import logging
from collections.abc import Sequence
from pathlib import Path

from ctapipe.instrument import FocalLengthKind, SubarrayDescription

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.dl1_file import DL1File
from cherenkov_mlops.errors import DataError

log = logging.getLogger(__name__)


def read_subarray(path: str | Path, focal_length: str) -> SubarrayDescription:
    """Description of the telescopes in the file.

    Raises
    ------
    DataError
        The file has no focal length of the kind ``focal_length``, or no valid description.
    """
    try:
        return SubarrayDescription.from_hdf(path, focal_length_choice=FocalLengthKind[focal_length])
    except (RuntimeError, KeyError, ValueError, OSError) as error:
        raise DataError(
            f"{path}: telescope description cannot be read with {focal_length.lower()} focal "
            f"lengths ({' '.join(str(error).split())}); try data.focal_length_choice: EQUIVALENT"
        ) from error


def usable_telescopes(config: RunConfig, files: Sequence[DL1File]) -> list[int]:
    """Telescopes of one type, allowed by the configuration, with tables in at least one file.

    A telescope that lacks tables in some of the files is used where it has them, and the log says
    so once. Where ``data.enforce_subarray_equality`` is false, telescopes that only some arrays
    have, or have as another type, are left out, and the log says so.

    Raises
    ------
    DataError
        No telescope is left, telescopes of several types are, or the arrays differ.
    """
    arrays = [read_subarray(file.path, config.data.focal_length_choice) for file in files]
    candidates = _allowed(config, arrays[0])
    with_tables = {number for file in files for number in file.images}
    chosen = sorted(candidates & with_tables)
    if not chosen:
        raise DataError(
            f"{files[0].path}: none of the allowed telescopes {_short(candidates)} has images; "
            f"telescopes with images: {_short(with_tables)}"
        )
    _check_one_type(files[0].path, arrays[0], chosen)
    chosen = _in_all_arrays(config, files, arrays, chosen)
    _say_where_missing(files, chosen)
    return chosen


def idle_telescopes(
    config: RunConfig, files: Sequence[DL1File], usable: Sequence[int]
) -> list[int]:
    """Allowed telescopes of the type in use that have tables in no file."""
    array = read_subarray(files[0].path, config.data.focal_length_choice)
    of_type = set(array.get_tel_ids_for_type(array.tel[usable[0]]))
    with_tables = {number for file in files for number in file.images}
    return sorted(int(number) for number in (_allowed(config, array) & of_type) - with_tables)


def describe_camera(config: RunConfig, file: DL1File, telescope: int) -> str:
    """Type of a telescope with its number of pixels, such as ``SST_SST1M_DigiCam, 1296 pixels``."""
    subarray = read_subarray(file.path, config.data.focal_length_choice)
    geometry = subarray.tel[telescope].camera.geometry
    return f"{subarray.tel[telescope]}, {geometry.n_pixels} pixels"


def _check_one_type(path: str, subarray: SubarrayDescription, chosen: list[int]) -> None:
    types = sorted({str(subarray.tel[number]) for number in chosen})
    if len(types) > 1:
        raise DataError(
            f"{path}: expected telescopes of one type, got {', '.join(types)}; "
            f"write data.allowed_tel_types: [{types[0]}]"
        )


def _in_all_arrays(
    config: RunConfig,
    files: Sequence[DL1File],
    arrays: Sequence[SubarrayDescription],
    chosen: list[int],
) -> list[int]:
    """Telescopes that all arrays share; ``DataError`` where they must be equal and are not."""
    shared = list(chosen)
    for file, array in zip(files[1:], arrays[1:], strict=True):
        differing = [number for number in chosen if not _same(arrays[0], array, number)]
        if differing and config.data.enforce_subarray_equality:
            raise DataError(
                f"{file.path}: expected the telescopes of {files[0].path}, but telescopes "
                f"{_short(differing)} differ; use files of one array, or write "
                "data.enforce_subarray_equality: false"
            )
        types = {number: str(array.tel.get(number)) for number in shared}
        shared = [number for number in shared if types[number] == str(arrays[0].tel[number])]
    if not shared:
        raise DataError(f"{files[0].path}: the files share no telescope; use files of one array")
    if left_out := sorted(set(chosen) - set(shared)):
        log.info("telescopes %s are left out: not all arrays have them", _short(left_out))
    return shared


def _same(reference: SubarrayDescription, other: SubarrayDescription, number: int) -> bool:
    return (
        number in other.tel
        and other.tel[number] == reference.tel[number]
        and bool((other.positions[number] == reference.positions[number]).all())
    )


def _allowed(config: RunConfig, subarray: SubarrayDescription) -> set[int]:
    """Telescopes that options and array have in common."""
    allowed = set(subarray.tel)
    if config.data.allowed_tels is not None:
        allowed &= set(config.data.allowed_tels)
    if config.data.allowed_tel_types is not None:
        known = {str(kind) for kind in subarray.telescope_types}
        unknown = set(config.data.allowed_tel_types) - known
        if unknown:
            where = config.locate("data.allowed_tel_types")
            raise DataError(
                f"{where}: data.allowed_tel_types: the files have no telescope type "
                f"'{sorted(unknown)[0]}'; they have {', '.join(sorted(known))}"
            )
        kinds = config.data.allowed_tel_types
        allowed &= {number for kind in kinds for number in subarray.get_tel_ids_for_type(kind)}
    return {int(number) for number in allowed}


def _say_where_missing(files: Sequence[DL1File], chosen: list[int]) -> None:
    for file in files:
        missing = [number for number in chosen if number not in file.images]
        if missing:
            log.info("%s has no tables of telescopes %s", Path(file.path).name, _short(missing))


def _short(numbers: Sequence[int] | set[int]) -> str:
    ordered = sorted(numbers)
    shown = ", ".join(str(number) for number in ordered[:12])
    return shown + (f", ... ({len(ordered)} in all)" if len(ordered) > 12 else "")

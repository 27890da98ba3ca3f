"""Which telescopes of which files a run can use."""

import logging
from collections.abc import Sequence
from pathlib import Path

import tables
from ctapipe.instrument import FocalLengthKind, SubarrayDescription

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.dl1_file import DL1File
from cherenkov_mlops.data.image_checks import Checks
from cherenkov_mlops.errors import DataError

log = logging.getLogger(__name__)


#: Arrays by digest of what describes them, and kind of focal length: most files have the same,
#: and ctapipe takes longer to read it than all else of a small file takes.
_arrays: dict[tuple[str, str], SubarrayDescription] = {}


def known_array(
    file: str | Path | tables.File, instrument: str, focal_length: str
) -> SubarrayDescription:
    """Description of the telescopes in a file, read once for all files with the same digest."""
    key = (instrument, focal_length)
    if key not in _arrays:
        _arrays[key] = read_subarray(file, focal_length)
    return _arrays[key]


def read_subarray(path: str | Path | tables.File, focal_length: str) -> SubarrayDescription:
    """Read the description of the telescopes in a file.

    Raises
    ------
    DataError
        The file has no focal length of the kind ``focal_length``, or no valid description.
    """
    try:
        return SubarrayDescription.from_hdf(path, focal_length_choice=FocalLengthKind[focal_length])
    except (RuntimeError, KeyError, ValueError, OSError) as error:
        name = path.filename if isinstance(path, tables.File) else path
        raise DataError(
            f"{name}: telescope description cannot be read with {focal_length.lower()} focal "
            f"lengths ({' '.join(str(error).split())}); try data.focal_length_choice: EQUIVALENT"
        ) from error


def usable_telescopes(
    config: RunConfig, files: Sequence[DL1File], arrays: Sequence[SubarrayDescription]
) -> list[int]:
    """Telescopes of one type, allowed by the configuration, with tables in at least one file.

    A telescope that lacks tables in some of the files is used where it has them, and the log says
    so once. Where ``data.enforce_subarray_equality`` is false, telescopes that only some arrays
    have, or have as another type, are left out, and the log says so.

    Parameters
    ----------
    config : RunConfig
        The run.
    files : sequence of DL1File
        The files.
    arrays : sequence of SubarrayDescription
        The array of each file; the same object where files have the same.

    Raises
    ------
    DataError
        No telescope is left, telescopes of several types are, or the arrays differ.
    """
    path, first = files[0].path, arrays[0]
    candidates = allowed_of(config, first)
    with_tables = {number for file in files for number in file.images}
    chosen = sorted(candidates & with_tables)
    if not chosen:
        raise DataError(
            f"{path}: none of the allowed telescopes {_short(candidates)} has images; "
            f"telescopes with images: {_short(with_tables)}"
        )
    types = sorted({str(first.tel[number]) for number in chosen})
    if len(types) > 1:
        raise DataError(
            f"{path}: expected telescopes of one type, got {', '.join(types)}; "
            f"write data.allowed_tel_types: [{types[0]}]"
        )

    shared, compared = list(chosen), {id(first)}
    for file, array in zip(files[1:], arrays[1:], strict=True):
        if id(array) in compared:
            continue
        compared.add(id(array))
        differing = [number for number in chosen if not _same(first, array, number)]
        if differing and config.data.enforce_subarray_equality:
            raise DataError(
                f"{file.path}: expected the telescopes of {path}, but telescopes "
                f"{_short(differing)} differ; use files of one array, or write "
                "data.enforce_subarray_equality: false"
            )
        kinds = {number: str(array.tel.get(number)) for number in shared}
        shared = [number for number in shared if kinds[number] == str(first.tel[number])]
    if not shared:
        raise DataError(f"{path}: the files share no telescope; use files of one array")
    if left_out := sorted(set(chosen) - set(shared)):
        log.info("telescopes %s are left out: not all arrays have them", _short(left_out))

    for file in files:
        missing = [number for number in shared if number not in file.images]
        if missing:
            log.info("%s has no tables of telescopes %s", Path(file.path).name, _short(missing))
    return shared


def idle_telescopes(
    config: RunConfig,
    files: Sequence[DL1File],
    array: SubarrayDescription,
    usable: Sequence[int],
) -> list[int]:
    """Allowed telescopes of the type in use that have tables in no file."""
    of_type = set(array.get_tel_ids_for_type(array.tel[usable[0]]))
    with_tables = {number for file in files for number in file.images}
    return sorted(int(number) for number in (allowed_of(config, array) & of_type) - with_tables)


def describe_camera(array: SubarrayDescription, telescope: int) -> str:
    """Type of a telescope with its number of pixels, such as ``SST_SST1M_DigiCam, 1296 pixels``."""
    geometry = array.tel[telescope].camera.geometry
    return f"{array.tel[telescope]}, {geometry.n_pixels} pixels"


def _same(reference: SubarrayDescription, other: SubarrayDescription, number: int) -> bool:
    return (
        number in other.tel
        and other.tel[number] == reference.tel[number]
        and bool((other.positions[number] == reference.positions[number]).all())
    )


def allowed_of(config: RunConfig, array: SubarrayDescription) -> set[int]:
    """Telescopes that options and array have in common.

    Raises
    ------
    DataError
        The array has none of a type that is asked for.
    """
    if config.data.allowed_tel_types is not None:
        known = {str(kind) for kind in array.telescope_types}
        unknown = set(config.data.allowed_tel_types) - known
        if unknown:
            where = config.locate("data.allowed_tel_types")
            raise DataError(
                f"{where}: data.allowed_tel_types: the files have no telescope type "
                f"'{sorted(unknown)[0]}'; they have {', '.join(sorted(known))}"
            )
    return allowed_telescopes(Checks.of(config), array)


def allowed_telescopes(checks: Checks, array: SubarrayDescription) -> set[int]:
    """Telescopes that options and array have in common; none of a type that is not there."""
    allowed = set(array.tel)
    if checks.allowed_tels is not None:
        allowed &= set(checks.allowed_tels)
    if checks.allowed_types is not None:
        allowed &= {
            number
            for number, telescope in array.tel.items()
            if str(telescope) in checks.allowed_types
        }
    return {int(number) for number in allowed}


def _short(numbers: Sequence[int] | set[int]) -> str:
    ordered = sorted(numbers)
    shown = ", ".join(str(number) for number in ordered[:12])
    return shown + (f", ... ({len(ordered)} in all)" if len(ordered) > 12 else "")

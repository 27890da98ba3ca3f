"""Image parameters of the examples of a reader, for models that see no pixels."""

from collections.abc import Iterable

import numpy as np

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.paths import PARAMETERS, telescope_node
from cherenkov_mlops.data.stored_tables import StoredTable
from cherenkov_mlops.dl1.reader import BatchReader
from cherenkov_mlops.errors import DataError, UserError

#: Columns that say which image it is, not how it looks.
IDENTIFIERS = ("obs_id", "event_id", "tel_id")


def check_views(config: RunConfig, views: Iterable[str]) -> None:
    """Raise UserError if a model sees of an event what the run does not read."""
    given = ("parameters", config.data.reader)
    if missing := sorted(set(views) - set(given)):
        raise UserError(
            f"{config.locate('data.reader')}: data.reader: the model sees {', '.join(missing)}, "
            f"expected any of {', '.join(given)}; write data.reader: {missing[0]} if there is one"
        )


def read_parameters(reader: BatchReader, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Read the DL1 parameters of telescope images by row number of the reader.

    Parameters
    ----------
    reader : BatchReader
        Open reader in mode ``mono``.
    rows : array of int
        Rows of its examples, shape (n,).

    Returns
    -------
    dict of str to array
        Parameter (``hillas_intensity``, ...) -> its values, shape (n,); NaN where an image has
        none.

    Raises
    ------
    DataError
        The reader gives array events, or rows of images and parameters do not line up.
    """
    if reader.mode != "mono":
        raise DataError("data.mode: parameters are those of one image; write mono")
    if reader.options.force_dl1_lookup:
        raise DataError("data.force_dl1_lookup: parameters are read by row; write false")
    examples = reader.example_identifiers[np.asarray(rows)]
    file_index, tel_id = np.asarray(examples["file_index"]), np.asarray(examples["tel_id"])
    places = np.asarray(examples["table_index"])
    files = list(reader.files.values())
    found: dict[str, np.ndarray] = {}
    for index, number in {(int(i), int(n)) for i, n in zip(file_index, tel_id, strict=True)}:
        here = (file_index == index) & (tel_id == number)
        table = StoredTable(files[index], telescope_node(PARAMETERS, number))
        for name in table.names:
            if name not in IDENTIFIERS:
                values = np.asarray(table[name], dtype=float)
                found.setdefault(name, np.full(len(here), np.nan))[here] = values[places[here]]
    return found

"""Events of the training and of the validation set, for models that take them as a whole."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.manifest import Manifest
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.parameters import check_views, read_parameters
from cherenkov_mlops.dl1.preparation import open_reader
from cherenkov_mlops.dl1.split import digest_examples, label_columns
from cherenkov_mlops.errors import DataError
from cherenkov_mlops.tasks import TASKS


class TrainingData:
    """What a model learns from: the files of a manifest, and which rows belong to which set.

    Parameters
    ----------
    config : RunConfig
        The run.
    manifest : Manifest
        Its files and its split.
    limit : object
        When the training has to be over.

    Examples
    --------
    >>> batch, labels = data.read("training", ["parameters"])  # doctest: +SKIP
    >>> batch["parameters"]["hillas_width"].shape  # doctest: +SKIP
    (11700,)
    """

    def __init__(self, config: RunConfig, manifest: Manifest, limit: Any = None):
        self.config, self.manifest, self.limit = config, manifest, limit

    def read(self, part: str, sees: Sequence[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Read one set as a whole.

        Parameters
        ----------
        part : {"training", "validation"}
            Which set.
        sees : sequence of str
            What is wanted of the events.

        Returns
        -------
        batch : dict
            What is seen -> its values.
        labels : dict of str to array
            Task -> what is to be answered, shape (n, n_outputs).

        Raises
        ------
        UserError
            The run does not read what is wanted.
        DataError
            The files give other events now than at ``prepare``.
        """
        check_views(self.config, sees)
        manifest = self.manifest
        rows = manifest.training_rows if part == "training" else manifest.validation_rows
        with open_reader(self.config, manifest.inputs) as reader:
            if digest_examples(reader) != manifest.examples_sha256:
                raise DataError(
                    "the files give other events now than at prepare, so its split does not fit "
                    "them; prepare again: prepare --force"
                )
            batch: dict[str, Any] = {}
            if "parameters" in sees:
                batch["parameters"] = read_parameters(reader, rows)
            if self.config.data.reader in sees:
                loader = SampledLoader(reader, rows, tasks=[])
                batch[self.config.data.reader] = loader.read_features(np.arange(len(rows)))
            columns = label_columns(reader, self.config.own_tasks)
            labels = {task: TASKS[task].labels(columns)[rows] for task in self.config.own_tasks}
        return batch, labels

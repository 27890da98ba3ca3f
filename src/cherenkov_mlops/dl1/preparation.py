"""The data of a run, opened as training will open them: counts, split, input shape."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from ctapipe.core.expression_engine import ExpressionError
from ctapipe.core.tool import ToolConfigurationError
from traitlets import TraitError

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.data.manifest import Counts, Manifest
from cherenkov_mlops.dl1.loader import SampledLoader
from cherenkov_mlops.dl1.options import reader_traits
from cherenkov_mlops.dl1.reader import READERS, BatchReader
from cherenkov_mlops.dl1.split import digest_examples, examples_of, split_events
from cherenkov_mlops.errors import UserError

CLASS_NUMBER = {"signal": 1, "background": 0}


@contextmanager
def open_reader(config: RunConfig, inputs: Inputs) -> Iterator[BatchReader]:
    """Open reader over the files of ``inputs``; closed at the end.

    Raises
    ------
    UserError
        An option or a cut is refused by the reader.
    DataError
        No event passes the cuts.
    """
    try:
        reader = READERS[config.data.reader](
            input_url_signal=inputs.paths("signal"),
            input_url_background=inputs.paths("background"),
            config=reader_traits(config, inputs.telescopes),
        )
    except (TraitError, ToolConfigurationError, ExpressionError, SyntaxError) as error:
        # What ctapipe raises for a cut on a column that is not there, among others.
        reason = " ".join(str(error).split())
        raise UserError(
            f"{config.locate('data')}: data: CTLearn's reader refuses the options: {reason}; "
            "look at data.quality_criteria and at the section 'ctlearn'"
        ) from error
    try:
        yield reader
    finally:
        reader.close_files()


def prepare_data(config: RunConfig, inputs: Inputs, edges_tev: tuple[float, ...]) -> Manifest:
    """Counts after each cut, the leak-free split and the input shape of the run.

    Parameters
    ----------
    config : RunConfig
        The run.
    inputs : Inputs
        Checked training files.
    edges_tev : tuple of float
        Edges of the energy bins [TeV] in which events are counted.
    """
    with open_reader(config, inputs) as reader:
        training, validation = split_events(
            reader, config.train.validation_split, config.train.split_by, config.run.seed
        )
        # The loader knows how images of several telescopes are put together.
        loader = SampledLoader(
            reader,
            np.arange(1),
            tasks=config.own_tasks,
            stack_telescope_images=config.data.stack_telescope_images,
        )
        shape = tuple(int(size) for size in loader.input_shape)

        events = examples_of(reader)
        classes = np.asarray(events["true_shower_primary_class"])
        energies = events["true_energy"].quantity.to_value("TeV")
        of_label = {label: classes == CLASS_NUMBER[label] for label in inputs.files}
        telescopes, images = np.unique(
            np.asarray(reader.example_identifiers["tel_id"]), return_counts=True
        )
        parts = {"training": training, "validation": validation}
        counts = Counts(
            cuts=reader.cut_counts.as_rows(list(inputs.files)),
            sets={
                name: {label: int(is_label[rows].sum()) for label, is_label in of_label.items()}
                for name, rows in parts.items()
            },
            energy_edges_tev=list(edges_tev),
            energy={
                label: np.histogram(energies[is_label], edges_tev)[0].tolist()
                for label, is_label in of_label.items()
            },
            telescopes={str(tel): int(n) for tel, n in zip(telescopes, images, strict=True)},
        )
        digest = digest_examples(reader)
    return Manifest(inputs, counts, shape, digest, training, validation)

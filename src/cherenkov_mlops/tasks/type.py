"""The particle type: which of two classes of files an event belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cherenkov_mlops.errors import DataError
from cherenkov_mlops.tasks.base import TASKS, Columns, DL2Place, Instrument, Task

#: A softmax in float32 may exceed one by a rounding error; more than this is another quantity.
SCORE_TOLERANCE = 1e-5


@dataclass(frozen=True)
class ParticleType(Task):
    """Gammaness: the probability that a shower was started by the signal class."""

    def labels(self, examples: Columns) -> np.ndarray:
        """Give each class a column of its own, the signal the last one, shape (n, 2)."""
        classes = np.asarray(examples["true_shower_primary_class"], dtype=int)
        # In 64 bits, as Keras' `to_categorical` makes them.
        return np.eye(2)[classes]

    def decode(
        self, output: np.ndarray, events: Columns, instrument: Instrument
    ) -> dict[str, np.ndarray]:
        """Take the probability of the signal class."""
        return {"gh_score": output[:, 1]}

    def error(self, events: Columns) -> np.ndarray:
        """Compute the distance of the score from the truth, 0 to 1."""
        return np.abs(np.asarray(events["gh_score"]) - np.asarray(events["signal"], dtype=float))

    def shown(self, values: Mapping[str, float]) -> list[tuple[str, Sequence[float | None], str]]:
        """List the score."""
        return [("Gammaness", [values.get("gh_score")], "")]

    def sample(self, random: np.random.Generator, n_events: int) -> dict[str, np.ndarray]:
        """Draw scores of two classes that cannot be told apart."""
        return {"gh_score": random.random(n_events)}

    def check_output(self, values: np.ndarray) -> str:
        """Demand probabilities that add up to one."""
        odd = super().check_output(values)
        if not odd and not np.allclose(values.sum(axis=1), 1, atol=1e-4):
            odd = (
                "task 'type' expects class probabilities that add up to 1, got the sums "
                f"{values.sum(axis=1).tolist()}; end the model with a Softmax layer"
            )
        return odd

    def may_be_nan(self, name: str, events: Columns) -> np.ndarray | None:
        """Let the background be without energy: windows without a shower have none."""
        return ~events["signal"] if name == "true_energy" else None

    def derive(self, events: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Clip the score to 0 to 1.

        Raises
        ------
        DataError
            A score is farther off than rounding explains.
        """
        scores = events["gh_score"]
        clipped = np.clip(scores, 0, 1)
        n_bad = int(np.count_nonzero(np.abs(clipped - scores) > SCORE_TOLERANCE))
        if n_bad:
            raise DataError(
                f"event table: expected 'gh_score' between 0 and 1, {n_bad} values are not"
            )
        return events | {"gh_score": clipped}


TASKS.add(
    "type",
    ParticleType(
        name="type",
        title="Particle type",
        kind="type",
        kind_title="Particle type",
        modes=("mono", "stereo"),
        n_outputs=2,
        needs_background=True,
        columns={"gh_score": ""},
        dl2=DL2Place(
            group="particle_type",
            prefix="CTLearnClassifier",
            columns={"prediction": "gh_score"},
            container="ParticleClassificationContainer",
            property="PARTICLE_TYPE",
        ),
        loss="CategoricalCrossentropy",
        watched={"accuracy": "CategoricalAccuracy", "auc": "AUC"},
        required=("gh_score", "signal", "true_energy"),
        is_bare=True,
        error_title="Distance from the truth",
        answer="the probability that a shower was started by the signal class",
        pipeline_tag="image-classification",
    ),
)

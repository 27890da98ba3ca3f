"""A model that is no network: the mean of the nearest neighbours in the space of parameters."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.models.base import Batch, ModelType, add_model
from cherenkov_mlops.run_dir import RunDir, atomic_path

FEATURES = ("hillas_intensity", "hillas_length", "hillas_width", "leakage_intensity_width_2")


def features_of(batch: Batch) -> np.ndarray:
    """Features of each image, shape (n, n_features); the intensity as its logarithm."""
    columns = [np.nan_to_num(batch["parameters"][name]) for name in FEATURES]
    columns[0] = np.log10(np.maximum(columns[0], 1))
    return np.stack(columns, axis=1)


class Neighbours:
    """Mean answer of the training images that look most alike, task by task."""

    sees = ("parameters",)
    frame = "camera"

    def __init__(self, config: RunConfig, fitted: dict[str, Any] | None = None):
        self.tasks, self.options, self.fitted = config.tasks, config.model.options, fitted or {}

    def fit(self, data: Any, run_dir: RunDir, attempt: Any) -> dict[str, Any]:
        """Keep the training set; the loss is the mean absolute error."""
        sets = {part: data.read(part, self.sees) for part in ("training", "validation")}
        batch, labels = sets["training"]
        for task in self.tasks:
            model = make_pipeline(StandardScaler(), KNeighborsRegressor(**self.options))
            self.fitted[task] = model.fit(features_of(batch), labels[task])
        losses = {}
        for part, (seen, wanted) in sets.items():
            answers = self.predict(seen)
            losses[part] = sum(np.abs(answers[t] - wanted[t]).mean() for t in self.tasks)
        return {"loss": losses["training"], "val_loss": losses["validation"]}

    def predict(self, batch: Batch) -> dict[str, np.ndarray]:
        """Answer for a batch of parameters."""
        features = features_of(batch)
        return {task: model.predict(features) for task, model in self.fitted.items()}

    def save(self, folder: Path) -> Path:
        """Write ``neighbours.joblib``."""
        with atomic_path(folder / "neighbours.joblib") as path:
            joblib.dump(self.fitted, path)
        return folder / "neighbours.joblib"

    def describe(self) -> dict[str, float]:
        """Give nothing: it has neither layers nor weights."""
        return {}

    def summarise(self) -> str:
        """Name the features."""
        return f"nearest neighbours in {', '.join(FEATURES)}\n"


def load(config: RunConfig, run_dir: RunDir, folder: Path) -> Neighbours:
    """Read what ``save`` wrote."""
    return Neighbours(config, joblib.load(folder / "neighbours.joblib"))


add_model(ModelType("neighbours", build=lambda config, _: Neighbours(config), load=load))

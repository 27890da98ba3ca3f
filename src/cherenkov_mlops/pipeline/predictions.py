"""``predict/prediction.json``: what evaluating has to know of the predictions of a run."""

import json
from dataclasses import dataclass
from typing import Any

from cherenkov_mlops.data.inputs import Inputs
from cherenkov_mlops.errors import DataError, UserError
from cherenkov_mlops.results import plain_values
from cherenkov_mlops.run_dir import RunDir, write_json_atomically

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Predicted:
    """One task of the predictions.

    Parameters
    ----------
    source : str
        Name of the run whose model predicted it; empty for the run itself.
    trained_tev : tuple of float
        Lowest and highest true energy [TeV] of that run's training files; zeros if there is none.
    """

    source: str = ""
    trained_tev: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Predictions:
    """DL2 files of a run and what is known about them.

    Parameters
    ----------
    tasks : dict of str to Predicted
        What was predicted, the tasks of the run's own model first.
    inputs : Inputs
        Files that were predicted.
    facts : dict
        Epochs, sizes and times.
    model_sha256 : str or None
        Digest of the model's file; None if an engine ran it in another form.
    overlap : list of str
        Test files with events of the training.
    findings : list of dict
        What is odd about the test files.
    """

    tasks: dict[str, Predicted]
    inputs: Inputs
    facts: dict[str, Any]
    model_sha256: str | None
    overlap: list[str]
    findings: list[dict[str, Any]]

    def measured_costs(self, run_dir: RunDir) -> dict[str, float]:
        """Facts on one processor that ``compress`` measured; empty if of another file or engine."""
        if not run_dir.costs.is_file():
            return {}
        costs = json.loads(run_dir.costs.read_text(encoding="utf-8"))
        if costs["sha256"] != self.model_sha256:
            return {}
        packed = costs.get("packed_mb")
        return costs["one_core"] | ({"model_size_packed_mb": packed} if packed else {})


def write_predictions(predictions: Predictions, run_dir: RunDir) -> None:
    """Write ``prediction.json``."""
    content = vars(predictions) | {
        "inputs": predictions.inputs.as_dict(),
        "tasks": {task: vars(each) for task, each in predictions.tasks.items()},
    }
    write_json_atomically(
        run_dir.prediction_record, {"schema_version": SCHEMA_VERSION} | plain_values(content)
    )


def load_predictions(run_dir: RunDir) -> Predictions:
    """Read ``prediction.json``.

    Raises
    ------
    UserError
        The predictions are of a version of this program that wrote none.
    DataError
        The file is damaged.
    """
    path = run_dir.prediction_record
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, for an earlier version of this program made the predictions; "
            f"make them again: cherenkov-mlops predict {run_dir.path} --force"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        del content["schema_version"]
        content["inputs"] = Inputs.from_dict(content["inputs"])
        content["tasks"] = {
            task: Predicted(each["source"], tuple(each["trained_tev"]))
            for task, each in content["tasks"].items()
        }
        return Predictions(**content)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); make it again: predict --force"
        ) from error

"""The reconstruction tasks: all that is special to one stands in its file here."""

from cherenkov_mlops.tasks import direction, energy, type  # noqa: F401 - registers the tasks
from cherenkov_mlops.tasks.base import TASKS, DL2Place, Instrument, Task, kinds, task_of_kind

__all__ = ["TASKS", "DL2Place", "Instrument", "Task", "kinds", "task_of_kind"]

"""The reconstruction tasks: all that is special to one stands in its file here."""

# Importing a module registers its tasks; the order here is the order on every page.
# isort: off
from cherenkov_mlops.tasks import type  # noqa: F401
from cherenkov_mlops.tasks import energy, direction  # noqa: F401

# isort: on
from cherenkov_mlops.tasks.base import TASKS, DL2Place, Instrument, Task, kinds, task_of_kind

__all__ = ["TASKS", "DL2Place", "Instrument", "Task", "kinds", "task_of_kind"]

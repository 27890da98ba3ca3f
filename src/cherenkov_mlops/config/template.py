"""Commented configurations to start from, by task and telescope."""

import re
import textwrap
from dataclasses import asdict, dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from cherenkov_mlops.config.schema import RunConfig
from cherenkov_mlops.config.words import field_at
from cherenkov_mlops.config.yaml_text import split_key
from cherenkov_mlops.registry import Registry
from cherenkov_mlops.tasks import TASKS


@dataclass(frozen=True)
class Telescope:
    """What the configuration of a study takes from its telescope.

    Parameters
    ----------
    tel_type : str
        Type as ctapipe writes it.
    mapper : str
        Image mapper that suits the pixels of its camera.
    energy_min_tev, energy_max_tev : float
        Range of true energies [TeV] where it works.
    """

    tel_type: str
    mapper: str
    energy_min_tev: float
    energy_max_tev: float


TELESCOPES: Registry[Telescope] = Registry("telescope")
TELESCOPES.add("SST1M", Telescope("SST_1M_DigiCam", "BilinearMapper", 0.5, 300.0))
TELESCOPES.add("LST", Telescope("LST_LST_LSTCam", "BilinearMapper", 0.02, 20.0))
TELESCOPES.add("MST", Telescope("MST_MST_FlashCam", "BilinearMapper", 0.08, 50.0))
TELESCOPES.add("NectarCam", Telescope("MST_MST_NectarCam", "BilinearMapper", 0.08, 50.0))
# Square pixels need no interpolation.
TELESCOPES.add("ASTRI", Telescope("SST_ASTRI_ASTRICam", "SquareMapper", 0.5, 300.0))


def make_template(task: str, telescope: str, name: str) -> str:
    """Write the commented YAML text of a study that loads as it is.

    Parameters
    ----------
    task : str
        One of the tasks.
    telescope : str
        One of ``TELESCOPES``.
    name : str
        Name of the run; characters that a folder name should not have are replaced.

    Raises
    ------
    UserError
        For an unknown task or telescope.
    """
    environment = Environment(
        loader=PackageLoader("cherenkov_mlops.config"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["about"] = make_comment
    return environment.get_template("study.yaml.j2").render(
        name=re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip("._-") or "study",
        task=task,
        title=TASKS[task].title,
        mode=TASKS[task].modes[0],
        needs_background=TASKS[task].needs_background,
        telescope=telescope,
        **asdict(TELESCOPES[telescope]),
    )


def make_comment(key: str, indent: int = 2) -> str:
    """Write a YAML comment that describes the option at the dotted ``key``."""
    text = field_at(RunConfig, split_key(key)).description
    lines = textwrap.wrap(text, width=96 - indent)
    return ("\n" + " " * indent).join(f"# {line}" for line in lines)

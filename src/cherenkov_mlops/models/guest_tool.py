"""CTLearn tools run inside a stage: errors come through, logging and configuration are kept."""

import json
import logging
from pathlib import Path

from ctapipe.core import Tool

from cherenkov_mlops.run_dir import write_text_atomically

LOG_FORMAT = "%(asctime)s %(levelname)s [%(name)s] %(message)s"


class GuestTool(Tool):
    """A ctapipe tool that leaves the logging of the process alone and logs to its own file.

    ``Tool`` configures logging for the whole process and switches existing loggers off.
    """

    def update_logging_config(self) -> None:
        """Log to ``log_file`` only, under the name ``ctlearn.<tool>``."""
        self.log = logging.getLogger(f"ctlearn.{self.name}")
        self.log.propagate = False
        self.log.setLevel(logging.INFO)
        for handler in list(self.log.handlers):
            self.log.removeHandler(handler)
            handler.close()
        self.log.addHandler(self.trait_warning_handler)
        self.log.addHandler(self._file_handler())

    def _file_handler(self) -> logging.Handler:
        if self.log_file is None:
            return logging.NullHandler()
        handler = logging.FileHandler(self.log_file, encoding="utf-8")
        handler.setFormatter(logging.Formatter(LOG_FORMAT))
        return handler


def run_tool(tool: Tool) -> None:
    """Run ``tool`` to its end; whatever it raises is raised here.

    ``Tool.run`` turns Ctrl-C into ``SystemExit(130)``; it is turned back.
    """
    try:
        tool.run(argv=[], raises=True)
    except SystemExit as end:
        if end.code == 130:
            raise KeyboardInterrupt from end
        if end.code:
            raise


def save_tool_config(tool: Tool, path: Path) -> Path:
    """``path``, holding every trait of the tool and its components as JSON."""
    text = json.dumps(tool.get_current_config(), indent=1, default=str)
    return write_text_atomically(path, text + "\n")

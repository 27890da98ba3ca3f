"""Named things that are defined once and looked up by name."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points

from cherenkov_mlops.errors import UserError


def did_you_mean(name: str, known: Mapping | list[str] | set[str] | tuple[str, ...]) -> str:
    """``did you mean 'x'?`` for the known name closest to ``name``, else all known names."""
    close = get_close_matches(str(name), [str(item) for item in known], n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return "known: " + ", ".join(sorted(str(item) for item in known))


#: Entry points of packages that add tasks, models, stages, metrics or figures of their own.
EXTENSIONS = "cherenkov_mlops.extensions"
_loaded: list[str] = []


def load_extensions() -> list[str]:
    """Import the modules that installed packages name as extensions, once a process.

    A package does so in its ``pyproject.toml``::

        [project.entry-points."cherenkov_mlops.extensions"]
        impact = "my_package.impact"

    Returns
    -------
    list of str
        Names of the extensions.
    """
    if not _loaded:
        # Set before they are imported: they read registries themselves.
        _loaded.append("")
        for extension in entry_points(group=EXTENSIONS):
            extension.load()
            _loaded.append(extension.name)
    return _loaded[1:]


class Registry[Entry](Mapping[str, Entry]):
    """Entries by unique name, in order of registration; extensions are loaded at the first look.

    Parameters
    ----------
    kind : str
        What the entries are, for error messages, such as ``"metric"``.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry) -> Entry:
        """The entry itself, now registered under ``name``; ``ValueError`` if the name is taken."""
        if name in self._entries:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._entries[name] = entry
        return entry

    def select(self, accept: Callable[[Entry], bool]) -> dict[str, Entry]:
        """Entries for which ``accept(entry)`` holds, by name, in order."""
        load_extensions()
        return {name: entry for name, entry in self._entries.items() if accept(entry)}

    def __getitem__(self, name: str) -> Entry:
        load_extensions()
        if name not in self._entries:
            raise UserError(f"unknown {self.kind} '{name}'; {did_you_mean(name, self._entries)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        load_extensions()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        load_extensions()
        return iter(self._entries)

    def __len__(self) -> int:
        load_extensions()
        return len(self._entries)

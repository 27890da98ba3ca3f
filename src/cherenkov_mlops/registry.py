"""Named things that are defined once and looked up by name."""

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches

from cherenkov_mlops.errors import UserError


def did_you_mean(name: str, known: Mapping | list[str] | set[str] | tuple[str, ...]) -> str:
    """``did you mean 'x'?`` for the known name closest to ``name``, else all known names."""
    close = get_close_matches(str(name), [str(item) for item in known], n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return "known: " + ", ".join(sorted(str(item) for item in known))


class Registry[Entry](Mapping[str, Entry]):
    """Entries by unique name, in order of registration.

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
        return {name: entry for name, entry in self._entries.items() if accept(entry)}

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            raise UserError(f"unknown {self.kind} '{name}'; {did_you_mean(name, self._entries)}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

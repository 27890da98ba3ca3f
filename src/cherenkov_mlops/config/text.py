"""Plain values as YAML text."""

from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import Node
from ruamel.yaml.representer import SafeRepresenter


class _Representer(SafeRepresenter):
    """Sections one key a line, lists of plain values on one line."""

    def represent_list(self, data: list[Any]) -> Node:
        nested = any(isinstance(item, list | dict) for item in data)
        tag = "tag:yaml.org,2002:seq"
        return self.represent_sequence(tag, data, flow_style=not nested)


_Representer.add_representer(list, _Representer.represent_list)


def to_yaml(values: Any) -> str:
    """Write plain dicts, lists, texts and numbers as YAML text, in their order."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    # Long texts and lists stay on their line: a fold is hard to read and to compare.
    yaml.width = 1_000_000
    stream = StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()

"""Which test files never load TensorFlow: those that `make quick` runs."""

import ast
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src"
HEAVY = {"tensorflow", "keras", "ctlearn", "dl1_data_handler", "onnxruntime", "openvino"}
#: Fixtures that train networks, words of tests that start programs which do, and a browser.
TRAINING = ("completed_runs", "subprocess", "interrupted", "BENCHMARK", "browser")


def file_of(module: str) -> Path | None:
    """File of a module of the package or beside the tests; None for those of others."""
    parts = module.split(".")
    for base in (SOURCE, TESTS):
        path = base.joinpath(*parts)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Modules that the file imports when it is imported itself."""
    names: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif (
            not isinstance(node, ast.FunctionDef)
            and "TYPE_CHECKING"
            not in ast.dump(getattr(node, "test", node), include_attributes=False)[:80]
        ):
            waiting.extend(ast.iter_child_nodes(node))
    return frozenset(names)


@cache
def is_light(path: Path) -> bool:
    """Whether the test file loads no heavy package, by whatever way, and trains nothing."""
    text = path.read_text(encoding="utf-8")
    if any(word in text for word in TRAINING):
        return False
    seen, waiting = set(), [path]
    while waiting:
        file = waiting.pop()
        for name in imports_of(file):
            if name.split(".")[0] in HEAVY:
                return False
            found = file_of(name)
            if found is not None and found not in seen:
                seen.add(found)
                waiting.append(found)
    return True

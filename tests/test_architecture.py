"""The house as it was planned: imports go one way, heavy packages stay in their folder."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "cherenkov_mlops"
MODULES = sorted(path for path in SOURCE.rglob("*.py"))

# A folder or module may import what stands to its right or in later lines, never above.
LAYERS = [
    {
        "cli",
        "cli_cache",
        "cli_cluster",
        "cli_compress",
        "cli_config",
        "cli_data",
        "cli_simulate",
        "cli_sweep",
        "console",
    },
    {"stages"},
    {"reporting", "engine", "simulation", "cluster"},
    {"figures"},
    {"metrics", "data"},
    {"config", "results", "provenance", "run_dir", "tasks", "forms"},
    {"durations"},
    {"registry", "errors"},
]
HEAVY = {"tensorflow", "keras", "ctlearn", "dl1_data_handler", "tensorflow_model_optimization"}
MAY_USE_CTAPIPE = {"engine", "data", "simulation"}
LONGEST_BODY, LONGEST_FILE, LONGEST_STAGE = 60, 300, 60


def part_of(path: Path) -> str:
    """Top-level folder or module of the package that the file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_names(path: Path) -> set[str]:
    """Dotted names of all modules that the file imports, those for type checking left out."""
    names = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def layer_of(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_one_way(path):
    part = part_of(path)
    if part == "__init__":
        return
    for name in imported_names(path):
        parts = name.split(".")
        if (
            parts[0] == "cherenkov_mlops"
            and len(parts) > 1
            and parts[1] not in (part, "__version__")
        ):
            assert layer_of(part) < layer_of(parts[1]) or same_base(part, parts[1]), name


def same_base(part: str, other: str) -> bool:
    """Whether both are modules of one layer that has no order of its own."""
    return layer_of(part) == layer_of(other) and layer_of(part) in (0, 5, 7)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_heavy_packages_stay_in_the_engine(path):
    packages = {name.split(".")[0] for name in imported_names(path)}
    if part_of(path) != "engine":
        assert not packages & HEAVY
    if part_of(path) not in MAY_USE_CTAPIPE:
        assert "ctapipe" not in packages


def bodies(path: Path):
    """(name, lines of the body without docstring) of each function in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                yield node.name, body[-1].end_lineno - body[0].lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    assert [name for name, length in bodies(path) if length > LONGEST_BODY] == []


def test_the_median_function_is_very_short():
    lengths = sorted(length for path in MODULES for _, length in bodies(path))
    assert lengths[len(lengths) // 2] <= 10


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_functions_import_nothing(path):
    if part_of(path) in LAYERS[0]:
        return
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef):
            inside = [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
            assert inside == [], function.name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_what_is_public_is_documented(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = [tree] if tree.body else []
    documented += [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    missing = [
        getattr(node, "name", "module") for node in documented if not ast.get_docstring(node)
    ]
    assert missing == []


def test_no_addresses_and_no_paths_of_a_machine():
    pattern = re.compile(r"://[^/\s]*(pypi|pythonhosted|debian|npmjs)|(^|\s)/(root|home)/\w+/")
    for path in [ROOT / "requirements.lock", ROOT / "Makefile", *ROOT.glob("scripts/*")]:
        assert not pattern.search(path.read_text(encoding="utf-8")), path


def test_the_lock_pins_every_package():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 50
    assert all(re.fullmatch(r"[a-z0-9._-]+(\[[a-z,]+\])?==[\w.!+]+", pin) for pin in pins)

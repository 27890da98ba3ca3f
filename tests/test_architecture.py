"""The house as it was planned: imports go one way, each thing has one place."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "cherenkov_mlops"
MODULES = sorted(SOURCE.rglob("*.py"))

# A folder or module may import what stands in later lines, never above. Within one line, nothing
# of another folder.
LAYERS = [
    {"cli"},
    {"sweep"},
    {"commands"},
    {"stages"},
    {"pipeline"},
    {"reporting"},
    {"prediction"},
    {"training"},
    {"compression"},
    {"models"},
    {"dl2"},
    {"conversion", "simulation", "cluster"},
    {"dl1"},
    {"figures"},
    {"metrics"},
    {"data"},
    {"config"},
    {"results"},
    {"tasks"},
    {"console", "provenance"},
    {"run_dir"},
    {"forms"},
    {"durations"},
    {"registry"},
    {"errors"},
]
HEAVY = {"tensorflow", "keras", "ctlearn", "dl1_data_handler", "tensorflow_model_optimization"}
MAY_USE_HEAVY = {"models", "training", "prediction", "compression", "dl1"}


def part_of(path: Path) -> str:
    """Top-level folder or module of the package that the file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    """Dotted name of the module."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


@cache
def imported_names(path: Path, top_level: bool = False) -> frozenset[str]:
    """Dotted names of all modules that the file imports, those for type checking left out."""
    tree = tree_of(path)
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if is_for_types(block) or (top_level and isinstance(block, ast.FunctionDef))
        for node in ast.walk(block)
    }
    names = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def layer_of(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_imports_go_one_way(path):
    part = part_of(path)
    if part == "__init__":
        return
    for name in imported_names(path):
        parts = name.split(".")
        ours = parts[0] == "cherenkov_mlops" and len(parts) > 1
        if ours and parts[1] not in (part, "__version__"):
            assert layer_of(part) < layer_of(parts[1]), name


def test_no_module_imports_itself_by_way_of_others():
    """Also inside a folder: a reader can begin at the bottom."""
    names = {module_of(path): path for path in MODULES}
    arrows = {
        module: {
            name
            for name in imported_names(path)
            if name in names and name != module and names[name].name != "__init__.py"
        }
        for module, path in names.items()
        if path.name != "__init__.py"
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for other in sorted(arrows[module]):
                visit(other, (*trail, module))
            done.add(module)

    for module in sorted(arrows):
        visit(module, ())


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_heavy_packages_stay_in_their_folders(path):
    packages = {name.split(".")[0] for name in imported_names(path)}
    if part_of(path) not in MAY_USE_HEAVY:
        assert not packages & HEAVY


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_what_is_public_is_documented(path):
    tree = tree_of(path)
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


def functions() -> list[tuple[Path, ast.FunctionDef]]:
    return [
        (path, node)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef)
    ]


def test_functions_say_one_thing_completely():
    """Few bodies are longer than a screen."""
    lengths = []
    for _, function in functions():
        body = function.body[1:] if ast.get_docstring(function) else function.body
        lengths.append(body[-1].end_lineno - body[0].lineno + 1 if body else 0)
    assert max(lengths) <= 80
    assert sum(length > 50 for length in lengths) < 0.06 * len(lengths)


def private_functions_named_once() -> list[str]:
    """Private functions that are called in one place: most only name a block."""
    found = []
    for path, function in functions():
        name = function.name
        if name.startswith("_") and not name.startswith("__"):
            text = path.read_text(encoding="utf-8")
            if len(re.findall(rf"\b{re.escape(name)}\b", text)) == 2:
                found.append(f"{module_of(path)}.{name}")
    return found


def test_functions_are_not_split_for_their_length():
    once = private_functions_named_once()
    # On its way to a tenth; never up again.
    assert len(once) <= 0.15 * len(functions()), "\n".join(once)


def constants(path: Path) -> list[tuple[int, str]]:
    """Line and value of the texts in the code of a file, docstrings left out."""
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documented
    ]


def test_tasks_are_named_in_their_own_files_only():
    # "type" and "energy" are words of their own, too: the others give a list of tasks away.
    names = {"cameradirection", "skydirection"}
    found = [
        f"{module_of(path)}:{line}"
        for path in MODULES
        if part_of(path) != "tasks"
        for line, text in constants(path)
        if names & set(re.findall(r"\w+", text))
    ]
    assert found == []


def named_tasks(nodes: list[ast.expr | None]) -> set[str]:
    """Names of tasks and of their kinds among constants."""
    words = {"type", "energy", "direction", "cameradirection", "skydirection"}
    return {node.value for node in nodes if isinstance(node, ast.Constant)} & words


def test_no_branch_and_no_table_names_a_task():
    """`task == "type"`, and lists and tables of tasks: the registry knows them."""
    found = []
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Dict):
                is_table = len(named_tasks(node.keys)) > 1
            elif isinstance(node, ast.List | ast.Tuple | ast.Set):
                is_table = len(named_tasks(node.elts)) > 1
            elif isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                asked = " ".join(ast.unparse(side) for side in sides)
                is_table = bool(named_tasks(sides) and re.search(r"task|\bkind\b", asked))
            else:
                continue
            if is_table and part_of(path) != "tasks":
                found.append(f"{module_of(path)}:{node.lineno}: {ast.unparse(node)[:60]}")
    assert found == []


#: Functions and methods that take the name of a stage.
TAKE_A_STAGE = {
    *("state", "fingerprint", "completion", "ignored", "start", "complete", "end"),
    *("run_stage", "run_stages", "decide", "settings_of", "ancestors", "up_to", "make_request"),
}


def test_stages_are_named_in_the_table_and_their_own_files_only():
    """No list of stages, and no question about one by its name, anywhere else."""
    from cherenkov_mlops.pipeline.stage import STAGES

    def is_named(node: ast.AST | None) -> bool:
        return isinstance(node, ast.Constant) and node.value in STAGES

    found = []
    for path in MODULES:
        if part_of(path) == "stages" or module_of(path).endswith("pipeline.stage"):
            continue
        for node in ast.walk(tree_of(path)):
            elements = []
            if isinstance(node, ast.List | ast.Tuple | ast.Set):
                elements = node.elts
            elif isinstance(node, ast.Dict):
                elements = node.keys
            lists = sum(map(is_named, elements)) > 1
            asks = False
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                asks = name in TAKE_A_STAGE and any(map(is_named, node.args))
            elif isinstance(node, ast.Subscript):
                asks = is_named(node.slice)
            elif isinstance(node, ast.Compare):
                asks = any(map(is_named, [node.left, *node.comparators]))
            if lists or asks:
                found.append(f"{module_of(path)}:{node.lineno}")
    assert found == []


def test_comments_say_why():
    lines = [line for path in MODULES for line in path.read_text(encoding="utf-8").splitlines()]
    share = sum(line.strip().startswith("#") for line in lines) / len(lines)
    # On its way to 4 to 6 %; never down again.
    assert 0.021 < share < 0.10


def test_no_two_folders_share_a_name_for_different_things():
    """A module's name says what is in it: none of the words that say nothing."""
    words = defaultdict(list)
    for path in MODULES:
        words[path.stem].append(path)
    assert not words.keys() & {"utils", "helpers", "common", "misc", "manager", "engine"}


def test_no_addresses_and_no_paths_of_a_machine():
    pattern = re.compile(r"://[^/\s]*(pypi|pythonhosted|debian|npmjs)|(^|\s)/(root|home)/\w+/")
    for path in [ROOT / "requirements.lock", ROOT / "Makefile", *ROOT.glob("scripts/*")]:
        assert not pattern.search(path.read_text(encoding="utf-8")), path


def test_the_lock_pins_every_package():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert len(pins) > 50
    assert all(re.fullmatch(r"[a-z0-9._-]+(\[[a-z,]+\])?==[\w.!+]+", pin) for pin in pins)

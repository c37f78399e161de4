"""The arrows point down: who may import whom, and what a file may look like."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import django_backie

ROOT = Path(django_backie.__file__).parent
NAME = "django_backie"

# From the bottom up. A module imports from lower layers and from its own room; rooms of one layer do not know each
# other.
# A name stands for a module or a whole package; the longest that fits counts.
LAYERS: list[list[set[str]]] = [
    [{"exceptions"}, {"clock"}, {""}],
    [{"core"}],
    [{"conf"}, {"compat"}, {"moments"}, {"cleansing"}, {"locks"}, {"courtesy"}],
    [{"broker"}, {"models", "migrations"}, {"bulk"}, {"middleware"}, {"progress"}],
    [{"outbox"}, {"mirror", "rows", "upsert"}, {"tables"}],
    [{"enqueue"}, {"result"}, {"registry"}, {"calls"}, {"task_options"}],
    [{"task_definition"}],
    [{"decorator"}],
    [{"base_task"}, {"base_backend", "plan"}, {"unique"}],
    [{"control"}],
    [{"backend"}],
    [{"aliases"}, {"schedule_settings"}],
    [{"schedule_rows"}],
    [{"hooks"}, {"limits"}, {"timetables"}, {"pauses"}],
    [{"worker"}, {"duties"}],
    [{"progress_page"}, {"queues"}, {"worker.supervisor", "worker.report", "worker.lines", "worker.banner"}],
    [{"task_pauses"}],
    [{"seed"}, {"checks", "apps"}, {"admin"}, {"templatetags", "urls", "views"}, {"testing"}, {"chaos"}],
    [{"management"}],
]

# Reasons stand beside each exception; the list is complete, so one that is not needed any more fails as well.
TYPE_ONLY = {
    "": "lazy (PEP 562): settings and tasks.py import from the package before the apps are ready",
    "outbox": "a model cannot be imported before the apps are ready; it is fetched by apps.get_model at first use",
    "control": "as outbox",
    "testing": "lazy as the package itself: the pytest plugin imports it before Django is configured",
    "testing.plugin": "pytest loads it before Django is configured",
}
IN_FUNCTIONS = {
    "apps": "ready() runs when the models are there; before it they cannot be imported",
}
LONGER: dict[str, str] = {}
LONGEST = 300


@dataclass(frozen=True)
class Import:
    """One import of one name: by whom, of what, and where it stands."""

    module: str
    target: str
    line: int
    type_only: bool
    in_function: bool


def modules() -> dict[str, Path]:
    """Return every module of the package by its name without the package's own."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def imports() -> tuple[Import, ...]:
    return tuple(found for module, path in modules().items() for found in imports_of(module, path))


def imports_of(module: str, path: Path) -> Iterator[Import]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    stack: list[tuple[ast.AST, bool, bool]] = [(ast.parse(path.read_text()), False, False)]
    while stack:
        node, type_only, in_function = stack.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            stack += [(child, True, in_function) for child in node.body]
            stack += [(child, type_only, in_function) for child in node.orelse]
            continue
        in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for target in targets(node, package):
            yield Import(module, target, node.lineno, type_only, in_function)
        stack += [(child, type_only, in_function) for child in ast.iter_child_nodes(node)]


def targets(node: ast.AST, package: str) -> list[str]:
    """Return the full names that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parts = [NAME, *package.split(".")] if package else [NAME]
        base = ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
    return [f"{base}.{alias.name}" for alias in node.names]


def own(target: str) -> str | None:
    """Return the module of the package that an imported name is or lives in, or None for a foreign one."""
    if target != NAME and not target.startswith(f"{NAME}."):
        return None
    name = target[len(NAME) + 1 :]
    return name if name in modules() else name.rpartition(".")[0]


def home(module: str) -> tuple[int, frozenset[str]]:
    """Return the layer and the room of a module."""
    fits = [
        (len(name), layer, frozenset(room))
        for layer, rooms in enumerate(LAYERS)
        for room in rooms
        for name in room
        if module == name or (name and module.startswith(f"{name}."))
    ]
    assert fits, f"{module} has no place in LAYERS"
    _, layer, room = max(fits, key=lambda fit: fit[0])
    return layer, room


def shown(found: Import) -> str:
    return f"{found.module or '__init__'}:{found.line} imports {found.target}"


def test_every_module_has_a_place() -> None:
    for module in modules():
        home(module)


def test_every_room_has_a_module() -> None:
    rooms = {name for rooms in LAYERS for room in rooms for name in room}

    assert {name for name in rooms if name not in modules()} == set()


def test_modules_import_from_below_or_from_their_own_room() -> None:
    wrong = []
    for found in imports():
        target = own(found.target)
        if target is None or found.type_only:
            continue
        (layer, room), (target_layer, target_room) = home(found.module), home(target)
        if target_layer > layer or (target_layer == layer and target_room != room):
            wrong.append(shown(found))

    assert wrong == []


def test_there_is_no_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in modules()}
    for found in imports():
        target = own(found.target)
        if target is not None and target != found.module and not found.type_only:
            graph[found.module].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_imports_for_types_only_are_the_listed_exceptions() -> None:
    assert {found.module for found in imports() if found.type_only} == TYPE_ONLY.keys()


def test_imports_within_functions_are_the_listed_exceptions() -> None:
    assert {shown(found) for found in imports() if found.in_function and found.module not in IN_FUNCTIONS} == set()
    assert {found.module for found in imports() if found.in_function} == IN_FUNCTIONS.keys()


@pytest.mark.parametrize(
    ("library", "room"),
    [("redis", "broker"), ("django.tasks", "compat"), ("django_tasks", "compat")],
)
def test_a_library_is_imported_in_one_room_only(library: str, room: str) -> None:
    users = {found.module for found in imports() if found.target == library or found.target.startswith(f"{library}.")}

    assert users
    assert {user for user in users if user != room and not user.startswith(f"{room}.")} == set()


def test_the_core_knows_neither_redis_nor_django_nor_anything_that_waits() -> None:
    foreign = {found.target.partition(".")[0] for found in imports() if home(found.module)[1] == {"core"}}

    assert foreign & {"redis", "django", "django_tasks", "socket", "asyncio", "threading", "logging"} == set()


@pytest.mark.parametrize(
    "path",
    sorted(path for path in ROOT.rglob("*") if path.suffix in {".py", ".lua", ".sql"}),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_file_can_be_read_at_a_sitting(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    lines = len(path.read_text().splitlines())

    assert (lines > LONGEST) == (name in LONGER), f"{name} has {lines} lines"


@pytest.mark.parametrize("path", sorted((ROOT / "broker" / "lua").rglob("*.lua")), ids=lambda path: path.stem)
def test_a_script_opens_with_what_it_does(path: Path) -> None:
    lines = path.read_text().splitlines()
    header = lines[: next(at for at, line in enumerate(lines) if not line.startswith("-- "))]

    assert any(line.rstrip().endswith((".", ":")) for line in header), "a sentence"
    assert header[0][3].isupper()
    if path.parent.name == "lua":
        kinds = [line.removeprefix("-- ").partition(":")[0] for line in header]
        assert kinds[1:3] == ["keys", "args"]
        assert header[0].rstrip().endswith(".")
        assert all(line.isascii() for line in header)


@pytest.mark.parametrize("path", sorted((ROOT / "broker" / "lua").glob("*.lua")), ids=lambda path: path.stem)
def test_a_script_says_what_it_answers(path: Path) -> None:
    """``leave`` and ``join`` answer nothing that a caller has to know more of than their method says."""
    text = path.read_text()

    assert "-- Answers" in text or path.stem in {"join", "leave"}

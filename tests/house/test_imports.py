"""Imports go one way.

Once a room reaches into another's rows.py, two rooms own one table, and neither can change it alone; once a room
imports a door, a rule of the wire decides about the business. Both happened to services of this kind that had no such
test.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import stillframe

ROOT = Path(stillframe.__file__).parent
ROOMS = {
    *("identity", "quotas", "images", "layers", "volumes", "servers", "flavors", "networks", "transfers", "jobs"),
    "metadefs",
}
LEVELS = {
    "kit": 0,
    "errors": 0,
    "config": 0,
    "db": 1,
    "blobs": 1,
    "qemu": 1,
    "guest": 1,
    "switch": 1,
    **dict.fromkeys(ROOMS, 2),
    "api": 3,
    "app": 4,
    "coverage": 5,
    "ops": 5,
    "cli": 6,
}
PRIVATE_FILES = {"rows"}
"""Files of a room that no other room may import."""

MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py") if len(path.relative_to(ROOT).parts) > 1)


def imported_names(path: Path) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("stillframe"):
            for alias in node.names:
                yield (*node.module.split(".")[1:], alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("stillframe."):
                    yield tuple(alias.name.split(".")[1:])


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_from_its_own_level_or_below(module: Path) -> None:
    own = module.parts[0]
    for names in imported_names(ROOT / module):
        if names[0] in LEVELS:
            assert LEVELS[names[0]] <= LEVELS[own], f"{module} imports {'.'.join(names)}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.parts[0] in ROOMS], ids=str)
def test_a_room_never_imports_the_rows_of_another(module: Path) -> None:
    for names in imported_names(ROOT / module):
        if names[0] in ROOMS - {module.parts[0]}:
            assert not PRIVATE_FILES & set(names[1:]), f"{module} imports {'.'.join(names)}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.parts[0] == "api"], ids=str)
def test_a_door_never_imports_rows(module: Path) -> None:
    for names in imported_names(ROOT / module):
        assert "rows" not in names, f"{module} imports {'.'.join(names)}"


def test_subprocesses_are_started_by_the_qemu_package_and_by_operations_only() -> None:
    starters = {
        module.parts[0] for module in MODULES if {"subprocess", "create_subprocess_exec"} & _plain_names(ROOT / module)
    }
    assert starters <= {"qemu", "ops", "guest", "cli"}


def _plain_names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return modules | attributes

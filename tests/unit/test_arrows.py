"""Imports point one way, so that each part can be read, and trusted, without those that stand on it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CORE = ("model", "host", "hooks", "plugin", "backends", "policies", "flow")
"""From the bottom up: each may import itself and what stands before it."""
CONSUMERS = {"cli", "lab", "installer", "layouts", "render", "testing"}
"""Stand on top and may import everything; so may the callers' door, `pre_nixos` itself."""
AUTHORS = {"backends", "policies"}
"""Use the authors' door like anybody's plugin: `pre_nixos.plugin`, and public names of `pre_nixos.backends.<name>`."""


class Import(NamedTuple):
    """One imported name; `name` is empty for `import module`."""

    line: int
    module: str
    name: str


def imports(source: str, module: str, *, package: bool) -> list[Import]:
    """Find every import of this distribution in a module, also those below TYPE_CHECKING and inside functions."""
    found: list[Import] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [Import(node.lineno, alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                up = node.level - package
                here = module.split(".")
                origin = ".".join([*here[: len(here) - up], *([origin] if origin else [])])
            found += [Import(node.lineno, origin, alias.name) for alias in node.names]
    return [_submodule(one) for one in found if one.module.split(".")[0] == "pre_nixos"]


def _submodule(one: Import) -> Import:
    """Read `from pre_nixos import model` as the import of a module where that is what it is."""
    path = ROOT.joinpath(*one.module.split("."), one.name)
    if one.name and (path.is_dir() or path.with_suffix(".py").is_file()):
        return Import(one.line, f"{one.module}.{one.name}", "")
    return one


def part(module: str) -> str:
    """Name the part of the design a module belongs to; empty for the callers' door."""
    return [*module.split("."), ""][1]


def complaint(importer: str, one: Import) -> str:
    """Say what is wrong with an import, or nothing."""
    own, other = part(importer), part(one.module)
    if importer.partition(".")[0] != "pre_nixos":
        if other not in {"plugin", "testing"} and not _public(one):
            return "a plugin imports pre_nixos.plugin, pre_nixos.testing and public names of backends"
    elif own in AUTHORS:
        at_home = importer.split(".")[:3] == one.module.split(".")[:3]
        if other != "plugin" and not at_home and not _public(one) and not (own == other == "policies"):
            return "built-ins use the authors' door: pre_nixos.plugin and public names of other backends"
    elif own in CORE:
        allowed = CORE[: CORE.index(own) + 1]
        if other not in allowed:
            return f"{own} may import {', '.join(allowed)} only"
    elif own and own not in CONSUMERS:
        return f"{own} has no place among the arrows: give it one in {Path(__file__).name}, or put it elsewhere"
    return ""


def _public(one: Import) -> bool:
    """Whether an import takes something public from a backend: `from pre_nixos.backends.lvm import Group`."""
    steps = one.module.split(".")
    names = [*steps, one.name]
    return len(steps) == 3 and steps[1] == "backends" and not any(name.startswith("_") for name in names)


def module_name(path: Path) -> str:
    """Give a file's dotted name; an example's begins with its own package's."""
    steps = list(path.relative_to(ROOT).with_suffix("").parts)
    if steps[0] == "examples":
        steps = steps[2:]
    return ".".join(steps[:-1] if steps[-1] == "__init__" else steps)


@pytest.mark.parametrize(
    ("importer", "source", "wrong"),
    [
        ("pre_nixos.model.graph", "from pre_nixos.model import layer", False),
        ("pre_nixos.model.graph", "from pre_nixos.host.api import Reader", True),
        ("pre_nixos.model.graph", "if TYPE_CHECKING:\n    from pre_nixos.host.api import Reader", True),
        ("pre_nixos.model.graph", "def f():\n    import pre_nixos.flow.apply", True),
        ("pre_nixos.model.graph", "from ..hooks import calls", True),
        ("pre_nixos.model.graph", "import os, msgspec", False),
        ("pre_nixos.model.graph", "import pre_nixos", True),
        ("pre_nixos.host.local", "from pre_nixos.model.step import Run", False),
        ("pre_nixos.host.local", "from pre_nixos.plugin import Layer", True),
        ("pre_nixos.backends.swap", "from pre_nixos.plugin import Layer", False),
        ("pre_nixos.backends.swap", "from pre_nixos.model.layer import Layer", True),
        ("pre_nixos.backends.swap", "from pre_nixos.backends.lvm import Volume", False),
        ("pre_nixos.backends.swap", "from pre_nixos.backends.lvm import _volume", True),
        ("pre_nixos.backends.swap", "from pre_nixos.backends.lvm.probe import read", True),
        ("pre_nixos.backends.lvm.probe", "from pre_nixos.backends.lvm.kinds import _Segment", False),
        ("pre_nixos.backends.swap", "from pre_nixos.flow.schedule import schedule", True),
        ("pre_nixos.policies.tiered", "from pre_nixos.backends.lvm import Volume", False),
        ("pre_nixos.policies.tiered", "from pre_nixos.model.size import Rest", True),
        ("pre_nixos.flow.apply", "from pre_nixos.hooks.calls import guard", False),
        ("pre_nixos.flow.apply", "from pre_nixos.lab.uml import Guest", True),
        ("pre_nixos.lab.uml", "from pre_nixos.flow.apply import apply", False),
        ("pre_nixos", "from pre_nixos.flow.apply import apply", False),
        ("pre_nixos.stray", "from pre_nixos.model.layer import Layer", True),
        ("somebody", "from pre_nixos.plugin import Layer", False),
        ("somebody", "from pre_nixos.model.layer import Layer", True),
    ],
)
def test_a_wrong_arrow_is_noticed(importer: str, source: str, wrong: bool) -> None:  # noqa: FBT001 - a column
    found = [complaint(importer, one) for one in imports(source, importer, package=False)]
    assert any(found) is wrong


def test_imports_point_one_way() -> None:
    found: list[str] = []
    ours, examples = ROOT.glob("pre_nixos/**/*.py"), ROOT.glob("examples/*/**/*.py")
    for path in sorted([*ours, *examples]):
        name = module_name(path)
        found += [
            f"{path.relative_to(ROOT)}:{one.line}: {one.module} {one.name}: {said}"
            for one in imports(path.read_text(), name, package=path.name == "__init__.py")
            if (said := complaint(name, one))
        ]
    assert not found, "\n".join(found)


def test_no_public_name_hides_a_module_of_its_own_package() -> None:
    found: list[str] = []
    for path in ROOT.glob("pre_nixos/**/__init__.py"):
        modules = {entry.stem for entry in path.parent.iterdir() if entry.suffix == ".py" or entry.is_dir()}
        names = {
            alias.asname or alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module != module_name(path)
            for alias in node.names
        }
        found += [f"{path.relative_to(ROOT)}: {name}" for name in sorted(modules & names)]
    assert not found

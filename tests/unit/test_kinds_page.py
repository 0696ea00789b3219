"""The page of the kinds says what their classes do: `python -m tests.unit.test_kinds_page` writes it."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.hooks import specs
from pre_nixos.model.layer import Role, roles
from tests.unit.test_schemas import built_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.plugin import Layer

PAGE = Path(__file__).parents[2] / "docs/api/kinds.md"
BACKENDS = "pre_nixos.backends."
INTRODUCTION = """\
# The built-in kinds

What each kind of layer can be told, by the names of its fields. All of them are given by keyword:
`dmcrypt.Luks(mapper="crypt", keys=(...))`.

- a *name* tells siblings apart;
- a *wish* is made, and compared with what is there; one of None is "not asked";
- *how* is said to whatever makes or opens it, and leaves no trace to be compared;
- a *fact* is what only probing knows: it is there to be read, and is given only where its words say so.

This page is written by `python -m tests.unit.test_kinds_page`, from the classes.
"""


def page(registry: Registry) -> str:
    """Write all of it."""
    kinds = [cls for cls in registry.kinds.values() if cls.__module__.startswith(BACKENDS)]
    sections = (_section(cls, registry) for cls in sorted(kinds, key=_called))
    return INTRODUCTION + "".join(f"\n{each}" for each in sections)


def _called(cls: type[Layer]) -> str:
    return f"{cls.__module__.removeprefix(BACKENDS).split('.')[0]}.{cls.__name__}"


def _section(cls: type[Layer], registry: Registry) -> str:
    kind = str(cls.__struct_config__.tag)
    about = f"{_sentence(cls.__doc__ or '')} Its kind is `{kind}`{_place(cls, kind, registry)}."
    heading = f"## `{_called(cls)}`\n\n{about}\n"
    rows = list(_rows(cls))
    if not rows:
        return heading
    return f"{heading}\n| field | role | type | unless said | what it is |\n|---|---|---|---|---|\n" + "".join(rows)


def _place(cls: type[Layer], kind: str, registry: Registry) -> str:
    if cls.part_of:
        whole = registry.kinds[cls.part_of]
        made = registry.owner(specs.format, cls.part_of) is not None
        return f", part of a `{_called(whole)}`" + ("" if made else "; it is found, and not made")
    if cls.ephemeral:
        made = registry.owner(specs.activate, kind) is not None
        return "; it is a use, of which nothing is left when it ends" + ("" if made else ", found and not made")
    if registry.owner(specs.format, kind) is None:
        return "; it is found, and not made"
    return "; it may stand on several layers" if cls.gathers else ""


def _rows(cls: type[Layer]) -> Iterator[str]:
    written = _written(cls)
    known = {each.name: each for each in msgspec.structs.fields(cls)}
    for field, role in roles(cls).items():
        if field not in written or role is Role.PASSING:
            continue
        type_, words = written[field]
        unless = "must be said" if known[field].required else f"`{known[field].default!r}`"
        yield f"| `{field}` | {role} | `{type_}` | {unless} | {words} |\n"


def _written(cls: type[Layer]) -> Mapping[str, tuple[str, str]]:
    """Read the type of each field of its own, and the first sentence about it, from the source of a class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, tuple[str, str]] = {}
    for each, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            about = after.value if isinstance(after, ast.Expr) else None
            words = _sentence(about.value) if isinstance(about, ast.Constant) and isinstance(about.value, str) else ""
            found[each.target.id] = (_type(ast.unparse(each.annotation)), words)
    return found


def _type(annotation: str) -> str:
    plain = re.sub(r"^(?:Name|Fact|How|Passing)\[(.*)\]$", r"\1", annotation)
    return plain.replace(" | ", " or ")


def _sentence(text: str) -> str:
    whole = " ".join(text.split())
    return re.split(r"(?<=[.!?])\s", whole)[0].replace("|", "\\|")


def test_the_page_says_what_the_classes_do() -> None:
    assert PAGE.read_text() == page(built_in()), "write it anew with: python -m tests.unit.test_kinds_page"


@pytest.mark.parametrize("cls", [cls for cls in built_in().kinds.values() if cls.__module__.startswith(BACKENDS)])
def test_every_kind_is_where_the_page_says_and_every_wish_is_on_it(cls: type[Layer]) -> None:
    module, name = _called(cls).split(".")
    assert getattr(import_module(BACKENDS + module), name) is cls
    rows = "".join(_rows(cls))
    common = set(roles(cls)) & {"id", "state", "device", "health", "remark"}
    for field, role in roles(cls).items():
        assert (f"| `{field}` | {role} |" in rows) is (field not in common and role is not Role.PASSING)


if __name__ == "__main__":
    PAGE.write_text(page(built_in()))

"""The habits of this repository that no linter knows."""

from __future__ import annotations

import io
import os
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _files() -> list[str]:
    """Everything git tracks or would track."""
    # The gate may run as root over somebody else's checkout, which git otherwise refuses to read.
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT)]
    listing = subprocess.run(
        [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True
    ).stdout
    return sorted({name for name in os.fsdecode(listing).split("\0") if (ROOT / name).is_file()})


FILES = _files()
PYTHON = [name for name in FILES if name.endswith((".py", ".pyi"))]

# Written so that this file does not contain what it looks for.
STRANGERS = {
    "a package registry": re.compile(
        "|".join(
            rf"{host}\.{top}\b"
            for host, top in (
                ("pypi", "org"),
                ("pythonhosted", "org"),
                ("npmjs", "(?:org|com)"),
                ("yarnpkg", "com"),
                ("deb.debian", "org"),
                ("archive.ubuntu", "com"),
                ("crates", "io"),
            )
        )
    ),
    "a path of somebody's machine": re.compile(r"(?<![\w.\-/])/(?:work|tmp/w|home/[a-z]+/src|Users)/"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_the_repository_speaks_of_the_product_alone(stranger: str) -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in FILES
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1)
        if STRANGERS[stranger].search(line)
    ]
    assert not found


def test_a_file_is_one_thing() -> None:
    lengths = {name: len((ROOT / name).read_text().splitlines()) for name in PYTHON}
    assert not {name: length for name, length in lengths.items() if length > 400}


def test_names_say_what_is_inside() -> None:
    vague = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
    assert not [name for name in PYTHON if vague & set(name.removesuffix(".py").split("/"))]


def test_nothing_goes_through_a_shell() -> None:
    shell = re.compile(
        r"\bshell\s*=\s*True|\bos\s*\.\s*(?:system|popen)\b|\bget(?:status)?output\(|create_subprocess_shel{2}"
    )
    found = [
        f"{name}:{number}"
        for name in PYTHON
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if shell.search(line)
    ]
    assert not found


EXCEPTION = re.compile(
    r"""
    (?:ruff:\s*)? noqa (?: :\s* [A-Z]+[0-9]+ (?: [,\s]+ [A-Z]+[0-9]+ )* )?
  | type:\s*ignore (?: \[ [^\]]* \] )?
  | pyright:\s* (?: ignore (?: \[ [^\]]* \] )? | basic | strict | report\w+\s*=\s*\w+ )
  | mypy:\s* [\w-]+ (?: =\S* )?
  | pragma:\s* no \s cover
    """,
    re.VERBOSE,
)


def unexplained(comment: str) -> bool:
    """Whether a comment switches a checker off without saying why, in a word at least."""
    rest, exceptions = EXCEPTION.subn(" ", comment)
    return exceptions > 0 and re.search(r"[A-Za-z]{2,}", rest) is None


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("# noqa: S603", True),
        ("# noqa: S603, S607", True),
        ("# noqa: S603 - argv only", False),
        ("# type: ignore[misc]", True),
        ("# type: ignore[misc]  # noqa: PGH003", True),
        ("# type: ignore[misc]  # msgspec's own signature", False),
        ("# pyright: ignore[reportUnknownMemberType] - no stubs", False),
        ("# pyright: basic", True),
        ("# an ordinary word", False),
    ],
)
def test_an_unexplained_exception_is_noticed(comment: str, expected: bool) -> None:  # noqa: FBT001 - a column
    assert unexplained(comment) is expected


def test_every_exception_gives_its_reason() -> None:
    found = [
        f"{name}:{token.start[0]}: {token.string}"
        for name in PYTHON
        for token in tokenize.generate_tokens(io.StringIO((ROOT / name).read_text()).readline)
        if token.type == tokenize.COMMENT and unexplained(token.string)
    ]
    assert not found

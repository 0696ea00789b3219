"""What is written as Nix is what Nix reads, whatever it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pre_nixos.hooks.options import Default, Lines, Package
from pre_nixos.render.nix import KEYWORDS, UnwritableError, comment, nix_text
from tests.unit.render.nixeval import evaluate

if TYPE_CHECKING:
    from pathlib import Path

LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
HOSTILE = st.text(st.sampled_from("$${}''\"\\\n\n\t\r #/*ab-. \x1b\x85\u2028\u202eé\U0001f600"), max_size=24)
TEXTS = HOSTILE | st.text(LETTERS, max_size=12)
ROUND = {"__toString", "outPath"}
"""Names by which Nix takes a set for the text in it when it is to be JSON; as a set it is the same as any other."""
NAMES = (TEXTS | st.sampled_from(sorted(KEYWORDS)) | st.just("__functor")).filter(lambda each: each not in ROUND)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=14,
)
AS_IT_IS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@AS_IT_IS
@given(data=st.lists(PLAIN, min_size=1, max_size=8), joined=st.booleans())
@example(
    data=["'${a}", "''${a}", "$${a}", "$''{", "a'\nb'", "a''\n'${", "x$\n$", "'''\n''''", "\n", " \n a", "  a\n  b\n"],
    joined=False,
)
@example(data=[{"$\x1b": "$\x1b", "$$\u202e": "$\x85{"}], joined=False)
@example(data=[{"": {"${a}": 1}, "a'b": {"or": {"if": -1}}, "1": [[-1], []], '"': {}}], joined=True)
def test_nix_reads_what_was_written(data: object, joined: bool, tmp_path: Path) -> None:  # noqa: FBT001 - drawn
    assert evaluate(nix_text(data, joined=joined), tmp_path) == data


@AS_IT_IS
@given(texts=st.lists(HOSTILE, min_size=1, max_size=8))
@example(texts=["$", "'", "''", "'$", "'''$", "a\n$", "a\n'"])
def test_text_may_have_programs_in_it_wherever(texts: list[str], tmp_path: Path) -> None:
    between = [Lines(blocks=((each, Package(name="a", path="bin/b"), each, "\n"),)) for each in texts]
    written = f'let pkgs.a = "/store"; in {nix_text(between)}'
    assert evaluate(written, tmp_path) == [f"{each}/store/bin/b{each}\n" for each in texts]


@settings(parent=AS_IT_IS, max_examples=25)
@given(number=st.floats(allow_nan=False, allow_infinity=False))
@example(number=5e-324)
@example(number=-5e-324)
@example(number=1e16)
@example(number=1e300)
def test_numbers_are_the_same_to_the_last_digit(number: float, tmp_path: Path) -> None:
    # As JSON Nix shows six digits only, so it is asked to compare.
    scale = 2.0**300 if abs(number) < 1e-200 else 1.0
    same = (
        f"let x = {nix_text(number)}; in [ (x * {nix_text(scale)} == {nix_text(number * scale)}) (builtins.isFloat x) ]"
    )
    assert evaluate(same, tmp_path) == [True, True]
    assert math.isclose(float(str(evaluate(nix_text(number), tmp_path))), number, rel_tol=1e-4, abs_tol=1e-300)


def test_it_reads_well() -> None:
    data: dict[str, Any] = {
        "disk": {"main": {"type": "disk", "device": "/dev/disk/by-id/x", "sizes": [1, -2], "none": {}, "no": []}},
        "a name": 'with "quotes", ${this} and \x1b[31m',
        "postCreateHook": "echo 'it''s'\nif true; then\n  echo ${x}\n\nfi\n",
    }
    assert nix_text(data) == (
        "{\n"
        "  disk = {\n"
        "    main = {\n"
        '      type = "disk";\n'
        '      device = "/dev/disk/by-id/x";\n'
        "      sizes = [\n"
        "        1\n"
        "        (-2)\n"
        "      ];\n"
        "      none = { };\n"
        "      no = [ ];\n"
        "    };\n"
        "  };\n"
        '  "a name" = "with \\"quotes\\", \\${this} and ${builtins.fromJSON "\\"\\\\u001b\\""}[31m";\n'
        "  postCreateHook = ''\n"
        "    echo 'it'''s'\n"
        "    if true; then\n"
        "      echo ''${x}\n"
        "\n"
        "    fi\n"
        "  '';\n"
        "}"
    )


def test_sets_of_one_are_joined_where_that_is_asked_for() -> None:
    data = {"boot": {"loader": {"timeout": 3}}, "fileSystems": {"/": {"device": "x", "options": ["y"]}}}
    assert nix_text(data, joined=True).splitlines()[1:3] == ["  boot.loader.timeout = 3;", '  fileSystems."/" = {']


def test_a_default_gives_way() -> None:
    assert nix_text({"a": Default(value=True), "b": [Default(value=-1)]}).splitlines() == [
        "{",
        "  a = lib.mkDefault true;",
        "  b = [",
        "    (lib.mkDefault (-1))",
        "  ];",
        "}",
    ]


def test_the_same_is_said_once_and_the_rest_in_order() -> None:
    both = Lines.of("a", "b").with_more(Lines.of("b", "c"))
    assert "".join(map(str, both.pieces())) == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"a": {"b": "x\0"}}, "a.b"),
        ({"a\0": 1}, "zero byte"),
        ({"a": ["\udcff"]}, "a.0"),
        ({"a": 2**63}, "a is 9223372036854775808"),
        ({"a": math.nan}, "a is nan"),
        ({"a": [math.inf]}, "a.0 is inf"),
        ({1: 2}, "the name 1"),
        ({"a": b"x"}, "a is a bytes"),
    ],
)
def test_what_nix_cannot_say_is_refused_with_its_place(data: object, said: str) -> None:
    with pytest.raises(UnwritableError, match=said):
        nix_text(data)


def test_comments_stay_comments() -> None:
    assert comment("a\nb = 1; \x1b[0m \u2028") == "# a\\nb = 1; \\x1b[0m \\u2028"

"""The kernel's command line: what was meant is done, and garbage is told, and does no harm."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pre_nixos.installer.kernelline import Mode, read_kernel_line


def test_what_is_said_is_read_and_the_rest_is_nobodys_business_here() -> None:
    line = read_kernel_line(
        'BOOT_IMAGE=/k root=LABEL=x quiet pre.mode=apply "pre.policy=our own" pre.lan.mac=52:54:00:12:34:56 -- init'
    )
    assert (line.mode, line.plan_only, line.policy, line.lan_mac) == (Mode.APPLY, False, "our own", "52:54:00:12:34:56")
    assert line.remarks == ()


def test_quotes_are_read_as_the_kernel_reads_them() -> None:
    assert read_kernel_line('pre.policy="a b" x').policy == "a b"
    assert read_kernel_line('pre.policy="never closed x').policy == "never closed x"
    assert read_kernel_line('dyndbg="file x pre.mode=apply"').mode is None


@pytest.mark.parametrize(
    ("text", "usual", "expected"),
    [
        ("", Mode.PLAN, Mode.PLAN),
        ("", Mode.APPLY, Mode.APPLY),
        ("pre.mode=apply", Mode.PLAN, Mode.APPLY),
        ("pre.mode=plan", Mode.APPLY, Mode.PLAN),
        ("pre.mode=OFF", Mode.APPLY, Mode.OFF),
        ("pre.mode=off pre.plan.only", Mode.APPLY, Mode.OFF),
        ("pre.plan.only", Mode.APPLY, Mode.PLAN),
        ("pre.plan.only=1 pre.mode=apply", Mode.APPLY, Mode.PLAN),
        ("pre.plan.only=no pre.mode=apply", Mode.PLAN, Mode.APPLY),
        ("pre.plan.only=perhaps pre.mode=apply", Mode.PLAN, Mode.PLAN),
        ("pre.mode=aply", Mode.APPLY, Mode.PLAN),
        ("pre.mode", Mode.APPLY, Mode.PLAN),
        ("pre.mode=plan pre.mode=apply", Mode.PLAN, Mode.APPLY),
    ],
)
def test_what_makes_no_sense_means_the_careful_thing(text: str, usual: Mode, expected: Mode) -> None:
    assert read_kernel_line(text).mode_or(usual) is expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pre.mdoe=apply", "'pre.mdoe' .* is unknown .*was pre.mode meant"),
        ("pre.=", "is unknown"),
        ("pre.mode=plan pre.mode=off", "more than once .*'off', the last, counts"),
        ("pre.mode=aply", "means nothing"),
        ("pre.plan.only=perhaps", "neither yes nor no"),
        ("pre.policy=", "has no value"),
    ],
)
def test_what_is_odd_is_told(text: str, told: str) -> None:
    (remark,) = read_kernel_line(text).remarks
    assert re.search(told, remark)


def test_what_is_said_twice_alike_is_not_odd() -> None:
    assert read_kernel_line("pre.mode=plan pre.mode=plan").remarks == ()


@given(some.lists(some.sampled_from(['"', " ", "pre.", "mode", "=", "plan.only", "\n", "\x00", "é", "apply", "1"])))
def test_garbage_never_fails_and_never_applies_more_than_was_said(pieces: list[str]) -> None:
    text = "".join(pieces)
    line = read_kernel_line(text)
    if line.mode_or(Mode.PLAN) is Mode.APPLY:
        assert "pre.mode=" in text.replace('"', "")
        assert "apply" in text

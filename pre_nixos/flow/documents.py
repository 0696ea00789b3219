"""Machines and plans as files: for another day, another machine, or a unit test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pre_nixos.hooks.registry import installed
from pre_nixos.model.codec import Unreadable, decode, encode
from pre_nixos.model.data import Data
from pre_nixos.model.machine import Machine
from pre_nixos.model.plan import Plan

if TYPE_CHECKING:
    from pre_nixos.flow.outcome import Report
    from pre_nixos.hooks.registry import Registry

D = TypeVar("D", bound=Data)

MACHINE = "pre-nixos machine"
PLAN = "pre-nixos plan"
REPORT = "pre-nixos report"
DOCUMENTS: dict[str, type[Data]] = {MACHINE: Machine, PLAN: Plan}
"""What each format holds."""


def dump_machine(machine: Machine, *, registry: Registry | None = None) -> bytes:
    """Write down what probing found."""
    return encode(machine, format=MACHINE, owners=(registry or installed()).writers)


def dump_plan(plan: Plan, *, registry: Registry | None = None) -> bytes:
    """Write down a plan."""
    return encode(plan, format=PLAN, owners=(registry or installed()).writers)


def json_schema(format_: str, *, registry: Registry | None = None) -> dict[str, Any]:
    """Describe the documents of a format (`MACHINE`, `PLAN`) as a JSON schema, with the kinds that are installed.

    Raises ValueError for a format that has none, with those that have.
    """
    if format_ not in DOCUMENTS:
        raise ValueError(f"there is no schema of {format_!r}; there are: {', '.join(DOCUMENTS)}")
    from pre_nixos.model.schema import document_schema

    kinds = (registry or installed()).kinds
    return document_schema(DOCUMENTS[format_], format=format_, kinds=[kinds[each] for each in sorted(kinds)])


def load_machine(path: str | int, *, registry: Registry | None = None) -> Machine:
    """Read a machine from a file: one that was written down, or a recording of one, which is probed anew.

    The file is a path, or a descriptor that is open, such as 0. Raises Unreadable with a sentence about what is wrong
    with it.
    """
    from pre_nixos.host.record import FORMAT

    text = read_file(path)
    if FORMAT.encode() in text[:200]:
        return _probe_recording(path, text, registry)
    return _decode(path, text, Machine, MACHINE, registry)


def load_plan(path: str | int, *, registry: Registry | None = None) -> Plan:
    """Read a plan from a file: a path, or a descriptor that is open. Raises Unreadable."""
    return _decode(path, read_file(path), Plan, PLAN, registry)


def load_report(path: str, *, registry: Registry | None = None) -> Report:
    """Read the report of an apply from a file. Raises Unreadable."""
    from pre_nixos.flow.outcome import Report

    return _decode(path, read_file(path), Report, REPORT, registry)


def read_file(path: str | int) -> bytes:
    """Read a file, or a descriptor, to its end. Raises Unreadable."""
    try:
        with open(path, "rb", closefd=isinstance(path, str)) as file:
            return file.read()
    except OSError as error:
        raise Unreadable(f"{called(path)}: {error.strerror}") from error


def called(path: str | int) -> str:
    """Name for people what is read."""
    return path if isinstance(path, str) else "standard input" if path == 0 else f"descriptor {path}"


def _decode(path: str | int, text: bytes, cls: type[D], format_: str, registry: Registry | None) -> D:
    try:
        return decode(text, cls, format=format_, kinds=(registry or installed()).kinds)
    except Unreadable as error:
        raise Unreadable(f"{called(path)}: {error}") from error


def _probe_recording(path: str | int, text: bytes, registry: Registry | None) -> Machine:
    from pre_nixos.flow.probe import probe
    from pre_nixos.host.record import Recording, RecordingError
    from pre_nixos.host.replay import NotRecordedError, Replay

    try:
        return probe(Replay(Recording.from_json(text)), registry=registry)
    except (NotRecordedError, RecordingError) as error:
        raise Unreadable(f"{called(path)}: {error}") from error

"""Machines and plans as files: for another day, another machine, or a unit test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pre_nixos.hooks.registry import installed
from pre_nixos.model.codec import Unreadable, decode, encode
from pre_nixos.model.data import Data
from pre_nixos.model.machine import Machine
from pre_nixos.model.plan import Plan

if TYPE_CHECKING:
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
    """Describe the documents of a format (`MACHINE`, `PLAN`) as a JSON schema, with the kinds that are installed."""
    from pre_nixos.model.schema import document_schema

    kinds = (registry or installed()).kinds
    return document_schema(DOCUMENTS[format_], format=format_, kinds=[kinds[each] for each in sorted(kinds)])


def load_machine(path: str, *, registry: Registry | None = None) -> Machine:
    """Read a machine from a file: one that was written down, or a recording of one, which is probed anew.

    Raises Unreadable with a sentence about what is wrong with the file.
    """
    from pre_nixos.host.record import FORMAT

    text = _read(path)
    if FORMAT.encode() in text[:200]:
        return _probe_recording(path, text, registry)
    return _decode(path, text, Machine, MACHINE, registry)


def load_plan(path: str, *, registry: Registry | None = None) -> Plan:
    """Read a plan from a file. Raises Unreadable."""
    return _decode(path, _read(path), Plan, PLAN, registry)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror}") from error


def _decode(path: str, text: bytes, cls: type[D], format_: str, registry: Registry | None) -> D:
    try:
        return decode(text, cls, format=format_, kinds=(registry or installed()).kinds)
    except Unreadable as error:
        raise Unreadable(f"{path}: {error}") from error


def _probe_recording(path: str, text: bytes, registry: Registry | None) -> Machine:
    from pre_nixos.flow.probe import probe
    from pre_nixos.host.record import Recording, RecordingError
    from pre_nixos.host.replay import NotRecordedError, Replay

    try:
        return probe(Replay(Recording.from_json(text)), registry=registry)
    except (NotRecordedError, RecordingError) as error:
        raise Unreadable(f"{path}: {error}") from error

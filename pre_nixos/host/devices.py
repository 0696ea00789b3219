"""Asking devices themselves, through a child that can be left behind: content, bytes, and whether they are free."""

from __future__ import annotations

import errno
import marshal
import os
from typing import TYPE_CHECKING, TypeAlias, cast

from pre_nixos.host.devicechild import READER
from pre_nixos.host.questions import (
    Bytes,
    Content,
    Contents,
    Opened,
    Signature,
    Verdict,
)
from pre_nixos.host.sysfs import Sysfs, node_path
from pre_nixos.model.step import WINDOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.host.devicejobs import Facts, Job
    from pre_nixos.host.questions import OpenExclusive, ReadAt, SafeProbe

CONTRADICTION = "it has signatures that contradict each other"
LIMIT = 30.0
"""Seconds a single read or open may take."""
_NAMED = ("TYPE", "PTTYPE", "USAGE", "UUID", "PTUUID", "LABEL", "VERSION")
Reasons: TypeAlias = "dict[str, tuple[Verdict, str]]"


def safe_probe(question: SafeProbe, sysfs: Sysfs) -> Contents:
    """Answer `SafeProbe`."""
    asking = _Asking(sysfs)
    settled = asking.settled
    for number in dict.fromkeys(question.numbers):
        asking.add("probe", number, window=WINDOW if question.windows else 0)
    answers, error = asking.answers(question.timeout)
    contents: dict[str, Content] = {}
    for number in question.numbers:
        if number in settled:
            verdict, reason = settled[number]
            contents[number] = Content(number=number, verdict=verdict, error=reason)
        elif number in answers:
            paths = sysfs.nvme_paths(asking.names[number])
            down = [f"{path} is {state}" for path, state in paths.items() if state != "live"]
            contents[number] = judge(number, answers[number], ", ".join(down))
        else:
            contents[number] = Content(number=number, verdict=Verdict.BUSY, error=error)
    return Contents(devices=tuple(contents[number] for number in question.numbers))


def read_at(question: ReadAt, sysfs: Sysfs) -> Bytes:
    """Answer `ReadAt`."""
    facts, error = _single("read", question.number, sysfs, offset=question.offset, length=question.length)
    if facts is None or facts["errno"]:
        return Bytes(error=facts["error"] if facts else error)
    data = facts["data"]
    if len(data) < question.length:
        return Bytes(data=data, error=f"the device ends after {len(data)} of {question.length} bytes")
    return Bytes(data=data)


def open_exclusive(question: OpenExclusive, sysfs: Sysfs) -> Opened:
    """Answer `OpenExclusive`."""
    facts, error = _single("exclusive", question.number, sysfs)
    if facts is None or facts["errno"]:
        return Opened(free=False, error=facts["error"] if facts else error)
    return Opened(free=True)


def judge(number: str, facts: Facts, paths_down: str = "") -> Content:
    """Make a verdict of what was found: blank only if everything says so, and everything could be read."""
    if facts["errno"]:
        return Content(number=number, verdict=_of_error(facts["errno"]), error=facts["error"])
    size, after = facts["size"], facts["size_after"]
    signatures = [_signature(found, facts) for found in facts["signatures"]]
    verdict, error = _verdict(facts, paths_down)
    if size != after:
        verdict, error = Verdict.UNREADABLE, f"its size changed from {size} to {after} bytes while it was read"
    # What libblkid alone would have said comes first.
    ordered = tuple(sorted(signatures, key=lambda signature: signature.hidden))
    if verdict is Verdict.KNOWN and _beside_a_header(ordered):
        verdict, error = Verdict.AMBIGUOUS, CONTRADICTION
    return Content(number=number, verdict=verdict, size=size, signatures=ordered, error=error)


def _verdict(facts: Facts, paths_down: str) -> tuple[Verdict, str]:
    if facts["size"] == 0:
        return Verdict.UNREADABLE, "it has no bytes: no medium, or nothing attached"
    if facts["safeprobe"] == -2:
        return Verdict.AMBIGUOUS, CONTRADICTION
    problem = facts["safeprobe"] if facts["safeprobe"] < 0 else facts["incomplete"]
    if problem:
        # libblkid answers some errors with a bare -1, whose own meaning would only mislead.
        words = "Input/output error" if problem == -1 else os.strerror(-problem)
        return Verdict.UNREADABLE, f"not all of it could be read: {words}"
    if facts["signatures"] or facts["safeprobe"] == 0:
        return Verdict.KNOWN, ""
    if facts["window_error"]:
        return Verdict.UNREADABLE, f"not all of its ends could be read: {facts['window_error']}"
    if paths_down:
        return Verdict.BUSY, f"nothing was found, but not every path to it is live: {paths_down}"
    if facts["blank"] is None:
        return Verdict.DATA, "no signature; its ends were not read"
    return (Verdict.BLANK if facts["blank"] else Verdict.DATA), ""


def _beside_a_header(signatures: Sequence[Signature]) -> bool:
    """Tell whether there is more on an encrypted device than its header, behind which libblkid looks no further.

    What is inside is encrypted, so whatever else shows is no part of it: another owner's, who may want it back.
    """
    others = [each for each in signatures if each.usage not in {"crypto", "table"}]
    return bool(others) and any(each.usage == "crypto" and not each.hidden for each in signatures)


def _of_error(number: int) -> Verdict:
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return Verdict.GONE
    return Verdict.BUSY if number == errno.EBUSY else Verdict.UNREADABLE


def _signature(found: dict[str, str], facts: Facts) -> Signature:
    table = "PTTYPE" in found and "TYPE" not in found
    magic = "PTMAGIC" if table else "SBMAGIC"
    name = "PTTYPE" if table else "TYPE"
    detail = {key: value for key, value in found.items() if key not in _NAMED and not key.startswith(magic)}
    loser = any(found.get(key) != facts["winner"].get(key) for key in (name, f"{magic}_OFFSET"))
    return Signature(
        type=found.get(name, "unknown"),
        usage="table" if table else found.get("USAGE", ""),
        offset=int(found.get(f"{magic}_OFFSET", "0")),
        length=int(found.get(f"{magic}_LENGTH", "0")),
        uuid=found.get("PTUUID" if table else "UUID", ""),
        label=found.get("LABEL", ""),
        version=found.get("VERSION", ""),
        hidden=facts["safeprobe"] == 0 and loser and (table or facts["winner"].get("USAGE") != "crypto"),
        detail=detail,
    )


class _Asking:
    """What is asked of the child at once."""

    def __init__(self, sysfs: Sysfs) -> None:
        self.names: dict[str, str] = {}
        self.settled: Reasons = {}
        """Devices that must not, or cannot, be opened."""
        self._sysfs = sysfs
        self._groups: dict[str, list[Job]] = {}
        self._stuck: dict[str, str] = {}
        self._aligns: dict[str, int] = {}

    def add(self, do: str, number: str, *, window: int = 0, offset: int = 0, length: int = 0) -> None:
        """Add a job, or settle the matter."""
        name = self._sysfs.name(number)
        if not name:
            self.settled[number] = (Verdict.GONE, f"there is no block device {number}")
            return
        stuck = self._sysfs.stuck(name, self._stuck)
        if stuck:
            self.settled[number] = (Verdict.BUSY, f"{name} was not opened: {stuck}")
            return
        self.names[number] = name
        disk = self._sysfs.whole_disk(name)
        if disk not in self._aligns:
            self._aligns[disk] = int(self._sysfs.attribute(disk, "queue/logical_block_size") or 4096)
        job: Job = {
            "do": do,
            "number": number,
            "path": node_path(name),
            "align": self._aligns[disk],
            "window": window,
            "partition": disk != name,
            "offset": offset,
            "length": length,
        }
        # Devices of one disk in turn: side by side they would only make its heads run, or wait for the same fault.
        self._groups.setdefault(disk, []).append(job)

    def answers(self, timeout: float) -> tuple[dict[str, Facts], str]:
        """Have a child do the jobs; those it did not come back from are missing, and the error says why."""
        if not self._groups:
            return {}, ""
        message = marshal.dumps(list(self._groups.values()))
        messages, error = READER.ask(message, len(self.names), timeout)
        answers: dict[str, Facts] = {}
        for each in messages:
            number, facts = cast("tuple[str, Facts]", marshal.loads(each))  # noqa: S302 - from our own child
            answers[number] = facts
        if error == "timeout":
            return answers, f"a read of it did not return within {timeout:g} s"
        return answers, f"the reader of devices failed: {error}"


def _single(do: str, number: str, sysfs: Sysfs, offset: int = 0, length: int = 0) -> tuple[Facts | None, str]:
    asking = _Asking(sysfs)
    asking.add(do, number, offset=offset, length=length)
    if number in asking.settled:
        return None, asking.settled[number][1]
    answers, error = asking.answers(LIMIT)
    return answers.get(number), "" if number in answers else error

"""The host this program runs on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pre_nixos.host.questions import (
    Command,
    ListDirectory,
    Locate,
    LookAround,
    Names,
    OpenExclusive,
    ReadAt,
    ReadBlockNodes,
    ReadFile,
    ReadMounts,
    SafeProbe,
    Surroundings,
    Text,
    WhoUses,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pre_nixos.host.api import Deed, Outcome
    from pre_nixos.host.doing import Hands
    from pre_nixos.host.questions import (
        BlockNodes,
        Bytes,
        Contents,
        Located,
        MountTable,
        Opened,
        Question,
        Ran,
        Users,
    )
    from pre_nixos.model.step import Step

A = TypeVar("A")
PIECE = 64 << 10
LARGEST = 16 << 20
"""A file longer than this is not one of the small ones `ReadFile` is for."""


class LocalHost:
    """Answers questions about this machine, and does what it is told to it."""

    def __init__(self) -> None:
        self._hands: Hands | None = None

    def ask(self, question: Question[A]) -> A:
        """Answer one question. What cannot be read is said in the answer, not raised."""
        answer = ANSWERS.get(type(question))
        if answer is None:
            raise TypeError(f"{type(question).__name__} is not a question a host answers")
        return cast("A", answer(question))

    def do(self, work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str]) -> Outcome:
        """Do one step or deed; see `Host`."""
        return self._own_hands().do(work, places, secrets)

    def listen(self, to: Callable[[str], None] | None) -> None:
        """Tell somebody what loud programs say from now on; see `Audible`."""
        self._own_hands().listener = to

    def _own_hands(self) -> Hands:
        if self._hands is None:
            from pre_nixos.host.doing import Hands  # those who only look need not load it

            self._hands = Hands(self)
        return self._hands


def _command(question: Command) -> Ran:
    from pre_nixos.host.processes import run  # loaded by whoever asks this, here and below

    return run(question.argv, timeout=question.timeout)


def _read_file(question: ReadFile) -> Text:
    try:
        # Without blocking, should the path be a pipe nobody writes to.
        descriptor = os.open(question.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            content = _up_to(LARGEST + 1, descriptor)
        finally:
            os.close(descriptor)
    except OSError as problem:
        return Text(error=problem.strerror or str(problem))
    if len(content) > LARGEST:
        return Text(error=f"longer than {LARGEST} bytes")
    return Text(content=content.decode("utf-8", "backslashreplace"))


def _up_to(most: int, descriptor: int) -> bytes:
    """Read so many bytes at the most, a few at a time: for all that is asked for the kernel may want memory at once."""
    pieces: list[bytes] = []
    length = 0
    while length < most and (piece := os.read(descriptor, min(PIECE, most - length))):
        pieces.append(piece)
        length += len(piece)
    return b"".join(pieces)


def _list_directory(question: ListDirectory) -> Names:
    try:
        names = sorted(os.listdir(os.fsencode(question.path)))
    except OSError as problem:
        return Names(error=problem.strerror or str(problem))
    return Names(names=tuple(name.decode("utf-8", "backslashreplace") for name in names))


def _read_at(question: ReadAt) -> Bytes:
    from pre_nixos.host.devices import read_at
    from pre_nixos.host.sysfs import Sysfs

    return read_at(question, Sysfs())


def _safe_probe(question: SafeProbe) -> Contents:
    from pre_nixos.host.devices import safe_probe
    from pre_nixos.host.sysfs import Sysfs

    return safe_probe(question, Sysfs())


def _open_exclusive(question: OpenExclusive) -> Opened:
    from pre_nixos.host.devices import open_exclusive
    from pre_nixos.host.sysfs import Sysfs

    return open_exclusive(question, Sysfs())


def _who_uses(question: WhoUses) -> Users:
    from pre_nixos.host.sysfs import Sysfs
    from pre_nixos.host.usage import Usage

    usage = Usage(sysfs=Sysfs(), open_exclusive=lambda number: _open_exclusive(OpenExclusive(number=number)))
    return usage.who_uses(question)


def _block_nodes(_: ReadBlockNodes) -> BlockNodes:
    from pre_nixos.host.sysfs import Sysfs

    return Sysfs().nodes()


def _mounts(_: ReadMounts) -> MountTable:
    from pre_nixos.host.geometry import told_size
    from pre_nixos.host.mounttable import read_mounts

    return read_mounts(size_at=told_size)


def _locate(question: Locate) -> Located:
    from pre_nixos.host.sysfs import Sysfs

    return Sysfs().locate(question.start, question.trail)


def _look_around(question: LookAround) -> Surroundings:
    from pre_nixos.host.processes import find

    found = {tool: find(tool) for tool in question.tools}
    return Surroundings(
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        architecture=os.uname().machine,
        firmware="uefi" if os.path.isdir("/sys/firmware/efi") else "bios",
        tools={tool: path for tool, path in found.items() if path},
        command_line=(_read_file(ReadFile(path="/proc/cmdline")).content or "").strip(),
        root=os.geteuid() == 0,
    )


ANSWERS: dict[type, Callable[[Any], object]] = {
    Command: _command,
    ListDirectory: _list_directory,
    Locate: _locate,
    LookAround: _look_around,
    OpenExclusive: _open_exclusive,
    ReadAt: _read_at,
    ReadBlockNodes: _block_nodes,
    ReadFile: _read_file,
    ReadMounts: _mounts,
    SafeProbe: _safe_probe,
    WhoUses: _who_uses,
}

"""A machine that is written down in a test: nodes, what they hold, and bytes where a probe reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pre_nixos.host.questions import (
    BlockNode,
    BlockNodes,
    Bytes,
    Command,
    Content,
    Contents,
    ListDirectory,
    LookAround,
    MountEntry,
    MountTable,
    Names,
    Question,
    Ran,
    ReadAt,
    ReadBlockNodes,
    ReadFile,
    ReadMounts,
    SafeProbe,
    Signature,
    Surroundings,
    Text,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

A = TypeVar("A")


class Readable(Protocol):
    """Bytes of a device."""

    def read(self, offset: int, length: int) -> bytes: ...


class Image:
    """A device that begins with these bytes, and holds nothing else."""

    def __init__(self, data: bytes = b"") -> None:
        self._data = data

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length].ljust(length, b"\0")


class Canned:
    """Answers for a machine that exists only here, and counts how often a device was read."""

    def __init__(
        self,
        nodes: Sequence[BlockNode],
        signatures: Mapping[str, Sequence[Signature]] = {},
        devices: Mapping[str, Readable] = {},
        mounts: Sequence[MountEntry] = (),
        swaps: Sequence[str] = (),
        files: Mapping[str, str] = {},
        noise: Collection[str] = (),
        tables: str = "",
    ) -> None:
        self._nodes = tuple(nodes)
        self._signatures = signatures
        self._devices = devices
        self._mounts = MountTable(mounts=tuple(mounts), swaps=tuple(swaps))
        self._files = files
        self._noise = noise
        self._tables = tables
        self.reads = 0

    def ask(self, question: Question[A]) -> A:
        asked: Any = question  # a checker cannot see which question has which answer
        answer: Any
        match asked:
            case ReadBlockNodes():
                answer = BlockNodes(nodes=self._nodes)
            case SafeProbe():
                answer = Contents(devices=tuple(self._content(number) for number in asked.numbers))
            case ReadAt():
                self.reads += 1
                data = self._devices[asked.number].read(asked.offset, asked.length)
                answer = Bytes(data=data, error="" if len(data) == asked.length else "Input/output error")
            case ReadMounts():
                answer = self._mounts
            case Command(argv=("dmsetup", "table", "--concise")):
                answer = Ran(status=0, stdout=self._tables)
            case LookAround():
                answer = Surroundings(memory=1 << 30, architecture="x86_64", firmware="uefi")
            case ListDirectory():
                answer = Names()
            case ReadFile():
                answer = Text(content=self._files.get(asked.path))
            case _:
                raise AssertionError(f"nobody was to ask {question!r}")
        return answer  # type: ignore[no-any-return]  # the type of the answer hangs on the question's value

    def _content(self, number: str) -> Content:
        found = tuple(self._signatures.get(number, ()))
        verdict = Verdict.KNOWN if found else Verdict.DATA if number in self._noise else Verdict.BLANK
        return Content(number=number, verdict=verdict, signatures=found)


def disk(name: str, number: str, size: int, **attributes: str) -> BlockNode:
    """A disk that is really there, by its sysfs path."""
    known = {"size": str(size // 512), "device/wwid": f"naa.{name}"}
    return BlockNode(
        name=name, number=number, attributes=known | attributes, path=f"/sys/devices/pci0/host0/block/{name}"
    )


def part(parent: str, number: str, count: int, start: int, size: int) -> BlockNode:
    """A partition, in bytes."""
    attributes = {"size": str(size // 512), "start": str(start // 512), "partition": str(count)}
    return BlockNode(name=f"{parent}{count}", number=number, parent=parent, attributes=attributes)

"""What encrypted devices are: LUKS volumes, and plain dm-crypt mappings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import msgspec

from pre_nixos.backends.devicemapper import mangled
from pre_nixos.plugin import MIB, Fact, How, Layer, Mismatch, Passing, Run, Secret, State, human

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pre_nixos.plugin import DeviceGraph, Node, Step

SIGNATURE = "crypto_LUKS"
SCHEMES = ("file:", "keyfile:", "env:", "fd:", "prompt:")
DATA_OFFSET = 16 * MIB
"""Where the data begins in a LUKS2 volume; LUKS1 keeps less for itself."""


class Luks(Layer, tag="luks"):
    """A LUKS volume, open or closed."""

    mapper: str | None = None
    """Its name below /dev/mapper while it is open."""
    version: str | None = None
    """`1` or `2`; 2 is what is made if nothing is said."""
    label: str | None = None
    uuid: str | None = None
    cipher: str | None = None
    """As cryptsetup writes it, such as `aes-xts-plain64`."""
    key_size: int | None = None
    """Bits of the key the data is encrypted with."""
    sector_size: int | None = None
    """Bytes that are encrypted as one: 512 or 4096."""
    pbkdf: str | None = None
    """How passphrases are made into keys: `argon2id`, `argon2i` or `pbkdf2`."""
    keys: How[tuple[str, ...]] = ()
    """References to what opens it. The first one is used for that; each further one gets a slot of its own."""
    iter_time: How[int | None] = None
    """Milliseconds that trying one passphrase is to take."""
    pbkdf_iterations: How[int | None] = None
    """The cost of trying one, instead of having it measured."""
    pbkdf_memory: How[int | None] = None
    """KiB that trying one takes at the most: a machine with little memory makes it less."""
    pbkdf_parallel: How[int | None] = None
    """Threads that trying one takes at the most: a machine with few processors makes it less."""
    arguments: How[tuple[str, ...]] = ()
    """Further arguments for the program that makes it."""
    allow_discards: bool | None = None
    """Whether what is discarded inside is discarded below, which shows where nothing is."""
    bypass_workqueues: bool | None = None
    """Whether reads and writes are encrypted at once instead of in a queue, which suits fast disks."""
    open_arguments: How[tuple[str, ...]] = ()
    """Further arguments for opening it."""
    initrd: How[bool] = True
    """Whether the booted system's initrd is to open it."""
    at_boot: How[tuple[tuple[str, bool | int | tuple[str, ...]], ...]] = ()
    """How else it is to: options of `boot.initrd.luks.devices` of NixOS, by name."""
    not_told: How[tuple[str, ...]] = ()
    """Names of such options that were asked for and are not kept."""
    slots: Fact[int] = 0
    """How many keys open it; 0 if that could not be read."""
    iterations: Fact[int] = 0
    """What trying a passphrase on its first key costs; 0 where that is not known, or where it knows no such measure."""
    memory: Fact[int] = 0
    """KiB that it takes."""
    threads: Fact[int] = 0
    unused: Fact[int] = 0
    """Bytes of its device that it does not use while it is open, because that has grown since."""
    orphan: Fact[bool] = False
    """Whether it is open although its header is on no device here: gone, or kept in a file somewhere."""
    hidden: Passing[tuple[str, ...]] = ()
    """Numbers of devices cryptsetup put below it for its own use, and takes away with it."""
    suspended: Passing[bool] = False

    def __post_init__(self) -> None:
        """UUIDs are the same however they are written. Raises ValueError for a key that is not a reference to one."""
        if not all(each.startswith(SCHEMES) for each in self.keys):
            # What it is instead may be the passphrase itself: it is not repeated, and gets into no plan.
            raise ValueError(f"one of the keys is no reference to a secret: begin it with one of {', '.join(SCHEMES)}")
        if self.uuid is not None:
            msgspec.structs.force_setattr(self, "uuid", self.uuid.lower())

    def describe(self) -> str:
        """Version, label and the name it is open under."""
        label = f" {self.label!r}" if self.label else ""
        opened = f", open as {self.mapper}" if self.mapper else ""
        return f"LUKS{self.version or ''}{label}{opened}"

    def unfit(self, below: Sequence[Layer]) -> str:
        """One that is made has its header on its device."""
        return "" if len(below) == 1 else "a volume is on one device: add one for each"

    def explains(self) -> frozenset[str]:
        """Its header."""
        return frozenset() if self.orphan else frozenset({SIGNATURE})

    def inner(self) -> frozenset[str]:
        """The device that keeps the checksums of a volume with integrity."""
        return frozenset(self.hidden)

    def occupies(self) -> frozenset[str]:
        """The name it is open under."""
        return frozenset({f"mapper:{self.mapper}"} if self.mapper else ())

    def opened_with(self) -> tuple[str, ...]:
        """The first of its keys."""
        return self.keys[:1]

    def mark(self) -> Mapping[str, str]:
        """The name it is open under."""
        return {"dm/name": mangled(self.mapper)} if self.mapper else {"dm/uuid": "*"}

    def found_at(self) -> str:
        """By the name it is open under."""
        return f"/dev/mapper/{mangled(self.mapper)}" if self.mapper else ""

    def usable(self, below: Sequence[int]) -> int:
        """What the larger kind of header leaves."""
        return max(0, below[0] - DATA_OFFSET) if below else 0

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - Self is the same class in both
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """A closed volume is not open in any way, and of a header that was not read nothing is known.

        Keys are counted: which of them open it only trying would tell. More than are listed may have been added since.
        """
        found = [
            each
            for each in super().mismatches(there)
            if each.field not in {*WHILE_OPEN, *_IN_HEADER} or getattr(there, each.field) is not None
        ]
        if 0 < there.slots < len(self.keys):
            found.append(Mismatch(field="keys", there=str(there.slots), wanted=str(len(self.keys))))
        found += self._costs(there)
        if there.unused and self.keys:  # without a key nobody can do anything about it
            found.append(Mismatch(field="unused", there=human(there.unused), wanted="nothing"))
        return tuple(found)

    def _costs(self, there: Self) -> Iterator[Mismatch]:
        """Iterations are what was asked for; of the rest the machine that made it may have taken less."""
        for field, now, wanted, is_limit in (
            ("pbkdf_iterations", there.iterations, self.pbkdf_iterations, False),
            ("pbkdf_memory", there.memory, self.pbkdf_memory, True),
            ("pbkdf_parallel", there.threads, self.pbkdf_parallel, True),
        ):
            if wanted is not None and now and (now > wanted if is_limit else now != wanted):
                yield Mismatch(field=field, there=str(now), wanted=f"at most {wanted}" if is_limit else str(wanted))

    def rehearsed(self) -> Self:
        """It gets a key that is made up, and is opened, which it need not have been."""
        name = self.mapper or f"rehearsed-{self.uuid or self.label or 'volume'}"
        return msgspec.structs.replace(self, mapper=name, keys=("prompt:",), iter_time=100)

    def grown(self, graph: DeviceGraph) -> Sequence[Step]:
        """Only what is open needs to be told, and only with a key it can be."""
        del graph
        return (resizing(self),) if self.keys else ()


def resizing(layer: Luks) -> Run:
    """Have an open volume use all of its device."""
    argv = ("cryptsetup", "resize", "--key-file", "-", "--", layer.mapper or "")
    return Run(argv=argv, stdin=Secret(reference=(layer.keys or ("",))[0]))


WHILE_OPEN = ("mapper", "allow_discards", "bypass_workqueues")
"""What only one that is open has."""
_IN_HEADER = ("cipher", "key_size", "sector_size", "pbkdf")


@runtime_checkable
class Forgotten(Protocol):
    """What a layer offers whose content is gone, and not missed, every time the mapping below it was closed."""

    def made_again(self, node: Node) -> Sequence[Step]:
        """Give the steps that make it on a mapping that was just opened with a key nobody keeps."""
        ...


class Plain(Layer, tag="crypt-plain"):
    """A dm-crypt mapping without a header: closed, nothing tells it from random bytes.

    It is made with a key that nobody knows and nobody keeps, for what need not outlive a boot, such as swap. A
    partition of the type `scratch` is for nothing else: by that one that is closed is known.
    """

    mapper: str | None = None
    """Its name below /dev/mapper while it is open."""
    cipher: str | None = None
    key_size: int | None = None
    """Bits."""
    allow_discards: bool | None = None
    suspended: Passing[bool] = False

    def describe(self) -> str:
        """What it is, and the name it is open under."""
        if self.state is State.INACTIVE:
            return "encrypted with a key that nobody kept"
        return "encrypted without a header" + (f", open as {self.mapper}" if self.mapper else "")

    @property
    def alone(self) -> str:
        """Its name, where nothing it stands on tells it from others."""
        return self.mapper or self.segment

    def occupies(self) -> frozenset[str]:
        """The name it is open under."""
        return frozenset({f"mapper:{self.mapper}"} if self.mapper else ())

    def unfit(self, below: Sequence[Layer]) -> str:
        """It maps one device."""
        return "" if len(below) == 1 else "a mapping is on one device: add one for each"

    def mark(self) -> Mapping[str, str]:
        """The name it is open under."""
        return {"dm/name": mangled(self.mapper)} if self.mapper else {"dm/uuid": "*"}

    def found_at(self) -> str:
        """By the name it is open under."""
        return f"/dev/mapper/{mangled(self.mapper)}" if self.mapper else ""

    def mismatches(  # pyright: ignore[reportIncompatibleMethodOverride] - Self is the same class in both
        self, there: Self
    ) -> tuple[Mismatch, ...]:
        """A closed one is not open in any way."""
        return tuple(each for each in super().mismatches(there) if getattr(there, each.field) is not None)

    def rehearsed(self) -> Self:
        """It is opened, which it need not have been."""
        return msgspec.structs.replace(self, mapper=self.mapper or f"rehearsed-{self.id.replace('/', '-')}")

    def usable(self, below: Sequence[int]) -> int:
        """All of it."""
        return below[0] if below else 0


__all__ = ["DATA_OFFSET", "SIGNATURE", "Forgotten", "Luks", "Plain"]

"""What policies have in common that put one system on one disk, or on several that hold the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from pre_nixos.backends.mounts import Mount
from pre_nixos.backends.swap import File
from pre_nixos.plugin import Exact, InvalidLayout, Options, Size, human, parse_size
from pre_nixos.policies.booting import Start, has_uefi
from pre_nixos.policies.picking import Demand
from pre_nixos.policies.reading import is_read, read_bytes
from pre_nixos.policies.selection import size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import Disk, Draft, Handle, Machine, Wanted


class SystemOptions(Options):
    """Which disk, what the machine starts from, and how much room there is."""

    disks: Annotated[
        tuple[str, ...],
        Meta(
            description="Use this disk, named by serial, WWN, by-id link or disk id; "
            "a disk that is named may be removable or on the network"
        ),
    ] = ()
    which: Annotated[
        Literal["only", "smallest", "largest"],
        Meta(description="Which disk if several fit; only takes none then, and lists them"),
    ] = "only"
    medium: Annotated[Literal["any", "ssd", "hdd"], Meta(description="Use a disk of this kind only")] = "any"
    at_least: Annotated[str, Meta(description="Use no disk smaller than this")] = "0"
    at_most: Annotated[str, Meta(description="Use no disk larger than this; 0 is no limit")] = "0"
    firmware: Annotated[
        Literal["auto", "uefi", "bios"],
        Meta(description="What the machine will boot with; auto is what it was booted with now"),
    ] = "auto"
    esp: Annotated[str, Meta(description="EFI system partition, mounted at /boot, where there is UEFI")] = "1GiB"
    boot_label: Annotated[
        str, Meta(description="Label of the EFI system partition; those of further disks are numbered")
    ] = "boot"
    size: Annotated[
        str, Meta(description="Partition of the system: a size, a share of the disk such as 50%, or the rest")
    ] = "rest"
    least: Annotated[
        str, Meta(description="Room the system must find beside its swap, where its partition has no size of its own")
    ] = "8GiB"
    swap: Annotated[str, Meta(description="File to swap to; 0 makes none")] = "0"


class Reader:
    """Reads the options that are text, and remembers everything that is wrong with any of them."""

    def __init__(self, machine: Machine, options: SystemOptions, *names: str) -> None:
        """Read them; the names are of further options that are sizes."""
        self.problems: list[str] = []
        self._options = options
        self.bytes = read_bytes(options, ("at_least", "at_most", "esp", "least", "swap", *names), self.problems)
        self.uefi = has_uefi(machine, options.firmware)
        self.size = self._size()
        try:
            machine.all_disks.named(options.disks)
        except InvalidLayout as error:
            self.problems += error.problems
        least, most = self.bytes["at_least"], self.bytes["at_most"]
        if 0 < most < least:
            self.problems.append(f"options at_least, at_most: no disk has from {human(least)} to {human(most)}")
        if self.uefi and is_read("esp", self.problems) and not self.bytes["esp"]:
            self.problems.append(f"option esp: {options.esp!r} leaves UEFI nothing to start from")
        if isinstance(self.size, Exact) and self.size.bytes <= self.bytes["swap"]:
            room, swap = human(self.size.bytes), human(self.bytes["swap"])
            self.problems.append(f"options size, swap: {room} for the system leave no room beside {swap} of swap")

    def _size(self) -> Size:
        try:
            return parse_size(self._options.size)
        except ValueError as error:
            self.problems.append(f"option size: {error}")
            return Exact(bytes=1 << 62)  # so that nothing is said of it twice

    def insist(self) -> None:
        """Raise InvalidLayout with everything that was wrong."""
        if self.problems:
            raise InvalidLayout(self.problems)

    def demand(self, *, count: int = 1, tolerance: float = 0) -> Demand:
        """Give what is asked of the disks."""
        options = self._options
        return Demand(
            names=options.disks,
            which=options.which,
            medium=options.medium,
            at_least=self.bytes["at_least"],
            at_most=self.bytes["at_most"],
            count=count,
            tolerance=tolerance,
        )

    def start(self, bios_boot: int = 0) -> Start:
        """Give what the machine starts from; a BIOS needs so many bytes."""
        label = self._options.boot_label
        size = self.bytes["esp"] if self.uefi else bios_boot
        return Start(uefi=self.uefi, size=size, partition=label, label=label)

    def checked(self, wanted: Wanted, holder: str, disks: Sequence[Disk]) -> Wanted:
        """Insist on room for the system on the device with this id. Raises InvalidLayout with the arithmetic."""
        swap = self.bytes["swap"]
        least = 1 if isinstance(self.size, Exact) else self.bytes["least"]
        space = wanted.graph.space(wanted.graph[holder])
        if space >= least + swap:
            return wanted
        whole = min(map(size_of, disks))
        beside = f" and {human(swap)} of swap (option swap)" if swap else ""
        text = (
            f"of {human(whole)} the partitions before it and what describes them take {human(whole - space)}, which "
            f"leaves {human(space)} for the system; it is to have at least {human(least)} (option least){beside}: "
            f"{human(least + swap - space)} too little"
        )
        raise InvalidLayout([text])

    def add_swap(self, draft: Draft, on: Handle, path: str) -> None:
        """Add the file to swap to, at this path of the new system, if there is to be one."""
        size = self.bytes["swap"]
        if size:
            draft.add(File(path=path, root=Mount(at="/").root, size=Exact(bytes=size)), on=[on])

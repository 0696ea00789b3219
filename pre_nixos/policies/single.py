"""The policy `single`: one disk, one filesystem for everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.gpt import Partition, Table
from pre_nixos.backends.mounts import Mount
from pre_nixos.plugin import Draft, Options, Policy, hooks, implements
from pre_nixos.policies.picking import pick
from pre_nixos.policies.system import Reader, SystemOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.plugin import Disk, Machine, Wanted

SWAP_FILE = "/swapfile"


class SingleOptions(SystemOptions):
    """What may be asked of the policy `single`. Sizes are written `50GiB`, `400GB` or `512M`."""

    bios_boot: Annotated[
        str, Meta(description="Partition for the boot loader's core, where there is no UEFI; 0 makes none")
    ] = "1MiB"
    filesystem: Annotated[
        Literal["ext4", "xfs", "ext3", "ext2"], Meta(description="The filesystem everything is on")
    ] = "ext4"
    label: Annotated[str, Meta(description="Label of that filesystem, and of its partition")] = "root"


@implements(hooks.policies)
def policies() -> Iterable[Policy]:
    """Offer it."""
    summary = "One disk: what the machine starts from, and one filesystem for everything else"
    return [Policy(name="single", summary=summary, options=SingleOptions, propose=propose)]


def propose(machine: Machine, options: Options) -> Wanted:
    """Decide what should be on a machine. Raises InvalidLayout with everything that is wrong."""
    if not isinstance(options, SingleOptions):
        raise TypeError(f"the options of single are SingleOptions, not {type(options).__name__}")
    reader = Reader(machine, options, "bios_boot")
    reader.insist()
    start = reader.start(reader.bytes["bios_boot"])

    def build(disks: Sequence[Disk], named: Sequence[Disk]) -> Wanted:
        draft = Draft(machine, take=disks, named=named)
        table = draft.add(Table(), on=[*disks])
        number = 1 + start.add(draft, table, 1)
        part = draft.add(Partition(number=number, size=reader.size, type="linux", label=options.label), on=[table])
        filesystem = draft.add(Filesystem(type=options.filesystem, label=options.label), on=[part])
        draft.add(Mount(at="/"), on=[filesystem])
        reader.add_swap(draft, filesystem, SWAP_FILE)
        return reader.checked(draft.wanted(), draft.ids()[part.position], disks)

    return pick(machine, reader.demand(), build)


__all__ = ["SingleOptions", "policies", "propose"]

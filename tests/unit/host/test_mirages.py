"""Partitions that only the kernel sees, where there is no table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.backends import disks, dmcrypt, dos
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import Registry
from pre_nixos.host.questions import MountEntry, Signature
from pre_nixos.host.survey import Memo, survey
from pre_nixos.model.identity import resolve
from pre_nixos.plugin import MIB
from tests.unit.backends.canned import Canned, Image, disk, part

if TYPE_CHECKING:
    from pre_nixos.host.questions import BlockNode

SDA = disk("sda", "8:0", 64 * MIB)
SDA1 = part("sda", "8:1", 1, 0, 64 * MIB)
SDA2 = part("sda", "8:2", 2, 8 * MIB, MIB)
LUKS = Signature(type="crypto_LUKS", usage="crypto", version="1", uuid="9c1d9a53-4d1f-4bb5-9f1f-0a3c53b3f6b6")
SWAP = Signature(type="swap", usage="other", offset=4086)


def held(node: BlockNode) -> BlockNode:
    return msgspec.structs.replace(node, holders=("dm-0",))


def imagined(
    *nodes: BlockNode,
    on_disk: tuple[Signature, ...] = (LUKS,),
    within: tuple[Signature, ...] | None = None,
    in_second: tuple[Signature, ...] = (),
    noisy: bool = False,
    mounts: tuple[MountEntry, ...] = (),
    swap: str = "",
) -> list[str]:
    signatures = {"8:0": on_disk, "8:1": on_disk if within is None else within, "8:2": in_second}
    noise = ["8:2"] if noisy else []
    seen = survey(Memo(Canned([SDA, *nodes], signatures, mounts=mounts, swaps=[swap] if swap else [], noise=noise)))
    gone = [each.name for each in seen.mirages]
    assert not seen.nodes.keys() & set(gone)
    assert {each.number for each in seen.nodes.values()} == seen.contents.keys() == seen.by_number.keys()
    return gone


def test_what_the_kernel_sees_in_the_header_of_something_else_is_not_there() -> None:
    assert imagined(SDA1, SDA2) == ["sda1", "sda2"]
    assert imagined(SDA1, on_disk=(SWAP,)) == ["sda1"]
    graph = resolve(
        Calls(Registry({"disks": disks, "dos": dos, "dmcrypt": dmcrypt})).probe(
            Memo(Canned([SDA, SDA1], {"8:0": (LUKS,), "8:1": (LUKS,)}, {"8:0": Image()}))
        )
    )
    assert list(graph) == ["disk:naa.sda", "disk:naa.sda/luks"]


def test_what_holds_anything_that_the_disk_does_not_is_there() -> None:
    """As where an image was written over the first bytes of a disk, and with them over its table."""
    image = Signature(type="vfat", usage="filesystem", offset=54, uuid="1234-ABCD")
    inside = Signature(type="ext4", usage="filesystem", offset=1080, uuid="6f0d2e0c-3a55-4c3c-8b0a-1c7f2d3e4f50")
    assert not imagined(SDA1, SDA2, on_disk=(image,), within=(), in_second=(inside,))
    assert not imagined(SDA1, SDA2, on_disk=(image,), noisy=True)
    # The same, and elsewhere; or of the same kind at the same place, and another.
    assert not imagined(SDA2, on_disk=(image,), in_second=(image,))
    assert not imagined(SDA1, within=(msgspec.structs.replace(LUKS, uuid="2"),))
    twin = part("sda", "8:2", 2, 0, MIB)
    assert not imagined(SDA1, twin, in_second=(LUKS, inside))


@pytest.mark.parametrize(
    "signatures",
    [
        pytest.param((), id="nothing at all"),
        pytest.param((LUKS, Signature(type="dos", usage="table")), id="a table beside it"),
        pytest.param((LUKS, Signature(type="gpt", usage="table", hidden=True)), id="a table that it hides"),
        pytest.param((Signature(type="linux_raid_member", usage="raid", offset=60 * MIB),), id="only at the end"),
        pytest.param((Signature(type="xfs", usage="filesystem", hidden=True),), id="hidden"),
    ],
)
def test_what_may_come_from_a_table_is_there(signatures: tuple[Signature, ...]) -> None:
    assert not imagined(SDA1, SDA2, on_disk=signatures)


MOUNT = MountEntry(device="8:2", root="/", at="/srv", type="ext4", source="/dev/sda2")
POOLED = MountEntry(device="0:44", root="/", at="/srv", type="btrfs", source="/dev/sda2")
ELSEWHERE = MountEntry(device="8:2", root="/", at="/srv", type="ext4", source="/dev/root", namespace="4026532281")


@pytest.mark.parametrize("mount", [MOUNT, POOLED, ELSEWHERE], ids=["mounted", "pooled", "in another namespace"])
def test_where_one_is_mounted_all_are_there(mount: MountEntry) -> None:
    assert not imagined(SDA1, SDA2, mounts=(mount,))


def test_where_one_is_used_otherwise_all_are_there() -> None:
    assert not imagined(SDA1, SDA2, swap="/dev/sda2")
    assert not imagined(SDA1, held(SDA2))
    loop = disk("loop0", "7:0", MIB, **{"loop/backing_file": "/dev/sda2"})
    assert not imagined(SDA1, SDA2, loop)

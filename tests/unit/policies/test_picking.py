"""Whatever disks there are: a system goes on those that were meant, or on none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pre_nixos as pn
from pre_nixos.model.difference import shortcomings
from tests.unit.policies.finished import after, plugged_in
from tests.unit.policies.servers import GB, TB, disk, drawn, server, ssds

if TYPE_CHECKING:
    from pre_nixos.plugin import Disk

DISKS = st.lists(
    st.tuples(
        st.sampled_from([4 * GB, 32 * GB, 480 * GB, 481 * GB, TB, 4 * TB]),
        st.sampled_from([True, False, None]),
        st.sampled_from(["sata", "nvme", "sas", "usb", "mmc", "nvme-tcp", "iscsi", "virtual"]),
        st.sampled_from(["", "", "", "", "boot", "removable", "read_only"]),
    ),
    max_size=8,
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "which": st.sampled_from(["only", "smallest", "largest"]),
        "medium": st.sampled_from(["any", "ssd", "hdd"]),
        "at_least": st.sampled_from(["0", "100GB", "2TB"]),
        "at_most": st.sampled_from(["0", "500GB", "2TB"]),
        "swap": st.sampled_from(["0", "4GiB"]),
        "size": st.sampled_from(["rest", "30%", "20GiB"]),
    },
)


@settings(max_examples=150, deadline=None)
@given(DISKS, OPTIONS, st.integers(0, 3))
def test_whatever_the_machine(given: list[tuple[int, bool | None, str, str]], options: Any, mirror: int) -> None:
    policy = "impermanence" if mirror else "single"
    if mirror:
        options = options | {"mirror": mirror}
    disks = drawn(given)
    boot = tuple(each.id for each, (*_, remark) in zip(disks, given, strict=True) if remark == "boot")
    machine, shuffled = (
        msgspec.structs.replace(found, boot_medium=msgspec.structs.replace(found.boot_medium, disks=boot))
        for found in (server(disks), server(disks[::-1]))
    )
    try:
        found = pn.propose(machine, policy, options)
    except pn.InvalidLayout as error:
        assert all(each.id in str(error) for each in disks) or "at_least, at_most" in str(error)  # noqa: PT017 - it is right, or says why
        return
    assert pn.propose(shuffled, policy, options) == found
    assert len(found.takes) == max(1, mirror)
    taken = [each for each in disks if each.id in found.takes]
    assert all(_may_be_taken(each, boot) for each in taken)
    assert max(each.size for each in taken) <= min(each.size for each in taken) * 1.01
    if options.get("which", "only") == "only":
        others = [each for each in disks if _may_be_taken(each, boot) and each not in taken]
        # Whoever is passed over must differ in something: nobody can have thrown a coin.
        assert not [each for each in others if _looks(each) == _looks(taken[0])]
    plan = pn.schedule(machine, found)
    assert plan.objections == ()
    assert {each for action in plan.actions for each in action.touches} <= set(found.takes)
    assert not shortcomings(plan.result(), found)


def _may_be_taken(disk: Disk, boot: tuple[str, ...]) -> bool:
    device = disk.device
    assert device
    odd = device.removable or device.read_only or disk.id in boot
    return not odd and device.transport in {"sata", "nvme", "sas"}


def _looks(disk: Disk) -> tuple[int, bool]:
    assert disk.device
    return disk.size, disk.device.rotational is not False


@pytest.mark.parametrize("letter", ["A", "Z"])
@pytest.mark.parametrize(("size", "tolerance"), [(480 * GB, 1.0), (478 * GB, 1.0), (476 * GB, 0.0)])
@pytest.mark.parametrize("mirror", [0, 1, 2, 3])
def test_a_system_stays_where_it_is_also_beside_disks_that_are_alike(
    mirror: int, letter: str, size: int, tolerance: float
) -> None:
    policy, options = ("impermanence", {"mirror": mirror, "tolerance": tolerance}) if mirror else ("single", {})
    sizes = [480 * GB, 480 * GB, 480 * GB + int(tolerance * 4 * GB)]
    machine = server([disk(f"M{count}", each) for count, each in enumerate(sizes[-max(1, mirror) :])])
    before = pn.propose(machine, policy, options)
    there = plugged_in(after(machine, before), *(disk(f"{letter}{count}", size) for count in range(3)))
    assert pn.propose(there, policy, options) == before
    assert pn.schedule(there, before).actions == ()


def test_two_disks_with_a_system_are_told_apart_by_a_person() -> None:
    one, other = (server([each]) for each in ssds(TB, TB))
    there = after(one, pn.propose(one, "single", {}))
    twin = after(other, pn.propose(other, "single", {})).graph
    both = msgspec.structs.replace(there, graph=there.graph.plus((each, twin.on(each.id)) for each in twin.layers()))
    with pytest.raises(pn.InvalidLayout, match="2 disks fit"):
        pn.propose(both, "single", {})

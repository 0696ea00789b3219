"""How well an array is said to be."""

from __future__ import annotations

import pytest

from pre_nixos.backends.mdraid import Level
from pre_nixos.backends.mdraid.health import Running, Slot, of_running
from pre_nixos.plugin import Health


def slots(*said: str) -> tuple[Slot, ...]:
    return tuple(Slot(slot=each.split()[0], state=each.split()[1]) for each in said)


@pytest.mark.parametrize(
    ("array", "health"),
    [
        (Running(level=Level.RAID1, raid_disks=2, state="clean", slots=slots("0 in_sync", "1 in_sync")), Health.OK),
        (
            Running(
                level=Level.RAID1,
                raid_disks=2,
                state="clean",
                action="resync",
                slots=slots("0 in_sync", "1 in_sync"),
            ),
            Health.SYNCING,
        ),
        (
            Running(
                level=Level.RAID1,
                raid_disks=2,
                state="read-auto",
                action="idle",
                resync_start="128",
                slots=slots("0 in_sync", "1 in_sync"),
            ),
            Health.SYNCING,
        ),
        (
            Running(
                level=Level.RAID5,
                raid_disks=3,
                state="clean",
                action="recover",
                slots=slots("0 in_sync", "1 in_sync", "2 spare"),
            ),
            Health.SYNCING,
        ),
        (
            Running(
                level=Level.RAID5,
                raid_disks=3,
                state="read-auto",
                action="idle",
                slots=slots("0 in_sync", "1 in_sync", "none spare"),
            ),
            Health.SYNCING,
        ),
        (
            Running(
                level=Level.RAID5,
                raid_disks=3,
                state="clean",
                action="idle",
                slots=slots("0 in_sync", "1 in_sync", "none faulty"),
            ),
            Health.DEGRADED,
        ),
        (
            Running(level=Level.RAID6, raid_disks=4, state="clean", slots=slots("0 in_sync", "1 in_sync", "2 spare")),
            Health.DEGRADED,
        ),
        (Running(level=Level.RAID0, raid_disks=2, state="broken", slots=slots("0 in_sync")), Health.FAILED),
        (Running(level=Level.RAID5, raid_disks=3, state="clean", slots=slots("0 in_sync")), Health.FAILED),
        (Running(level=Level.RAID1, raid_disks=2, state="inactive", slots=slots("none spare")), Health.FAILED),
    ],
    ids=lambda each: str(each) if isinstance(each, Health) else f"{each.level}-{each.state}-{each.action}",
)
def test_health(array: Running, health: Health) -> None:
    assert of_running(array)[0] is health


@pytest.mark.parametrize(
    ("said", "action", "health", "remark"),
    [
        (("0 in_sync", "1 in_sync", "none faulty"), "idle", Health.DEGRADED, "1 of its devices has failed"),
        (
            ("0 in_sync", "1 spare", "none faulty"),
            "recover",
            Health.DEGRADED,
            "1 of its devices has failed; recovery runs",
        ),
        (
            ("0 in_sync", "none faulty", "none faulty"),
            "idle",
            Health.DEGRADED,
            "2 of its devices have failed; 1 of 2 members are missing",
        ),
        (("none faulty",), "idle", Health.FAILED, "1 of its devices has failed; 2 of 2 members are missing"),
    ],
)
def test_what_failed_is_said_for_as_long_as_it_is_attached(
    said: tuple[str, ...], action: str, health: Health, remark: str
) -> None:
    array = Running(level=Level.RAID1, raid_disks=2, state="clean", action=action, slots=slots(*said))
    assert of_running(array) == (health, remark)


def test_that_a_resync_is_frozen_is_said() -> None:
    members = slots("0 in_sync", "1 in_sync")
    array = Running(level=Level.RAID1, raid_disks=2, state="clean", action="frozen", resync_start="128", slots=members)
    assert of_running(array) == (Health.SYNCING, "a resync is still to come, and frozen")

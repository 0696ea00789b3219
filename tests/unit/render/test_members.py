from __future__ import annotations

import pytest

from pre_nixos.model.layer import Disk
from pre_nixos.render.members import shortened

DISKS = [
    Disk(id="disk:1", model="QUICK", serial="S1"),
    Disk(id="disk:2", model="QUICK", serial="S2"),
    Disk(id="disk:3", model="QUICK", serial="S22"),
    Disk(id="disk:4", model="ROOMY", serial="R, 1"),
    Disk(id="disk:5"),
]


@pytest.mark.parametrize(
    ("text", "shorter"),
    [
        ("", ""),
        ("stop array main", "stop array main"),
        ("remove it from disk QUICK S1", "remove it from disk QUICK S1"),
        ("make it on disk QUICK S1, disk QUICK S2", "make it on disks QUICK S1, S2"),
        (
            "make it on partition 1 'a, b' of disk QUICK S1, partition 1 'a, b' of disk QUICK S2: so",
            "make it on partition 1 'a, b' of disks QUICK S1, S2: so",
        ),
        (
            "on partition 1 of disk QUICK S22, partition 2 of disk QUICK S2, partition 2 of disk ROOMY R, 1",
            "on partition 1 of disk QUICK S22, partition 2 of disks QUICK S2, ROOMY R, 1",
        ),
        ("on disk QUICK S1, disk ROOMY R, 1, disk QUICK S2", "on disks QUICK S1, ROOMY R, 1, QUICK S2"),
        ("on disk QUICK S1, disk QUICK S222", "on disk QUICK S1, disk QUICK S222"),
        ("on disk QUICK S1 and disk QUICK S2", "on disk QUICK S1 and disk QUICK S2"),
        ("on disk 5, disk QUICK S1", "on disks 5, QUICK S1"),
    ],
)
def test_lists_of_members_are_said_briefly(text: str, shorter: str) -> None:
    assert shortened(DISKS)(text) == shorter


def test_without_disks_everything_stays() -> None:
    assert shortened([])("on disk A, disk B") == "on disk A, disk B"


def test_a_list_of_many_takes_no_time() -> None:
    disks = [Disk(id=f"disk:{each}", model="M", serial=f"S{each}") for each in range(2_000)]
    text = "on " + ", ".join(f"partition 1 of {each.title}" for each in disks)
    assert len(shortened(disks)(text)) < len(text) / 4

"""What an earlier run had begun to make, and what of it is trusted all the same."""

from __future__ import annotations

from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.lvm import Group, Volume
from pre_nixos.backends.mounts import Mount
from pre_nixos.model.identity import assemble
from pre_nixos.model.layer import Disk, Layer
from pre_nixos.model.machine import Machine

GROUP, VOLUME = "lvm.group:main", "lvm.group:main/root"
FILESYSTEM = f"{VOLUME}/filesystem"


def suspected(*above: Layer, unfinished: tuple[str, ...], leaving: tuple[str, ...] = ()) -> set[str]:
    volume = Volume(name="root", size="1GiB", group="main")
    below = [(Disk(id="disk:a", serial="a"), ()), (Group(name="main"), (0,)), (volume, (1,))]
    graph = assemble([*below, *((each, (2 + position,)) for position, each in enumerate(above))])
    return set(Machine(graph=graph, unfinished=unfinished, leaving=leaving).suspects)


def test_what_is_in_use_or_was_used_since_was_made_to_its_end() -> None:
    fresh, used = Filesystem(type="ext4"), Filesystem(type="ext4", used=True)
    assert suspected(fresh, unfinished=(FILESYSTEM,)) == {FILESYSTEM}
    assert not suspected(used, unfinished=(FILESYSTEM,))
    for began in (FILESYSTEM, VOLUME, GROUP):
        assert not suspected(fresh, Mount(at="/"), unfinished=(began,))


def test_what_is_found_on_something_that_was_being_made_may_have_lain_there() -> None:
    used = Filesystem(type="ext4", used=True)
    for began in (VOLUME, GROUP):
        assert suspected(used, unfinished=(began,)) == {began}


def test_what_was_to_go_may_have_been_used_before() -> None:
    used = Filesystem(type="ext4", used=True)
    assert suspected(used, unfinished=(FILESYSTEM,), leaving=(FILESYSTEM,)) == {FILESYSTEM}
    assert not suspected(used, Mount(at="/"), unfinished=(FILESYSTEM,), leaving=(FILESYSTEM,))


def test_what_is_not_there_may_turn_up_yet() -> None:
    assert suspected(unfinished=(FILESYSTEM,)) == {FILESYSTEM}

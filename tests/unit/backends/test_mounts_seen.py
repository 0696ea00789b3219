"""Whether what one sees at a place is what is wanted there, and what is done about it while it is in use."""

from __future__ import annotations

import msgspec
import pytest

from pre_nixos.backends import mounts
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.mounts import Mount
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import Registry
from pre_nixos.model.difference import Fate, Verdict
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import Action, Attach, Disk, MakeDirectory, Plan, Ref, State, Wanted
from tests.unit.backends.test_mounts import entry, machine, mounted, remounted


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (
            Mount(at="/mnt/a", root="/", type="ext4", covered=True),
            "place is hidden by what was mounted at /mnt/a later",
        ),
        (Mount(at="/mnt/a", root="/", type="ext4", source_root="/sub"), "directory is /sub, wanted all of it"),
        (Mount(at="/mnt/a", root="/", type="ext4", options=("ro", "relatime")), "options is ro,relatime, wanted rw"),
        (Mount(at="/mnt/a", root="/", type="btrfs", source_root="/sub", options=("rw",)), ""),
        (Mount(at="/mnt/a", root="/", type="iso9660", options=("ro",)), ""),
    ],
)
def test_what_one_sees_there_must_be_all_of_it_and_writable(there: Mount, said: str) -> None:
    assert "; ".join(str(each) for each in Mount(at="/a").mismatches(there)).startswith(said)
    assert bool(said) is bool(Mount(at="/a").mismatches(there))


def test_what_was_meant_to_be_read_only_is_as_wanted() -> None:
    there = Mount(at="/mnt/a", root="/", type="ext4", options=("ro", "relatime"))
    assert not Mount(at="/a", options=("ro",)).mismatches(there)


def test_what_turned_read_only_is_made_writable_in_use() -> None:
    action = remounted(Mount(at="/mnt", root="/", type="ext4", options=("ro",)), Mount(at="/"))
    assert isinstance(action, Action)
    assert action.summary == "mount /mnt with rw from now on"


def test_a_mode_that_changed_is_given_back_while_it_is_in_use() -> None:
    old = Mount(at="/mnt", root="/", type="ext4", options=("rw",), permissions=0o755)
    new = Mount(at="/", mode=0o1777)
    assert [str(each) for each in new.mismatches(old)] == ["mode is 0755, wanted 1777"]
    action = remounted(old, new)
    assert isinstance(action, Action)
    assert action.summary == "give /mnt the mode 1777"
    assert action.steps == (MakeDirectory(path="/mnt", mode=0o1777),)
    both = remounted(old, Mount(at="/", mode=0o700, options=("noatime",)))
    assert isinstance(both, Action)
    assert both.summary == "mount /mnt with noatime from now on, and give /mnt the mode 0700"
    assert not new.mismatches(msgspec.structs.replace(old, permissions=0o1777))
    assert not new.mismatches(msgspec.structs.replace(old, permissions=None)), "nobody knows"
    assert not Mount(at="/").mismatches(old), "nobody asked"


def test_a_directory_of_a_subvolume_is_of_that_subvolume() -> None:
    options = ("rw", "subvolid=256", "subvol=/data")
    reader = machine(entry("/srv", type="btrfs", root="/data/www", options=options))
    (found,) = Calls(Registry({"mounts": mounts})).probe(reader)
    assert found.on == (Ref(number="8:0", content="btrfs", name="data"),)
    assert isinstance(found.layer, Mount)
    assert not Mount(at="/srv", root="/", directory="/www").mismatches(found.layer)


def test_all_of_what_is_mounted_elsewhere_too() -> None:
    bound = Mount(at="/mnt/b", directory="/")
    assert mounted(bound).summary == "mount ext4 'slash' at /mnt/mnt/b"
    assert not bound.mismatches(Mount(at="/b", type="ext4"))
    assert not bound.mismatches(Mount(at="/b", type="btrfs", source_root="/data"))
    assert [each.field for each in bound.mismatches(Mount(at="/b", type="ext4", source_root="/x"))] == ["directory"]


def test_what_is_mounted_of_a_filesystem_before_it_does_not_decide_how_that_is() -> None:
    before, whole = Mount(at="/a", directory="/x", options=("ro",)), Mount(at="/b", options=("noatime", "commit=60"))
    content = Filesystem(type="ext4")
    graph = assemble([(Disk(id="disk:d", serial="S"), ()), (content, (0,)), (before, (1,)), (whole, (1,))])
    steps = [step for each in graph.of(Mount) for action in mounts.mount(each, graph) or () for step in action.steps]
    given = [each.options for each in steps if isinstance(each, Attach)]
    assert given == [
        ("commit=60", "ro"),
        ("noatime", "commit=60"),
    ]


@pytest.mark.parametrize("stays", [True, False])
def test_what_something_hides_that_stays_is_not_begun_anew(*, stays: bool) -> None:
    hidden = Mount(at="/a/b", root="/", state=State.ACTIVE, hidden_by=("/a",))
    over = Mount(at="/a", root="/", type="tmpfs", state=State.ACTIVE)
    disk, content = Disk(id="disk:d", serial="S"), Filesystem(type="ext4")
    before = assemble([(disk, ()), (content, (0,)), (hidden, (1,)), (over, ())])
    wanted = assemble([(disk, ()), (content, (0,)), (Mount(at="/a/b", root="/"), (1,))])
    ends = [each.id for each in before.of(Mount) if each.at == "/a/b" or not stays]
    reasons = {each: Verdict(layer=each, fate=Fate.REPLACED, why="") for each in ends}
    said = [each.remedy for each in mounts.hidden(Plan(before=before, wanted=Wanted(graph=wanted), reasons=reasons))]
    assert said == (["Unmount that first: umount /a"] if stays else [])

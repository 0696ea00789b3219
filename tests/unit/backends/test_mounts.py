from __future__ import annotations

import msgspec
import pytest

from pre_nixos.backends import mounts
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.backends.mounts import Mount, holding_file
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import Registry
from pre_nixos.host.questions import MountEntry
from pre_nixos.host.survey import Memo
from pre_nixos.model.difference import Fate, Verdict, difference
from pre_nixos.model.draft import Wanted
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.identity import assemble
from pre_nixos.model.plan import Plan
from pre_nixos.plugin import (
    Action,
    Attach,
    Detach,
    Disk,
    How,
    Layer,
    MakeDirectory,
    Mismatch,
    Node,
    Ref,
    Replace,
    RequireFree,
    State,
    Verb,
)
from tests.unit.backends.canned import Canned, disk
from tests.unit.backends.sole import sole

DISK = Node(layer="disk:d")


class Subvolume(Layer, tag="test.subvolume"):
    path: How[str] = "@home"

    def mounted_as(self) -> tuple[str, tuple[str, ...]]:
        return "btrfs", (f"subvol=/{self.path}",)


def graph_of(mount: Mount, below: Layer | None = None) -> DeviceGraph:
    content = below or Filesystem(type="ext4", label="slash")
    return assemble([(Disk(id="disk:d", serial="S"), ()), (content, (0,)), (mount, (1,))])


def mounted(mount: Mount, below: Layer | None = None) -> Action:
    graph = graph_of(mount, below)
    return sole(mounts.mount(graph.of(Mount)[0], graph))


@pytest.mark.parametrize(
    ("at", "root", "place"),
    [
        ("/", "/mnt", "/mnt"),
        ("/", "/", "/"),
        ("/home", "/mnt", "/mnt/home"),
        ("/home/", "/mnt/", "/mnt/home"),
        ("//home//a", "//mnt", "/mnt/home/a"),
        ("/home", "/", "/home"),
    ],
)
def test_the_place_is_the_directory_below_the_root(at: str, root: str, place: str) -> None:
    mount = Mount(at=at, root=root)
    assert mount.place == place
    assert mount.segment == f"mount@{place}"
    assert mount.occupies() == {f"at:{place}"}
    assert Mount(at=place, root="/").segment == mount.segment, "what is found has the id of what was wanted"


@pytest.mark.parametrize("path", ["home", "", "/a/../b", "/a\0b"])
def test_a_place_that_is_none(path: str) -> None:
    with pytest.raises(ValueError, match="absolute path"):
        Mount(at=path)


def test_another_namespace_takes_no_place_of_ours() -> None:
    mount = Mount(at="/srv", root="/", namespace="mount namespace 7")
    assert mount.segment == "mount@/srv in mount namespace 7"
    assert not mount.occupies()


@pytest.mark.parametrize(
    ("wanted", "there", "lacking"),
    [
        ("", "rw,relatime", ""),
        ("defaults,nofail,x-systemd.automount,noauto,_netdev,comment=x", "rw,relatime", ""),
        ("noatime", "rw,noatime", ""),
        ("noatime", "rw,relatime", "noatime"),
        ("ro", "rw,relatime", "ro"),
        ("rw", "ro,relatime", "rw"),
        ("exec,suid,dev,async", "rw,relatime", ""),
        ("exec,suid,dev,async", "rw,noexec,nosuid,nodev,sync", "exec,suid,dev,async"),
        ("atime", "rw,noatime", "atime"),
        ("strictatime", "rw", ""),
        ("strictatime", "rw,relatime", "strictatime"),
        ("umask=0077", "rw,fmask=0077,dmask=0077", ""),
        ("umask=77", "rw,fmask=0077,dmask=0077", ""),
        ("umask=0077", "rw,fmask=0022,dmask=0077", "umask=0077"),
        ("fmask=133,dmask=022", "rw,fmask=0133,dmask=0022", ""),
        ("uid=0,gid=0", "rw,fmask=0022", ""),
        ("uid=0", "rw,uid=1000", "uid=0"),
        ("uid=1000", "rw,uid=1000", ""),
        ("subvol=@home", "rw,subvolid=256,subvol=/@home", ""),
        ("subvol=/@home", "rw,subvol=/@", "subvol=/@home"),
        ("compress=zstd", "rw,compress=zstd:3", ""),
        ("compress=zstd:1", "rw,compress=zstd:3", "compress=zstd:1"),
        ("discard", "rw,discard=async", ""),
        ("data=journal", "rw,data=ordered", "data=journal"),
        ("data=ordered,errors=continue,barrier=1", "rw,relatime", ""),
        ("data=ordered,errors=continue", "rw,data=journal,errors=remount-ro", "data=ordered,errors=continue"),
        ("acl,user_xattr,datacow,treelog,nodiscard", "rw,ssd", ""),
        ("datacow,nodiscard,barrier", "rw,nodatacow,discard=async,nobarrier", "datacow,nodiscard,barrier"),
        ("size=1M", "rw,size=1024k", ""),
        ("size=1g", "rw,size=1048576k", ""),
        ("size=2M", "rw,size=1024k", "size=2M"),
        ("size=50%", "rw,size=4096k", ""),
        ("size=50%", "rw", ""),
        ("size=25%", "rw", "size=25%"),
        ("mode=1777", "rw", ""),
        ("mode=0755", "rw,mode=755", ""),
        ("mode=1777", "rw,mode=755", "mode=1777"),
    ],
)
def test_each_option_that_is_wanted_must_be_in_force(wanted: str, there: str, lacking: str) -> None:
    mine = Mount(at="/", options=tuple(wanted.split(",")) if wanted else None)
    its = Mount(at="/", options=tuple(there.split(",")))
    expected = (Mismatch(field="options", there=there, wanted=lacking),) if lacking else ()
    assert mine.mismatches(its) == expected


def test_mounting() -> None:
    assert mounted(Mount(at="/home", options=("noatime",), mode=0o755)) == Action(
        verb=Verb.ACTIVATE,
        target="disk:d/filesystem/mount@/mnt/home",
        summary="mount ext4 'slash' at /mnt/home",
        steps=(
            MakeDirectory(path="/mnt/home"),
            Attach(target=DISK, at="/mnt/home", type="ext4", options=("noatime",)),
            MakeDirectory(path="/mnt/home", mode=0o755),
        ),
    )


def test_mounting_what_says_itself_how() -> None:
    steps = mounted(Mount(at="/", options=("noatime", "subvol=/@home")), Subvolume()).steps
    assert steps[1] == Attach(target=DISK, at="/mnt", type="btrfs", options=("subvol=/@home", "noatime"))


class Opaque(Layer, tag="test.opaque"):
    pass


def test_mounting_what_does_not_say_its_type() -> None:
    assert mounted(Mount(at="/", type="bcachefs"), Opaque()).steps[1] == Attach(target=DISK, at="/mnt", type="bcachefs")
    with pytest.raises(ValueError, match="give the type"):
        mounted(Mount(at="/"), Opaque())


def test_unmounting() -> None:
    graph = graph_of(Mount(at="/srv", root="/", state=State.ACTIVE))
    action = sole(mounts.unmount(graph.of(Mount)[0], graph))
    assert (action.verb, action.steps) == (Verb.DEACTIVATE, (Detach(target=DISK, at="/srv"),))


def test_a_mount_out_of_reach_is_insisted_on_and_objected_to() -> None:
    graph = graph_of(Mount(at="/srv", root="/", namespace="mount namespace 7", remark="pid 9 sshd", state=State.ACTIVE))
    layer = graph.of(Mount)[0]
    assert sole(mounts.unmount(layer, graph)).steps == (RequireFree(target=DISK),)

    def objections(fate: Fate) -> list[str]:
        reasons = {layer.id: Verdict(layer=layer.id, fate=fate, why="")}
        plan = Plan(before=graph, wanted=Wanted(graph=DeviceGraph()), reasons=reasons)
        return [str(each) for each in mounts.out_of_reach(plan)]

    assert not objections(Fate.KEPT)
    assert objections(Fate.GONE) == [
        (
            "ext4 'slash' is mounted at /srv in mount namespace 7 (seen by pid 9 sshd), out of our reach. "
            "Stop what runs in that namespace, then plan again."
        )
    ]


def entry(at: str, device: str = "8:0", **changes: object) -> MountEntry:
    return msgspec.structs.replace(MountEntry(device=device, root="/", at=at, type="ext4", source="x"), **changes)


def machine(*mounted: MountEntry) -> Memo:
    return Memo(Canned([disk("sda", "8:0", 1 << 30), disk("sdb", "8:16", 1 << 30)], mounts=mounted))


def test_mounts_are_found_on_the_content_of_their_device() -> None:
    reader = machine(
        entry("/", root="/@", type="btrfs"),
        entry("/srv", type="ntfs3", namespace="4026532281 (pid 812 sshd)"),
        entry("/elsewhere", device="0:53"),
    )
    found = Calls(Registry({"mounts": mounts})).probe(reader)
    assert [each.on for each in found] == [
        (Ref(number="8:0", content="btrfs", name="@"),),
        (Ref(number="8:0", content="ntfs"),),
        (),
    ]
    assert [each.layer.segment for each in found] == [
        "mount@/",
        "mount@/srv in mount namespace 4026532281",
        "mount@/elsewhere",
    ]
    assert found[1].layer.remark == "pid 812 sshd"


@pytest.mark.parametrize(
    ("path", "number"),
    [("/a", "8:0"), ("/srv/a", "8:16"), ("/srvs/a", "8:0"), ("/srv/tmp/a", None), ("/over/a", "8:16")],
)
def test_a_file_lies_on_the_nearest_mount_above_it(path: str, number: str | None) -> None:
    reader = machine(
        entry("/"),
        entry("/srv", device="8:16"),
        entry("/srv/tmp", device="0:40"),
        entry("/over"),
        entry("/over", device="8:16"),
        entry("/srv/a", device="8:0", namespace="1 (pid 2 x)"),
    )
    assert [ref.number for ref in holding_file(path, reader)] == ([number] if number else [])


def test_options_may_be_written_as_behind_mount() -> None:
    assert Mount(at="/", options=("noatime,nodev", "ro")).options == ("noatime", "nodev", "ro")
    quoted = 'context="system_u:object_r:tmp_t:s0:c127,c456"'
    assert Mount(at="/", options=(quoted, "ro")).options == (quoted, "ro")


def test_a_mount_knows_what_must_go_before_it() -> None:
    reader = machine(
        entry("/", "8:16"),
        entry("/old"),
        entry("/old/run", "", type="tmpfs"),
        entry("/old/run/lock", "", type="tmpfs"),
        entry("/live", "", type="overlay", options=("rw", "lowerdir=/etc:/old/lower", "upperdir=/old/upper")),
        entry("/older", "8:16"),
        entry("/old", "8:16"),
    )
    found = [each.layer for each in mounts.find(reader)]
    held = [(each.at, each.holders) for each in found if isinstance(each, Mount) and each.holders]
    assert held == [
        ("/", ("/old", "/live", "/older")),
        ("/old", ("/old/run", "/live", "/old")),
        ("/old/run", ("/old/run/lock", "/old")),
        ("/old/run/lock", ("/old",)),
    ]
    hidden = [each.at for each in found if isinstance(each, Mount) and each.hidden_by]
    assert hidden == ["/old/run", "/old/run/lock"]
    assert [each.covered for each in found if isinstance(each, Mount) and each.at == "/old"] == [True, False]


def test_a_filesystem_that_what_stays_is_mounted_in_is_not_unmounted() -> None:
    mount = Mount(at="/old", root="/", state=State.ACTIVE, holders=("/old/run",))
    before = graph_of(mount)
    reasons = {each.id: Verdict(layer=each.id, fate=Fate.GONE, why="") for each in before.of(Mount)}
    plan = Plan(before=before, wanted=Wanted(graph=before.only(["disk:d"]), takes=("disk:d",)), reasons=reasons)
    (objection,) = mounts.out_of_reach(plan)
    assert objection.text == (
        "ext4 'slash' cannot be unmounted from /old: what is mounted at /old/run, which stays, stands on it."
    )


def alone(mount: Mount) -> DeviceGraph:
    return assemble([(Disk(id="disk:d", serial="S"), ()), (mount, ())])


MEMORY = Mount(at="/tmp", type="tmpfs", options=("size=1M",))


def test_memory_is_on_nothing() -> None:
    graph = alone(MEMORY)
    up, down = sole(mounts.mount(graph.of(Mount)[0], graph)), sole(mounts.unmount(graph.of(Mount)[0], graph))
    assert up.summary == "mount tmpfs at /mnt/tmp"
    assert up.steps == (
        MakeDirectory(path="/mnt/tmp"),
        Attach(at="/mnt/tmp", type="tmpfs", options=("size=1M",)),
    )
    assert down.steps == (Detach(at="/mnt/tmp"),)


def test_memory_that_is_mounted_is_not_mounted_again() -> None:
    there = Mount(at="/mnt/tmp", root="/", type="tmpfs", options=("rw", "size=1024k"), state=State.ACTIVE)
    wanted = Wanted(graph=alone(MEMORY), takes=("disk:d",))
    id_ = "mount:mount@/mnt/tmp"
    assert difference(alone(there), wanted).fate(id_) is Fate.KEPT
    assert difference(alone(msgspec.structs.replace(there, options=("rw",))), wanted).fate(id_) is Fate.CHANGED
    # And if nobody asks for it, it is nobody's business.
    nothing = Wanted(graph=assemble([(Disk(id="disk:d"), ())]), takes=("disk:d",))
    assert difference(alone(there), nothing).fate(id_) is None


def test_a_directory_in_place_of_all_of_it() -> None:
    mount = Mount(at="/log", directory="//srv/log/")
    action = mounted(mount)
    assert action.summary == "mount /srv/log of ext4 'slash' at /mnt/log"
    assert action.steps[1] == Attach(target=DISK, at="/mnt/log", type="ext4", directory="/srv/log")
    assert not mount.mismatches(Mount(at="/mnt/log", root="/", source_root="/srv/log"))
    assert not mount.mismatches(Mount(at="/mnt/log", root="/", source_root="/@root/srv/log"))
    (mismatch,) = mount.mismatches(Mount(at="/mnt/log", root="/", source_root="/"))
    assert str(mismatch) == "directory is /, wanted /srv/log"


def remounted(old: Mount, new: Mount) -> Action | Replace:
    before, after = graph_of(old), graph_of(new)
    answer = mounts.remount(before.of(Mount)[0], after.of(Mount)[0], before, after)
    return answer if isinstance(answer, Replace) else sole(answer)


def test_options_are_added_while_it_is_in_use() -> None:
    old = Mount(at="/mnt", root="/", type="ext4", options=("rw", "relatime"))
    action = remounted(old, Mount(at="/", options=("noatime", "rw", "commit=60")))
    assert isinstance(action, Action)
    assert action.summary == "mount /mnt with noatime,commit=60 from now on"
    step = Attach(target=DISK, at="/mnt", type="ext4", options=("noatime", "commit=60"), remount=True)
    assert action.steps == (step,)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        # vfat would say nothing, and do nothing.
        (Mount(at="/mnt", root="/", type="vfat"), Mount(at="/", options=("umask=0077",)), "options"),
        (Mount(at="/mnt", root="/", type="btrfs"), Mount(at="/", options=("subvol=/a",)), "options"),
        (Mount(at="/mnt", root="/", type="ext4"), Mount(at="/", directory="/a"), "directory"),
        (Mount(at="/mnt", root="/", type="overlay"), Mount(at="/", type="tmpfs"), "type"),
    ],
)
def test_what_takes_unmounting(old: Mount, new: Mount, why: str) -> None:
    answer = remounted(old, new)
    assert isinstance(answer, Replace)
    assert answer.why.startswith(why)


def test_flags_that_every_type_has_are_changed_in_place() -> None:
    assert isinstance(remounted(Mount(at="/mnt", root="/", type="vfat"), Mount(at="/", options=("noexec",))), Action)


def test_what_is_on_nothing_must_need_nothing() -> None:
    plan = Plan(before=DeviceGraph(), wanted=Wanted(graph=alone(Mount(at="/data", type="ext4"))))
    (objection,) = mounts.without_anything(plan)
    assert objection.text == "mount at /mnt/data: there is nothing to mount, and ext4 needs something."
    assert not list(mounts.without_anything(Plan(before=DeviceGraph(), wanted=Wanted(graph=alone(MEMORY)))))


def test_memory_somebody_else_mounted_is_not_unmounted() -> None:
    there = Mount(at="/mnt/tmp", root="/", type="overlay", state=State.ACTIVE)
    wanted = Wanted(graph=alone(MEMORY), takes=("disk:d",))
    id_ = "mount:mount@/mnt/tmp"
    reasons = difference(alone(there), wanted, replace={id_: "type is overlay, wanted tmpfs"}).verdicts
    (objection,) = mounts.without_anything(Plan(before=DeviceGraph(), wanted=wanted, reasons=reasons))
    assert "would have to be unmounted: type is overlay, wanted tmpfs" in objection.text


@pytest.mark.parametrize("option", ["logdev=/dev/sdb", "rtdev=/dev/sdb", "journal_path=/dev/sdb", "device=/dev/sdb"])
def test_options_that_lead_to_another_device_are_refused(option: str) -> None:
    wanted = Wanted(graph=alone(Mount(at="/x", type="tmpfs", options=("noatime", option))))
    (objection,) = mounts.leading_elsewhere(Plan(before=DeviceGraph(), wanted=wanted))
    assert option.partition("=")[0] in objection.text

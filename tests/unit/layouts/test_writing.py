"""What is written of a graph is read as the same graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pre_nixos as pn
from pre_nixos.backends import btrfs, dmcrypt, filesystems, gpt, lvm, mdraid, mounts, swap
from pre_nixos.backends.gpt.types import CODES, GUIDS
from pre_nixos.model.difference import shortcomings
from tests.unit.layouts.cases import RIGHT, case, disk, layout, with_disks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pre_nixos.model.draft import Handle, Wanted
    from pre_nixos.model.machine import Machine

GIB, MIB = 2**30, 2**20
WORD = st.text("abcxyzABC0129_-.", min_size=1, max_size=9).filter(lambda word: word[0].isalnum())
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=11)
UUID = st.uuids(version=4).map(str)
OPTIONS = st.lists(st.sampled_from(["noatime", "compress=zstd", "umask=0077", "x-a b"]), unique=True)
REFERENCES = st.sampled_from(["file:/run/a", "keyfile:/run/b", "env:KEY", "fd:3", "prompt:who", "prompt:"])


def _of_one_word(options: tuple[str, ...] | None) -> tuple[str, ...]:
    """Leave out what no line of fstab would take."""
    return tuple(each for each in options or () if " " not in each)


class Author:
    """Writes any graph a layout has words for."""

    def __init__(self, there: Machine, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.draft = pn.Draft(there, take=there.disks, named=there.disks)
        self.names = iter(f"n{count}" for count in range(1000))
        self.members: dict[str, list[Handle]] = {"array": [], "group": [], "pool": []}

    def wanted(self, there: Machine) -> Wanted:
        for each in there.disks:
            self.table(each) if self.draw(st.booleans()) else self.put(each)
        for _ in range(self.draw(st.integers(0, 2))):
            options = tuple(self.draw(OPTIONS)) or None
            self.draft.add(mounts.Mount(at=f"/{next(self.names)}", type="tmpfs", options=options), on=[])
        while any(self.members.values()):
            self.gather()
        return self.draft.wanted()

    def table(self, on: Handle | pn.Disk) -> None:
        table = self.draft.add(gpt.Table(), on=[on])
        numbers = sorted(self.draw(st.sets(st.integers(1, 128), min_size=1, max_size=3)))
        for number in numbers:
            last = number == numbers[-1]
            size = (
                pn.Rest() if last and self.draw(st.booleans()) else pn.Exact(bytes=self.draw(st.integers(1, 40)) * GIB)
            )
            part = gpt.Partition(
                number=number,
                size=size,
                type=self.draw(st.sampled_from(sorted(CODES)) | st.sampled_from(sorted(GUIDS)) | UUID),
                label=self.draw(st.none() | TEXT | st.just("disk-Disk-a-x")),
                uuid=self.draw(st.none() | UUID),
                attributes=self.draw(st.none() | st.sampled_from([0, 5, 1 << 63])),
            )
            self.put(self.draft.add(part, on=[table]))

    def put(self, on: Handle | pn.Disk, depth: int = 0) -> None:
        what = self.draw(st.sampled_from(["filesystem", "btrfs", "luks", "swap", "array", "group", "pool", "nothing"]))
        if what == "nothing" and isinstance(on, pn.Disk):
            what = "filesystem"
        if what == "filesystem":
            self.filesystem(on)
        elif what == "btrfs":
            self.btrfs([on])
        elif what == "swap":
            area = swap.Area(label=self.draw(st.none() | TEXT | st.just("a b")), uuid=self.draw(st.none() | UUID))
            when = self.draw(st.none() | st.sampled_from(["once", "pages"]))
            use = swap.Use(priority=self.draw(st.none() | st.integers(0, 32767)), discard=True, discard_policy=when)
            if self.draw(st.booleans()):
                on = self.draft.add(dmcrypt.Plain(mapper=next(self.names), allow_discards=use.discard), on=[on])
            self.draft.add(use, on=[self.draft.add(area, on=[on])])
        elif what == "luks" and depth < 2:
            self.put(self.luks(on), depth + 1)
        elif what in self.members and depth < 2:
            handle = on if not isinstance(on, pn.Disk) else None
            self.members[what].append(self.luks(on) if handle is None or what == "pool" else handle)

    def luks(self, on: Handle | pn.Disk) -> Handle:
        volume = dmcrypt.Luks(
            mapper=next(self.names),
            version=self.draw(st.none() | st.sampled_from(["1", "2"])),
            label=self.draw(st.none() | WORD),
            uuid=self.draw(st.none() | UUID),
            pbkdf=self.draw(st.none() | st.just("argon2id")),
            sector_size=self.draw(st.none() | st.just(4096)),
            iter_time=self.draw(st.none() | st.just(10)),
            keys=tuple(self.draw(st.lists(REFERENCES, min_size=1, max_size=3))),
            arguments=self.draw(st.sampled_from([(), ("--integrity", "hmac-sha256")])),
            allow_discards=self.draw(st.booleans()),
            bypass_workqueues=self.draw(st.booleans()),
            open_arguments=self.draw(st.sampled_from([(), ("--timeout", "10")])),
            initrd=self.draw(st.booleans()),
            at_boot=self.draw(st.sampled_from([(), (("preLVM", False), ("crypttabExtraOpts", ("tpm2-device=auto",)))])),
        )
        return self.draft.add(volume, on=[on])

    def filesystem(self, on: Handle | pn.Disk) -> None:
        made = filesystems.Filesystem(
            type=self.draw(st.sampled_from(["ext4", "xfs", "vfat", "befs"])),
            label=self.draw(st.none() | TEXT),
            arguments=self.draw(st.sampled_from([(), ("-s", "1")])),
        )
        if self.draw(st.booleans()):
            uuid = "6A1C-22F0" if made.type == "vfat" else self.draw(UUID)
            made = filesystems.Filesystem(type=made.type, label=made.label, uuid=uuid, arguments=made.arguments)
        self.mount(self.draft.add(made, on=[on]))

    def btrfs(self, on: list[Handle | pn.Disk]) -> None:
        made = btrfs.Btrfs(
            label=self.draw(st.none() | TEXT | st.just("two words")),
            uuid=self.draw(st.none() | UUID),
            data=self.draw(st.none() | st.just("single")),
        )
        filesystem = self.draft.add(made, on=on)
        self.mount(filesystem, inside=True)
        for name in self.draw(st.sets(WORD, max_size=3)):
            read_only = self.draw(st.none() | st.booleans())
            self.mount(self.draft.add(btrfs.Subvolume(name=name, read_only=read_only), on=[filesystem]), inside=True)

    def mount(self, on: Handle, *, inside: bool = False) -> None:
        if self.draw(st.booleans()):
            options = tuple(self.draw(OPTIONS)) or None
            mode = self.draw(st.none() | st.just(0o1777))
            at = f"/{next(self.names)}"
            self.draft.add(mounts.Mount(at=at, options=options, mode=mode), on=[on])
            if self.draw(st.booleans()):
                self.draft.add(mounts.Mount(at=f"/{next(self.names)}", directory="/a/b", options=options), on=[on])
            for _ in range(self.draw(st.integers(0, 2)) if inside else 0):
                priority = self.draw(st.none() | st.just(7))
                size = pn.Exact(bytes=self.draw(st.integers(1, 9)) * MIB)
                file = swap.File(
                    path=f"{at}/{next(self.names)}",
                    root="/mnt",
                    size=size,
                    priority=priority,
                    options=_of_one_word(options),
                )
                self.draft.add(file, on=[on])

    def gather(self) -> None:
        if members := self.members["pool"]:
            self.members["pool"] = []
            self.btrfs([*members])
        elif members := self.members["array"]:
            self.members["array"] = []
            level = self.draw(st.sampled_from(["linear", "raid0"] if len(members) < 2 else [1, 10, "linear"]))
            array = mdraid.Array(
                name=next(self.names),
                level=level,
                metadata=self.draw(st.none() | st.just("1.0")),
                chunk=self.draw(st.none() | st.just(65536)),
            )
            self.put(self.draft.add(array, on=members), depth=1)
        elif members := self.members["group"]:
            self.members["group"] = []
            group = self.draft.add(
                lvm.Group(name=next(self.names), extent_size=self.draw(st.none() | st.just(8 * MIB))), on=members
            )
            for _ in range(self.draw(st.integers(0, 2))):
                self.volume(group)

    def volume(self, group: Handle) -> None:
        name = next(self.names)
        if self.draw(st.booleans()):
            size = self.draw(st.sampled_from(["100MiB", "7%"]))
            self.put(self.draft.add(lvm.Volume(name=name, size=size), on=[group]), depth=2)
            return
        self.draft.add(lvm.Volume(name=name, size="200MiB", type="thin-pool"), on=[group])
        thin = lvm.Volume(name=next(self.names), size="1TiB", type="thin", pool=name)
        self.put(self.draft.add(thin, on=[group]), depth=2)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_graph_that_is_written_is_read_again(data: st.DataObject, tmp_path: Path) -> None:
    there = with_disks(disk("a", wwn="naa.5"), disk("b"), disk("c", links=()))
    wanted = Author(there, data.draw).wanted(there)
    written = pn.write_layout(wanted.graph)
    assert not written.left_out
    path = tmp_path / "layout.json"
    path.write_bytes(written.to_json())
    again = pn.read_layout(there, str(path))
    assert again.graph == wanted.graph
    assert again.takes == wanted.takes
    plan = pn.schedule(there, again)
    if not plan.objections:  # some filesystems can be said, and are made by nobody
        assert plan.result().wishes() == wanted.graph.wishes()
        assert not shortcomings(plan.result(), wanted)


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_every_layout_is_the_same_after_writing(path: Path, tmp_path: Path) -> None:
    it = case(path)
    there = with_disks(*(disk(serial, **fields) for serial, fields in it["machine"].items()))
    wanted = pn.read_layout(there, layout(tmp_path, it["layout"]), disks=it.get("disks", {}))
    written = pn.write_layout(wanted.graph)
    file = tmp_path / "again.json"
    file.write_bytes(written.to_json())
    assert pn.read_layout(there, str(file)).graph == wanted.graph
    assert not written.left_out
    # On a machine that is already so, there is nothing to do.
    done = pn.Machine(graph=wanted.graph)
    assert not pn.schedule(done, pn.read_layout(done, str(file))).actions


@pytest.mark.parametrize(("extent", "said"), [(None, None), (4 * MIB, None), (8 * MIB, "8M")])
def test_lvms_own_extents_go_without_saying(extent: int | None, said: str | None) -> None:
    there = with_disks(disk("a"))
    draft = pn.Draft(there, take=there.disks, named=there.disks)
    group = draft.add(lvm.Group(name="main", extent_size=extent), on=list(there.disks))
    draft.add(lvm.Volume(name="root", size=pn.Exact(bytes=GIB), type="raid1", mirrors=1), on=[group])
    written: Any = pn.write_layout(draft.wanted().graph).devices["lvm_vg"]["main"]
    assert written.get("extentSize") == said
    # Disko has no key for mirrors, and takes what lvcreate does.
    assert written["lvs"]["root"]["extraArgs"] == ["--mirrors", "1"]


@pytest.mark.parametrize(
    ("gib", "metadata", "said"),
    [(500, None, ["--data-offset=16384K"]), (0.5, "1.1", ["--data-offset=1024K"]), (500, "1.0", None)],
)
def test_disko_is_told_where_the_data_of_an_array_begins(
    gib: float, metadata: str | None, said: list[str] | None, tmp_path: Path
) -> None:
    there = with_disks(*(disk(each, size=int(gib * GIB)) for each in "ab"))
    draft = pn.Draft(there, take=there.disks, named=there.disks)
    draft.add(mdraid.Array(name="main", level=1, metadata=metadata), on=list(there.disks))
    wanted = draft.wanted()
    written: Any = pn.write_layout(wanted.graph)
    assert written.devices["mdadm"]["main"].get("extraArgs") == said
    path = tmp_path / "layout.json"
    path.write_bytes(written.to_json())
    assert pn.read_layout(there, str(path)).graph == wanted.graph


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"root": "20G", "home": "rest"}, {"root": "20480M", "home": "100%FREE"}),
        ({"root": "20G", "home": "50%"}, {"root": "20480M", "home": "255996M"}),
        ({"root": "50%", "home": "rest"}, {"root": "255996M", "home": "100%FREE"}),
    ],
)
def test_what_fills_a_group_is_said_to_take_the_rest(
    sizes: dict[str, str], said: dict[str, str], tmp_path: Path
) -> None:
    there = with_disks(disk("a"))
    draft = pn.Draft(there, take=there.disks, named=there.disks)
    group = draft.add(lvm.Group(name="main"), on=list(there.disks))
    for name, size in sizes.items():
        draft.add(lvm.Volume(name=name, size=size), on=[group])
    wanted = draft.wanted()
    written: Any = pn.write_layout(wanted.graph)
    assert {name: each["size"] for name, each in written.devices["lvm_vg"]["main"]["lvs"].items()} == said
    path = tmp_path / "layout.json"
    path.write_bytes(written.to_json())
    assert pn.read_layout(there, str(path)).graph == wanted.graph


def test_settings_that_are_not_kept_are_named(tmp_path: Path) -> None:
    content = {"type": "luks", "name": "c", "settings": {"preLVM": False, "gpgCard": {"gracePeriod": 1}, "_x": 1}}
    path = layout(tmp_path, {"disk": {"main": {"device": "a", "content": content}}})
    written = pn.write_layout(pn.read_layout(with_disks(disk("a")), path).graph)
    assert written.left_out == ("the setting gpgCard of luks (disk:Disk-a/luks) is not kept",)

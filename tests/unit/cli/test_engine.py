"""`--engine disko`: which words a Disko takes, what it is given, and what it is not given."""

from __future__ import annotations

import argparse
import io
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

import pre_nixos as pn
from pre_nixos.backends.gpt import Partition
from pre_nixos.backends.lvm import Group
from pre_nixos.cli.complaint import Complaint, Usage
from pre_nixos.cli.engine import nix_path, with_engine, words_in
from pre_nixos.cli.session import Session
from pre_nixos.host import processes
from pre_nixos.host.local import LocalHost
from pre_nixos.model.layer import Disk, State
from tests.unit.cli.desk import command
from tests.unit.layouts.cases import disk, layout, with_disks
from tests.unit.test_schemas import ROOT, built_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pre_nixos.model.draft import Engine, Wanted
    from pre_nixos.model.machine import Machine

NEW = """Usage: disko [options] disk-config.nix
or disko [options] --flake github:somebody/somewhere#disk-config

Options:

* -m, --mode mode
  set the mode, either destroy, format, mount, format,mount or destroy,format,mount
    destroy,format,mount: run all three modes in sequence. Previously known as --mode disko
* -f, --flake uri
  fetch the disko config relative to this flake's root
* --dry-run
  just show the path to the script instead of running it
* --yes-wipe-all-disks
  skip the safety check for destroying partitions, useful for automation
"""
OLD = """Usage: disko [options] disk-config.nix

Options:

* -m, --mode mode
  set the mode, either format, mount or disko
    disko: first unmount and destroy all filesystems on the disks we want to format, then run the create and mount mode
* -f, --flake uri
  fetch the disko config relative to this flake's root
* --dry-run
  just show the path to the script instead of running it
"""
ANCIENT = """Usage: disko [options] disk-config.nix

Options:

* -m, --mode mode
  set the mode, either create or mount
* -f, --flake uri
  fetch the disko config relative to this flake's root
* --dry-run
  just show the path to the script instead of running it
"""
WAYS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "new": (NEW, ("--mode", "destroy,format,mount", "--yes-wipe-all-disks")),
    "old": (OLD, ("--mode", "disko")),
    "ancient": (ANCIENT, None),
    "between: it would ask": (NEW.replace("yes-wipe-all-disks", "no-deps"), None),
    "another program": ("usage: disko PLAYLIST\n", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize("case", WAYS)
def test_a_disko_says_itself_which_words_it_takes(case: str) -> None:
    text, words = WAYS[case]
    assert words_in(text) == words


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory where programs are looked for."""
    path = f"{tmp_path}:{processes.SEARCH_PATH}"
    monkeypatch.setattr(processes, "SEARCH_PATH", path)
    monkeypatch.setitem(processes.ENVIRONMENT, "PATH", path)
    return tmp_path


def disko(folder: Path, script: str) -> None:
    program = folder / "disko"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def helping(folder: Path, text: str) -> None:
    disko(folder, f"cat <<'END'\n{text}END")


def server() -> Machine:
    return pn.load_machine(str(ROOT / "tests/unit/machines/dirty-server.json"))


def chosen(there: Machine, environ: Mapping[str, str] | None = None, **options: object) -> Wanted:
    wanted = pn.propose(there, "tiered", options, registry=built_in())
    return handed(wanted, there, environ)


def handed(wanted: Wanted, there: Machine, environ: Mapping[str, str] | None = None, **said: Any) -> Wanted:
    streams: list[Any] = [io.StringIO() for _ in range(3)]
    session = Session(
        stdout=streams[0],
        stderr=streams[1],
        stdin=streams[2],
        environ={"NIX_PATH": "nixpkgs=/pkgs"} if environ is None else environ,
        registry=built_in(),
        host=LocalHost(),
    )
    arguments = argparse.Namespace(**{"engine": "disko", "root": None, **said})
    return with_engine(arguments, wanted, there, session)


def engine_of(wanted: Wanted) -> Engine:
    assert wanted.engine is not None
    return wanted.engine


@pytest.mark.parametrize("case", ["new", "old"])
def test_it_is_given_all_that_is_wanted(case: str, installed: Path) -> None:
    text, words = WAYS[case]
    helping(installed, text)
    wanted = chosen(server(), careful=True)
    engine = engine_of(wanted)
    path = "/var/log/pre-nixos/disko-config.nix"
    assert engine.argv == ("env", "NIX_PATH=nixpkgs=/pkgs", "HOME=/root", "disko", *(words or ()), path)
    assert engine.path == path
    assert 'device = "/dev/disk/by-id/' in engine.content
    assert "lvm_vg" in engine.content
    plan = pn.schedule(server(), wanted, registry=built_in())
    assert not plan.objections
    assert plan.actions[-1].summary.startswith("have disko make and mount everything on disks ")


def test_no_two_partitions_share_the_label_disko_looks_for(installed: Path) -> None:
    helping(installed, NEW)
    native = pn.propose(server(), "tiered", {"careful": True}, registry=built_in())
    before = [each.label for each in native.graph.of(Partition)]
    after = [each.label for each in handed(native, server()).graph.of(Partition)]
    assert len(set(before)) < len(before)
    assert all(one == other or other is None for one, other in zip(before, after, strict=True))
    kept = [each for each in after if each]
    assert len(set(kept)) == len(kept)


def test_a_partition_without_a_label_is_labelled_by_disko(installed: Path) -> None:
    helping(installed, NEW)
    content = engine_of(chosen(server(), careful=True)).content
    assert 'label = ""' not in content
    assert 'label = "esp-2"' in content


def test_a_partition_elsewhere_with_such_a_label_would_be_mistaken(installed: Path) -> None:
    helping(installed, NEW)
    there = server()
    wanted = pn.propose(there, "tiered", {"careful": True}, registry=built_in())
    bystander = wanted.takes[-1]
    graph = wanted.graph.without(
        [each.id for each in wanted.graph.layers() if bystander in wanted.graph.disks(each.id)]
    )
    taken = handed(msgspec.structs.replace(wanted, graph=graph, takes=wanted.takes[:-1]), there)
    saved = pn.schedule(there, taken, registry=built_in())
    assert "looks for its own" not in str(saved.objections)
    part = next(each for each in there.graph.of(Partition) if bystander in there.graph.disks(each.id))
    for label in (next(each.label for each in taken.graph.of(Partition) if each.label), "disk-sda-part2"):
        labelled = (msgspec.structs.replace(part, label=label), there.graph.on(part.id))
        now = pn.schedule(
            msgspec.structs.replace(there, graph=there.graph.plus([labelled])), saved.wanted, registry=built_in()
        )
        assert f"is found at /dev/disk/by-partlabel/{label}. disko looks for its own there" in str(now.objections)


def test_it_is_told_all_that_disko_will_look_for_and_touch(installed: Path) -> None:
    helping(installed, NEW)
    engine = engine_of(chosen(server(), careful=True))
    assert engine.trial == (*engine.argv[:-1], "--dry-run", engine.path)
    assert {"/dev/md/main", "/dev/main", "/dev/disk/by-partlabel/esp", "/dev/disk/by-partlabel/disk-sda-part2"} <= {
        *engine.claims
    }
    assert engine.unmounts == ("/mnt",)
    assert engine.wakes == ("lvm.group",)
    assert set(engine.addresses) <= set(server().graph)
    assert all(f'device = "{each}"' in engine.content for each in engine.addresses.values())


def test_a_group_elsewhere_that_disko_would_activate_is_objected_to(installed: Path) -> None:
    helping(installed, NEW)
    volumes = {"root": {"size": "1G", "content": {"type": "filesystem", "format": "ext4", "mountpoint": "/"}}}
    member = {"type": "disk", "device": "/dev/disk/by-id/a", "content": {"type": "lvm_pv", "vg": "pool"}}
    grouped = {"disk": {"main": member}, "lvm_vg": {"pool": {"type": "lvm_vg", "lvs": volumes}}}
    there = with_disks(disk("a"), disk("b"))
    other = next(each.id for each in there.all_disks if each.serial == "b")
    plain: Mapping[str, object] = {"type": "filesystem", "format": "ext4", "mountpoint": "/"}
    group = Group(name="other", uuid="u", state=State.INACTIVE, id="lvm.group:other")
    machine = msgspec.structs.replace(there, graph=there.graph.plus([(group, (other,))]))
    for wanted, objected in (
        (pn.read_layout(there, layout(installed, grouped), registry=built_in()), True),
        (alone(there, plain, "r", installed), False),
    ):
        plan = pn.schedule(machine, handed(wanted, there), registry=built_in())
        assert ("stays inactive, and disko would activate it" in str(plan.objections)) is objected


def test_a_disk_without_a_link_cannot_be_named_to_it(installed: Path) -> None:
    helping(installed, NEW)
    there = server()
    bare = [
        (msgspec.structs.replace(each, device=msgspec.structs.replace(each.device, links=())), ())
        for each in there.graph.of(Disk)
        if each.device is not None
    ]
    with pytest.raises(Complaint, match="no link below /dev/disk/by-id"):
        chosen(msgspec.structs.replace(there, graph=there.graph.plus(bare)), careful=True)


BROKEN = {
    "missing": ("", "Disko is not installed here"),
    "of an unknown version": (f"cat <<'END'\n{ANCIENT}END", "takes neither --mode destroy,format,mount"),
    "that cannot be tried": ("cat <<'END'\n" + NEW.replace("--dry-run", "--dry") + "END", "has no --dry-run"),
    "failing": ("echo 'no such file: nix' >&2; exit 1", "begins with: no such file: nix"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_disko_that_will_not_do_is_said_before_anything_is_changed(case: str, installed: Path) -> None:
    script, said = BROKEN[case]
    if script:
        disko(installed, script)
    with pytest.raises(Complaint) as error:
        chosen(server())
    text = " ".join((*error.value.problems, error.value.advice))
    assert said in text
    assert "Nothing was changed." in text
    assert "--engine" in text


LAYOUTS: dict[str, tuple[dict[str, object], str]] = {
    "swap that is encrypted anew each time": (
        {"type": "swap", "randomEncryption": True},
        "partitions.r.content: Disko leaves swap with randomEncryption to NixOS, and makes none.",
    ),
    "a mode of a mount": (
        {"type": "filesystem", "format": "ext4", "mountpoint": "/", "mountMode": "1777"},
        "partitions.r.content: Disko has no key 'mountMode' there.",
    ),
    "a command in a place": (
        {"type": "filesystem", "format": "ext4", "mountpoint": "/srv/$(reboot)"},
        "partitions.r.content.mountpoint: '/srv/$(reboot)' is not only letters",
    ),
    "a command in a subvolume": (
        {"type": "btrfs", "subvolumes": {"`reboot`": {}}},
        "subvolumes.`reboot`: '`reboot`' is not only letters",
    ),
    "a command in the path of a key": (
        {"type": "luks", "name": "crypt", "passwordFile": "/k;reboot"},
        "partitions.r.content.passwordFile: '/k;reboot' is not only letters",
    ),
    "two words in an option": (
        {"type": "btrfs", "mountpoint": "/", "mountOptions": ["x-a b"]},
        "partitions.r.content.mountOptions: 'x-a b' is not only letters",
    ),
}


def alone(there: Machine, content: Mapping[str, object], label: str, folder: Path) -> Wanted:
    parts = {"r": {"size": "100%", "label": label, "content": content}}
    entry = {"type": "disk", "device": "/dev/disk/by-id/a", "content": {"type": "gpt", "partitions": parts}}
    return pn.read_layout(there, layout(folder, {"disk": {"main": entry}}), registry=built_in())


@pytest.mark.parametrize("case", LAYOUTS)
def test_what_disko_cannot_be_told_is_refused(case: str, installed: Path) -> None:
    helping(installed, NEW)
    content, said = LAYOUTS[case]
    there = with_disks(disk("a"))
    with pytest.raises(Complaint) as error:
        handed(alone(there, content, "r", installed), there)
    assert said in "\n".join(error.value.problems)
    assert "Leave --engine out" in error.value.advice


@pytest.mark.parametrize("label", ["$(reboot)", "a b", "a,b", "#a", "é"])
def test_a_label_that_disko_may_not_find_again_is_refused(label: str, installed: Path) -> None:
    helping(installed, NEW)
    there = with_disks(disk("a"))
    content: Mapping[str, object] = {"type": "filesystem", "format": "ext4", "mountpoint": "/"}
    with pytest.raises(Complaint, match="is not only letters"):
        handed(alone(there, content, label, installed), there)
    assert engine_of(handed(alone(there, content, "a-b_c.d", installed), there)).claims == (
        "/dev/disk/by-partlabel/a-b_c.d",
    )


def test_a_disko_that_hangs_when_it_is_asked_is_not_waited_for(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pre_nixos.cli.engine.HELP_TIME", 0.3)
    disko(installed, "exec sleep 60")
    with pytest.raises(Complaint, match="did not end within"):
        chosen(server())


def test_it_needs_to_find_nixpkgs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nix_path({"NIX_PATH": "a=/b:nixpkgs=/c"}) == "a=/b:nixpkgs=/c"
    monkeypatch.setattr("pre_nixos.cli.engine.CHANNELS", (f"{tmp_path}/none", str(tmp_path)))
    assert nix_path({}) == nix_path({"NIX_PATH": "other=/x"}) == f"nixpkgs={tmp_path}"
    monkeypatch.setattr("pre_nixos.cli.engine.CHANNELS", ())
    with pytest.raises(Complaint, match="needs nixpkgs"):
        nix_path({})


def test_it_is_asked_for_by_name_alone() -> None:
    wanted = cast("Wanted", object())
    assert handed(wanted, server(), engine="native") is wanted
    with pytest.raises(Usage, match="mounts below /mnt"):
        handed(wanted, server(), root="/other")
    with pytest.raises(Usage, match="of this machine"):
        handed(wanted, server(), machine="file.json")
    assert "invalid choice" in command("apply", "--engine", "disk").complaint
    assert "leave --layout" in command("apply", "--engine", "disko", "--plan", "x").complaint

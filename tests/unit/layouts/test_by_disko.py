"""What is said here of Disko: its keys, its shell, and the paths it looks at.

With PRE_NIXOS_DISKO=/path, a directory with Disko's sources, and PRE_NIXOS_NIXPKGS=/path, one with nixpkgs' `lib/`
in it, Disko itself is asked: what is handed to it, it takes, and looks for what it makes where that was said.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pre_nixos as pn
from pre_nixos.layouts.disko import addresses, beyond_disko, claims, keys_read, labelled_by_disko
from tests.unit.cli.desk import command
from tests.unit.layouts.cases import RIGHT, case, disk, layout, with_disks
from tests.unit.nix.units import nix
from tests.unit.test_schemas import ROOT, built_in

if TYPE_CHECKING:
    from collections.abc import Mapping

DISKO, NIXPKGS = (os.environ.get(f"PRE_NIXOS_{each}", "") for each in ("DISKO", "NIXPKGS"))
EXPRESSION = Path(__file__).with_name("by_disko.nix")
LACKING = ("Disko has no", "Disko has numbers", "has nothing of type", "leaves swap")
UNMOUNTED = "attribute 'fileSystems' missing"
"""What some versions say where nothing is mounted; that is for their trial to find out."""
POLICIES: list[tuple[str, dict[str, object]]] = [
    ("tiered", {}),
    ("tiered", {"careful": True}),
    ("single", {"disks": ["S45PNA0M51234a"]}),
]
DEVICES: dict[str, dict[str, object]] = {
    "disk": {
        "main": {
            "type": "disk",
            "device": "/dev/disk/by-id/x",
            "content": {
                "type": "gpt",
                "partitions": {
                    "a": {"content": {"type": "mdraid", "name": "m"}},
                    "b": {"label": "own"},
                    "c" * 40: {},
                    "d": {"label": ""},
                    "e": {"uuid": "6d2b92d6-0000-4000-8000-000000000000"},
                },
            },
        },
        "flat": {"type": "disk", "device": "/dev/disk/by-id/y", "content": {"type": "filesystem"}},
    },
    "mdadm": {
        "m": {
            "type": "mdadm",
            "content": {
                "type": "luks",
                "name": "crypt",
                "passwordFile": "/one",
                "settings": {"keyFile": "/two", "allowDiscards": True},
                "additionalKeyFiles": ["/three"],
                "content": {"type": "lvm_pv", "vg": "pool"},
            },
        }
    },
    "lvm_vg": {"pool": {"type": "lvm_vg", "lvs": {"root": {"content": {"type": "filesystem"}}}}},
    "nodev": {"/tmp": {"type": "nodev", "fsType": "tmpfs"}},
}


def test_it_is_known_where_disko_looks() -> None:
    devices = labelled_by_disko(DEVICES)
    found = list(claims(devices))
    hashed = next(each for each in found if len(each) == len("/dev/disk/by-partlabel/") + 36)
    assert sorted({*found} - {hashed}) == [
        "/dev/disk/by-partlabel/disk-main-a",
        "/dev/disk/by-partlabel/disk-main-d",
        "/dev/disk/by-partlabel/own",
        "/dev/disk/by-partuuid/6d2b92d6-0000-4000-8000-000000000000",
        "/dev/mapper/crypt",
        "/dev/md/m",
        "/dev/pool",
    ]
    assert list(keys_read(devices)) == ["/one", "/two", "/three"]
    assert dict(addresses(devices)) == {"main": "/dev/disk/by-id/x", "flat": "/dev/disk/by-id/y"}
    assert not list(beyond_disko(devices))


BEYOND: dict[str, tuple[Mapping[str, object], str]] = {
    "a key": ({"lvm_vg": {"v": {"extentSize": "8M"}}}, "lvm_vg.v: Disko has no key 'extentSize' there"),
    "a key inside": (
        {"lvm_vg": {"v": {"lvs": {"r": {"stripes": 2}}}}},
        "lvm_vg.v.lvs.r: Disko has no key 'stripes' there",
    ),
    "a value": (
        {"lvm_vg": {"v": {"lvs": {"r": {"lvm_type": "raid10"}}}}},
        "lvm_vg.v.lvs.r.lvm_type: Disko has no 'raid10'",
    ),
    "a word for a number": ({"mdadm": {"m": {"level": "linear"}}}, "mdadm.m.level: Disko has numbers there"),
    "another metadata": ({"mdadm": {"m": {"metadata": "0.90"}}}, "mdadm.m.metadata: Disko has no '0.90'"),
    "a type": (
        {"disk": {"a": {"content": {"type": "bcache"}}}},
        "disk.a.content: Disko, or what is known here of it, has nothing of type 'bcache'",
    ),
    "a section": ({"zpool": {"a": {}}}, "zpool.a: Disko, or what is known here of it, has nothing of type 'zpool'"),
    "which disks": ({"disk": {"a": {"select": {"count": 1}}}}, "disk.a: Disko has no key 'select' there"),
    "a script where there is none": (
        {"lvm_vg": {"v": {"lvs": {"r": {"postCreateHook": "true"}}}}},
        "lvm_vg.v.lvs.r: Disko has no key 'postCreateHook' there",
    ),
    "a name": ({"nodev": {"/a b": {}}}, "nodev./a b: '/a b' is not only letters"),
    "a text in a list": (
        {"nodev": {"/a": {"mountOptions": ["x", "y;z"]}}},
        "nodev./a.mountOptions: 'y;z' is not only letters",
    ),
    "a text in settings": (
        {"mdadm": {"m": {"content": {"type": "luks", "settings": {"keyFile": "$HOME/k"}}}}},
        "mdadm.m.content.settings.keyFile: '$HOME/k' is not only letters",
    ),
    "a comment": ({"nodev": {"/a": {"mountOptions": ["#x"]}}}, "nodev./a.mountOptions: '#x' is not only letters"),
    "no label": (
        {"disk": {"a": {"content": {"type": "gpt", "partitions": {"p": {"label": ""}}}}}},
        "disk.a.content.partitions.p: Disko finds a partition by its label alone",
    ),
    "a label that comes of a name": (
        {"disk": {"a": {"content": {"type": "gpt", "partitions": {"p,q": {}}}}}},
        "disk.a.content.partitions.p,q: 'disk-a-p,q' is not only letters",
    ),
    "nothing": ({"nodev": {"/a": {"device": ""}}}, "nodev./a.device: '' is not only letters"),
}


@pytest.mark.parametrize("case", BEYOND)
def test_what_disko_does_not_take_is_named(case: str) -> None:
    devices, said = BEYOND[case]
    (found,) = beyond_disko(devices)
    assert found.startswith(said)


def test_what_is_not_for_disko_is_said_beside_the_text(tmp_path: Path) -> None:
    written = pn.WrittenLayout(devices={"lvm_vg": {"v": {"type": "lvm_vg", "extentSize": "8M"}}})
    assert written.to_nix().startswith("# Not for Disko itself: lvm_vg.v: Disko has no key 'extentSize' there.\n")
    assert "#" not in pn.WrittenLayout(devices={"lvm_vg": {"v": {"type": "lvm_vg"}}}).to_nix()
    swap = {"type": "disk", "content": {"type": "swap", "randomEncryption": True}}
    there = str(ROOT / "tests/unit/machines/dirty-server.json")
    ran = command(
        *("plan", "--output", "disko", "--machine", there),
        *("--disk", "main=S45PNA0M51234a", "--layout", layout(tmp_path, {"disk": {"main": swap}})),
        registry=built_in(),
    )
    said = "Disko leaves swap with randomEncryption to NixOS, and makes none."
    assert said in ran.complaint
    assert re.search(rf"^# Not for Disko itself: disk\.sd[a-z]\.content: {said}$", ran.out, re.MULTILINE)


@pytest.mark.parametrize("character", "$`\"\\;&|<>(){}*?'[]!~ \t\n\x00é")
def test_nothing_that_a_shell_reads_is_passed_on(character: str) -> None:
    assert list(beyond_disko({"nodev": {"/tmp": {"device": f"a{character}b"}}}))


def test_a_script_is_meant_to_be_read_by_a_shell() -> None:
    assert not list(beyond_disko({"nodev": {"/tmp": {"preMountHook": "echo $HOME; true"}}}))


def by_disko(written: pn.WrittenLayout, folder: Path) -> Any:
    """Give the scripts that Disko makes of a layout; what it says, as text, if it refuses it."""
    file = folder / "disko-config.nix"
    file.write_text(written.to_nix())
    named = {"disko": DISKO, "nixpkgs": NIXPKGS, "file": str(file)}
    words = [word for name, value in named.items() for word in ("--argstr", name, value)]
    ran = nix("--eval", "--strict", "--json", str(EXPRESSION), *words)
    return json.loads(ran.stdout) if ran.returncode == 0 else ran.stderr


def agree(written: pn.WrittenLayout, folder: Path) -> bool:
    """Whether Disko takes it, which has to be what is said of it here."""
    written = pn.WrittenLayout(devices=labelled_by_disko(written.devices))
    beyond = "\n".join(beyond_disko(written.devices))
    answer = by_disko(written, folder)
    if any(each in beyond for each in LACKING):
        assert isinstance(answer, str), beyond
        return False
    if isinstance(answer, str) and UNMOUNTED in answer:
        return False
    assert not isinstance(answer, str), answer
    whole = str(answer)
    for each in claims(written.devices):
        # A partition that nobody puts anything in is given its name, and not looked for.
        at = each.removeprefix("/dev/disk/by-partlabel/").removeprefix("/dev/disk/by-partuuid/")
        assert at in whole or each.startswith("/dev/disk/by-id/")
    assert all(each in whole for each in (*keys_read(written.devices), *dict(addresses(written.devices)).values()))
    assert "umount -Rv" in whole
    return True


if DISKO and NIXPKGS:

    @pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
    def test_disko_takes_what_is_said_to_be_in_its_words(path: Path, tmp_path: Path) -> None:
        it = case(path)
        there = with_disks(*(disk(serial, **fields) for serial, fields in it["machine"].items()))
        wanted = pn.read_layout(there, layout(tmp_path, it["layout"]), disks=it.get("disks", {}), allow_hooks=True)
        agree(pn.write_layout(wanted.graph, disks=there.all_disks, scripts=wanted.scripts), tmp_path)

    @pytest.mark.parametrize(("policy", "options"), POLICIES)
    def test_disko_takes_what_policies_want(policy: str, options: dict[str, object], tmp_path: Path) -> None:
        there = pn.load_machine(str(ROOT / "tests/unit/machines/dirty-server.json"))
        wanted = pn.propose(there, policy, options, registry=built_in())
        assert agree(pn.write_layout(wanted.graph, disks=there.all_disks, registry=built_in()), tmp_path)

"""Hooks in layouts: which layer each belongs to, where there can be none, and the way back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import pre_nixos as pn
from pre_nixos.layouts.scripts import HOOKS
from pre_nixos.model.action import Verb
from pre_nixos.model.script import Script, text_of
from tests.unit.layouts.cases import WRONG, case, disk, layout, with_disks

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.plan import Plan

ALL = tuple(HOOKS)
MAKING = ("preCreateHook", "postCreateHook")
USING = tuple(key for key in HOOKS if key not in MAKING)
NASTY = "-x $HOME `id` \"q\" 'q' %s %(n)s ${x} $(y) \\ \t*?\n\nnäh \N{SNOWMAN}\r\n#\n"


def hooks(where: str, *keys: str) -> dict[str, str]:
    return {key: f"{key} of {where}" for key in keys}


def everywhere() -> dict[str, Any]:
    """A layout with every hook that has a moment, each with a text that says where it is."""
    home = {"type": "filesystem", "format": "ext4", "mountpoint": "/home", **hooks("home", *ALL)}
    group = {"lvs": {"home": {"size": "1G", "content": home, **hooks("lv", *MAKING)}}, **hooks("group", *ALL)}
    subvolumes = {"/nix": {"mountpoint": "/nix", **hooks("nix", *ALL)}}
    tree = {"type": "btrfs", "subvolumes": subvolumes, **hooks("btrfs", *MAKING)}
    member = {"size": "9G", "content": {"type": "mdraid", "name": "m"}}
    partitions = {
        "esp": {
            "size": "1G",
            "priority": 1,
            "content": {"type": "filesystem", "format": "vfat", "mountpoint": "/boot", **hooks("esp", *ALL)},
            **hooks("part", *MAKING),
        },
        "luks": {
            "size": "9G",
            "priority": 2,
            "content": {"type": "luks", "name": "c", "content": tree, **hooks("luks", *ALL)},
        },
        "swap": {"size": "1G", "priority": 3, "content": {"type": "swap", **hooks("swap", *ALL)}},
        "random": {
            "size": "1G",
            "priority": 4,
            "content": {"type": "swap", "randomEncryption": True, **hooks("random", *ALL)},
        },
        "one": {**member, "priority": 5},
        "two": {**member, "priority": 6},
    }
    array = {"level": 1, "content": {"type": "lvm_pv", "vg": "g"}, **hooks("array", *ALL)}
    return {
        "disk": {
            "main": {
                "device": "a",
                **hooks("disk", *MAKING),
                "content": {"type": "gpt", "partitions": partitions, **hooks("gpt", *MAKING)},
            }
        },
        "mdadm": {"m": array},
        "lvm_vg": {"g": group},
        "nodev": {"/tmp": {"fsType": "tmpfs", **hooks("tmp", *USING)}},
    }


def wanted_of(sections: object, folder: Path) -> Wanted:
    return pn.read_layout(with_disks(disk("a"), disk("b")), layout(folder, sections), allow_hooks=True)


def by_text(wanted: Wanted) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in wanted.scripts:
        found.setdefault(each.text, []).append(f"{each.moment} {each.layer}")
    return found


def planned(wanted: Wanted) -> Plan:
    return pn.schedule(with_disks(disk("a"), disk("b")), wanted)


def test_each_belongs_to_the_layer_its_table_stands_for(tmp_path: Path) -> None:
    sections = everywhere()
    assert pn.check_layout(layout(tmp_path, sections), allow_hooks=True) == ()
    found = by_text(wanted_of(sections, tmp_path))
    layers = {text: [each.split()[1] for each in places] for text, places in found.items()}
    expected = {
        "disk": ["gpt"] * 2,
        "gpt": ["gpt"] * 2,
        "part": ["gpt.partition"] * 2,
        "esp": ["filesystem"] * 2 + ["mount"] * 4,
        "luks": ["luks"] * 6,
        "btrfs": ["btrfs"] * 2,
        "nix": ["btrfs.subvolume"] * 2 + ["mount"] * 4,
        "swap": ["swap"] * 2 + ["swap.use"] * 4,
        "random": ["crypt-plain", "swap", *["swap.use"] * 4],
        "array": ["mdraid.array"] * 6,
        "group": ["lvm.group"] * 6,
        "lv": ["lvm.volume"] * 2,
        "home": ["filesystem"] * 2 + ["mount"] * 4,
        "tmp": ["mount"] * 4,
    }
    graph = wanted_of(sections, tmp_path).graph
    kinds = {
        where: [graph[id_].kind for key in ALL for id_ in layers.get(f"{key} of {where}", [])] for where in expected
    }
    assert kinds == expected
    assert all(len(each) == 1 for each in found.values())


def test_all_of_them_run_where_everything_is_made_and_none_for_what_is_there(tmp_path: Path) -> None:
    wanted = wanted_of(everywhere(), tmp_path)
    plan = planned(wanted)
    assert not plan.objections
    ran = [text for action in plan.actions for step in action.steps if (text := text_of(step)) is not None]
    assert sorted(ran) == sorted(each.text for each in wanted.scripts if not each.moment.is_release)
    first = [text_of(step) or "" for step in plan.actions[0].steps]
    assert [each for each in first if each] == [
        "preCreateHook of disk",
        "preCreateHook of gpt",
        "preCreateHook of part",
        "postCreateHook of part",
        "postCreateHook of gpt",
        "postCreateHook of disk",
    ]
    luks = next(each for each in plan.actions if each.verb is Verb.FORMAT and each.target.endswith("luks"))
    assert [text for text in map(text_of, luks.steps) if text] == [
        f"{key} of luks" for key in ("preCreateHook", "postCreateHook", "preMountHook", "postMountHook")
    ]


def test_one_entry_for_several_disks_has_them_on_each(tmp_path: Path) -> None:
    esp = {
        "type": "filesystem",
        "format": "vfat",
        "mountpoint": "/boot",
        **hooks("esp", "postCreateHook", "postMountHook"),
    }
    content = {"type": "gpt", "partitions": {"esp": {"size": "1G", "content": esp}}}
    chosen = {"select": {"min": "1G", "count": 2}, "content": content, **hooks("disk", "preCreateHook")}
    found = by_text(wanted_of({"disk": {"main": chosen}}, tmp_path))
    assert {text: len(each) for text, each in found.items()} == {
        "preCreateHook of disk": 2,
        "postCreateHook of esp": 2,
        "postMountHook of esp": 1,
    }


def test_a_script_comes_out_as_it_went_in(tmp_path: Path) -> None:
    content = {"type": "filesystem", "format": "ext4", "postCreateHook": NASTY}
    wanted = wanted_of({"disk": {"main": {"device": "a", "content": content}}}, tmp_path)
    assert [each.text for each in wanted.scripts] == [NASTY]
    assert NASTY in [text_of(step) for action in planned(wanted).actions for step in action.steps]


@pytest.mark.parametrize("allowed", [True, False])
def test_empty_ones_and_null_are_none(*, allowed: bool, tmp_path: Path) -> None:
    content = {"type": "filesystem", "format": "ext4", "postCreateHook": "", "preMountHook": None}
    file = layout(tmp_path, {"disk": {"main": {"device": "a", "content": content, "preCreateHook": ""}}})
    assert pn.read_layout(with_disks(disk("a")), file, allow_hooks=allowed).scripts == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (hooks("x", "postMountHook"), ".postMountHook: nothing is mounted or opened here itself"),
        ({"postCreateHook": 7}, ".postCreateHook: it must be text, and is the number 7"),
        ({"postCreateHook": "a\0b"}, ".postCreateHook: there is a zero byte in it"),
        ({"postCreateHook": "x" * 131072}, ".postCreateHook: it has 131072 bytes, and a script"),
        ({"postCreatHook": "x"}, ".postCreatHook: this is unknown here"),
    ],
)
def test_what_cannot_be_one(content: dict[str, Any], problem: str, tmp_path: Path) -> None:
    filesystem = {"type": "filesystem", "format": "ext4", **content}
    file = layout(tmp_path, {"disk": {"main": {"device": "a", "content": filesystem}}})
    (said,) = pn.check_layout(file, allow_hooks=True)
    assert said.startswith(f"disk.main.content{problem}")


@pytest.mark.parametrize(
    ("table", "keys"),
    [("disk", USING), ("table", USING), ("member", ALL), ("memory", MAKING), ("tree", USING)],
)
def test_where_there_is_no_such_moment(table: str, keys: tuple[str, ...], tmp_path: Path) -> None:
    more = {table: dict.fromkeys(keys, "echo")}
    parts = {
        "pv": {"size": "5G", "content": {"type": "lvm_pv", "vg": "g", **more.get("member", {})}},
        "tree": {
            "size": "5G",
            "content": {"type": "btrfs", "subvolumes": {"/x": {"mountpoint": "/x"}}, **more.get("tree", {})},
        },
    }
    sections = {
        "disk": {
            "main": {
                "device": "a",
                "content": {"type": "gpt", "partitions": parts, **more.get("table", {})},
                **more.get("disk", {}),
            }
        },
        "lvm_vg": {"g": {"lvs": {"x": {"size": "1G"}}}},
        "nodev": {"/tmp": {"fsType": "tmpfs", **more.get("memory", {})}},
    }
    said = pn.check_layout(layout(tmp_path, sections), allow_hooks=True)
    assert len(said) == len(keys)
    assert all("so there is no such moment; write it where" in each for each in said)


def test_without_leave_they_are_all_refused_with_where_they_are(tmp_path: Path) -> None:
    said = pn.check_layout(layout(tmp_path, everywhere()))
    assert len(said) == len(by_text(wanted_of(everywhere(), tmp_path)))
    assert all("--allow-hooks" in each for each in said)
    assert "lvm_vg.g.lvs.home.content.postMountHook: " in " ".join(said)


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_what_is_wrong_stays_wrong(path: Path, tmp_path: Path) -> None:
    it = case(path)
    said = pn.check_layout(layout(tmp_path, it["layout"]), allow_hooks=True)
    assert list(said) == [each for each in it["problems"] if "--allow-hooks" not in each]


def test_where_something_makes_no_sense_nothing_more_is_said_of_its_scripts(tmp_path: Path) -> None:
    array = {"level": 5, **hooks("array", *ALL)}
    said = pn.check_layout(layout(tmp_path, {"mdadm": {"m": array}}), allow_hooks=True)
    assert len(said) == 1
    assert "nothing in the layout is a member of it" in said[0]


def test_the_way_back(tmp_path: Path) -> None:
    sections = everywhere()
    for key in MAKING:
        del sections["disk"]["main"][key]  # they are of the same moments as those of the table
    wanted = wanted_of(sections, tmp_path)
    written = pn.write_layout(wanted.graph, scripts=wanted.scripts)
    assert written.left_out == ()
    again = wanted_of(json.loads(written.to_json()), tmp_path)
    assert again.graph == wanted.graph
    assert sorted(again.scripts, key=repr) == sorted(wanted.scripts, key=repr)
    assert "Hook" not in pn.write_layout(wanted.graph).to_json().decode()


def test_what_cannot_be_written_back_is_said(tmp_path: Path) -> None:
    wanted = wanted_of(everywhere(), tmp_path)
    written = pn.write_layout(wanted.graph, scripts=wanted.scripts)
    assert written.left_out == tuple(f"the {key} of disk:Disk-a/gpt cannot be said in a layout" for key in MAKING)
    content = next(each for each in wanted.graph if each.endswith("/mnt/home"))
    lost = [
        Script(layer=content, moment=HOOKS["postCreateHook"], text="x"),
        Script(layer="?", moment=HOOKS["preMountHook"], text="y"),
    ]
    assert len(pn.write_layout(wanted.graph, scripts=lost).left_out) == 2


def test_for_another_root_they_belong_to_the_same_layers(tmp_path: Path) -> None:
    wanted = wanted_of(everywhere(), tmp_path)
    moved = wanted.rooted("/")
    assert [each.text for each in moved.scripts] == [each.text for each in wanted.scripts]
    assert [moved.graph[each.layer].kind for each in moved.scripts] == [
        wanted.graph[each.layer].kind for each in wanted.scripts
    ]
    assert {each.layer for each in moved.scripts} != {each.layer for each in wanted.scripts}
    assert moved.rooted("/mnt").scripts == wanted.scripts

"""Layouts become what is wanted; what is wrong with them is said at once, with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from tests.unit.layouts.cases import EXAMPLES, GIB, RIGHT, UNFIT, WRONG, case, disk, layout, told, with_disks

if TYPE_CHECKING:
    from pathlib import Path

OBJECTED = {
    "a-file-larger-than-what-it-is-in",
    "formats-that-are-not-made",
    "names-lvm-refuses",
    "names-that-tools-refuse",
}
"""What is wrong with these is for plugins to say, of the plan."""
HOME = {"type": "filesystem", "format": "ext4", "mountpoint": "/home"}


def whole(**entry: object) -> dict[str, object]:
    """A layout with one filesystem on whatever disk is said."""
    return {"disk": {"main": {"content": HOME, **entry}}}


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_everything_that_is_wrong_is_said_without_a_machine(path: Path, tmp_path: Path) -> None:
    it = case(path)
    assert list(pn.check_layout(layout(tmp_path, it["layout"]))) == it["problems"], it["about"]
    assert it["problems"]


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_what_is_wrong_is_wrong_on_a_machine_as_well(path: Path, tmp_path: Path) -> None:
    it = case(path)
    there = with_disks(*(disk(each) for each in "abcdefg"))
    file = layout(tmp_path, it["layout"])
    if path.stem in OBJECTED:
        assert pn.schedule(there, pn.read_layout(there, file)).objections
        return
    with pytest.raises(pn.InvalidLayout) as raised:
        pn.read_layout(there, file)
    assert set(it["problems"]) <= set(raised.value.problems)
    # What is said of the disks is not said again of those that are there.
    further = set(raised.value.problems) - set(it["problems"])
    assert not [each for each in further if "any disk" in each]


@pytest.mark.parametrize("path", UNFIT, ids=lambda path: path.stem)
def test_everything_that_does_not_fit_a_machine_is_said(path: Path, tmp_path: Path) -> None:
    it = case(path)
    there = with_disks(*(disk(serial, **fields) for serial, fields in it["machine"].items()))
    with pytest.raises(pn.InvalidLayout) as raised:
        pn.read_layout(there, layout(tmp_path, it["layout"]))
    assert list(raised.value.problems) == it["problems"], it["about"]


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_what_is_right_is_what_is_wanted(path: Path, tmp_path: Path) -> None:
    it = case(path)
    file = layout(tmp_path, it["layout"])
    overruled = it.get("disks", {})
    there = with_disks(*(disk(serial, **fields) for serial, fields in it["machine"].items()))
    assert pn.check_layout(file, disks=overruled) == ()
    wanted = pn.read_layout(there, file, disks=overruled)
    assert told(wanted.graph) == it["layers"], it["about"]
    assert not pn.schedule(there, wanted).objections


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_right_and_can_be_carried_out(path: Path) -> None:
    assert pn.check_layout(str(path)) == ()
    links = {
        "/dev/disk/by-id/nvme-eui.0025385b21404321",
        *(f"/dev/disk/by-id/wwn-0x5000c500a1b2c3d{each}" for each in "456"),
    }
    disks = [disk(each[-1], links=[each]) for each in sorted(links)]
    few = {"impermanence.toml": 1, "mirror.toml": 2}.get(path.name, len(disks))
    there = with_disks(*disks[:few])
    plan = pn.schedule(there, pn.read_layout(there, str(path)))
    assert plan.actions
    assert not plan.objections


def test_wrappers_and_toml(tmp_path: Path) -> None:
    there = with_disks(disk("a"))
    plain = pn.read_layout(there, layout(tmp_path, whole(device="a")))
    for wrapped in ({"disko": {"devices": whole(device="a")}}, {"devices": whole(device="a")}):
        assert pn.read_layout(there, layout(tmp_path, wrapped)) == plain
    path = tmp_path / "layout.toml"
    path.write_text(
        '[disk.main]\ndevice = "a"\n[disk.main.content]\ntype = "filesystem"\nformat = "ext4"\nmountpoint = "/home"\n'
    )
    assert pn.read_layout(there, str(path)) == plain


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1 is not JSON"),
        ("{", "line 1 is not JSON"),
        ('{"disk": {"main": {"device": "a", "con', "line 1 is not JSON: Unterminated string"),
        ('{"disk": {"main": {}},}', "line 1 is not JSON"),
        ("[]", "this is neither JSON, which begins with a brace, nor TOML"),
        ('{"disko": []}', "there should be a table with sections"),
        ("disk = ", "this is neither JSON, which begins with a brace, nor TOML"),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}", "neither JSON"),
    ],
)
def test_what_is_no_layout_at_all(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "layout"
    path.write_text(text)
    with pytest.raises(pn.Unreadable, match=said):
        pn.check_layout(str(path))


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(pn.Unreadable, match="No such file"):
        pn.check_layout(str(tmp_path / "nowhere"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(pn.Unreadable, match="this is no text"):
        pn.check_layout(str(tmp_path / "bytes"))


@pytest.mark.parametrize("text", ["{}", '{"disk": {}}', '{"disko": {"devices": {"nodev": null}}}', '{"_x": {"a": 1}}'])
def test_a_layout_without_a_disk_is_hardly_meant(text: str, tmp_path: Path) -> None:
    path = tmp_path / "layout"
    path.write_text(text)
    assert "no disk is described in this layout" in " ".join(pn.check_layout(str(path)))
    with pytest.raises(pn.InvalidLayout, match="no disk is described"):
        pn.read_layout(with_disks(disk("a")), str(path))
    path.write_text('{"nodev": {"/tmp": {"fsType": "tmpfs"}}}')
    assert pn.check_layout(str(path)) == ()


def test_what_is_written_twice_or_stands_beside(tmp_path: Path) -> None:
    path = tmp_path / "layout"
    path.write_text('{"disk": {}, "disk": {}}')
    assert pn.check_layout(str(path)) == ("'disk' is written twice in one table",)
    path.write_text('{"disko": {"devices": {}}, "boot": {}}')
    assert pn.check_layout(str(path)) == ("'boot' stands beside 'disko', and is no part of a layout",)


@pytest.mark.parametrize(
    "said",
    [
        {"device": "/dev/disk/by-id/a"},
        {"device": "a"},
        {"device": "naa.5"},
        {"device": "/dev/disk/by-path/pci-0"},
        {"device": "/dev/vda", "select": {"serial": "a"}},
        {"select": {"wwn": "naa.5"}},
        {"select": {"id": "disk:naa.5", "serial": "a"}},
        {"select": {"link": "/dev/disk/by-id/a"}},
        {"select": {"ssd": True, "min": "400G"}},
        {"select": {"model": "Disk", "max": "600GB"}},
        {"select": {"transport": "sata", "ssd": True}},
    ],
)
def test_one_disk_is_chosen_by_what_is_said_of_it(said: dict[str, object], tmp_path: Path) -> None:
    links = ("/dev/disk/by-id/a", "/dev/disk/by-path/pci-0")
    one = disk("a", wwn="naa.5", links=links)
    there = with_disks(one, disk("b", gib=4000, rotational=True, model="Large"))
    wanted = pn.read_layout(there, layout(tmp_path, whole(**said)))
    assert wanted.takes == ("disk:naa.5",)
    assert wanted.named == (() if {"ssd", "model", "transport"} & set(said.get("select", {})) else wanted.takes)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportUnknownArgumentType, reportCallIssue] - a table


def test_none_or_several_that_fit_are_listed(tmp_path: Path) -> None:
    there = with_disks(disk("a"), disk("b"), disk("u", transport="usb", removable=True))
    path = layout(tmp_path, whole(select={"ssd": True}))
    with pytest.raises(pn.InvalidLayout) as raised:
        pn.read_layout(there, path)
    assert raised.value.problems == (
        "disk.main: one disk is wanted that is solid-state, and 2 are: disk Disk a (500 GiB), disk Disk b (500 GiB)",
        (
            "The disks of this machine:\n"
            "  disk Disk a, 500 GiB: disk:Disk-a\n"
            "  disk Disk b, 500 GiB: disk:Disk-b\n"
            "  disk Disk u, 500 GiB: disk:Disk-u (taken only if named)"
        ),
    )
    with pytest.raises(pn.InvalidLayout, match=r"disk\.main: there is no disk nobody\nThe disks"):
        pn.read_layout(there, layout(tmp_path, whole(device="nobody")))
    with pytest.raises(pn.InvalidLayout, match="no disk that is still free is rotational, at least 1 TiB"):
        pn.read_layout(there, layout(tmp_path, whole(select={"ssd": False, "min": "1T"})))
    wanted = pn.read_layout(there, layout(tmp_path, whole(device="u")))
    assert wanted.named == wanted.takes == ("disk:Disk-u",)


def test_who_is_named_is_not_chosen_by_others(tmp_path: Path) -> None:
    sections = {
        "disk": {
            "any": {"select": {"ssd": True}, "content": HOME},
            "named": {"device": "a", "content": {**HOME, "mountpoint": "/"}},
        }
    }
    there = with_disks(disk("a"), disk("b"))
    assert pn.disks_of_layout(there, layout(tmp_path, sections))["any"][0].serial == "b"
    both = {"disk": {"one": {"device": "a", "content": HOME}, "two": {"select": {"wwn": "naa.1"}, "content": {}}}}
    with pytest.raises(pn.InvalidLayout, match=r"disk\.two: disk Disk a is the disk of disk\.one already"):
        pn.read_layout(with_disks(disk("a", wwn="naa.1")), layout(tmp_path, both))


def test_a_disk_may_be_named_from_outside(tmp_path: Path) -> None:
    path = layout(tmp_path, whole(device="/dev/sda"))
    there = with_disks(disk("a"), disk("b"))
    assert pn.read_layout(there, path, disks={"main": "b"}).takes == ("disk:Disk-b",)
    assert pn.check_layout(path, disks={"main": "b"}) == ()
    assert pn.check_layout(path, disks={"mian": "b"})[1].endswith("did you mean 'main'?")


def test_what_does_not_fit_is_said_with_the_arithmetic(tmp_path: Path) -> None:
    parts = {"root": {"size": "300G", "content": HOME}, "more": {"size": "300G"}}
    path = layout(tmp_path, {"disk": {"main": {"device": "a", "content": {"type": "gpt", "partitions": parts}}}})
    assert pn.check_layout(path) == ()
    with pytest.raises(pn.InvalidLayout) as raised:
        pn.read_layout(with_disks(disk("a")), path)
    assert raised.value.problems == (
        (
            "disk.main.content: the partitions need 300 GiB for partition 1 + 300 GiB for partition 2 and end at "
            "600 GiB, but the device has room up to 500 GiB: 100 GiB too much"
        ),
    )


def test_where_the_root_is_mounted_now(tmp_path: Path) -> None:
    wanted = pn.read_layout(with_disks(disk("a")), layout(tmp_path, whole(device="a")), root="/")
    assert any(each.endswith("mount@/home") for each in wanted.graph)


def test_a_share_of_what_is_free_is_of_what_those_before_leave(tmp_path: Path) -> None:
    lvs = {
        "a": {"size": "100G"},
        "b": {"size": "50%FREE"},
        "c": {"size": "50G"},
        "d": {"size": "50%"},
        "e": {"size": "100%"},
    }
    content = {"type": "lvm_pv", "vg": "v"}
    sections = {"disk": {"main": {"device": "a", "content": content}}, "lvm_vg": {"v": {"lvs": lvs}}}
    graph = pn.read_layout(with_disks(disk("a", gib=1001)), layout(tmp_path, sections)).graph
    sizes = {each.segment: round(graph.space(each) / GIB) for each in graph.layers() if each.part_of}
    assert sizes == {"a": 100, "b": 450, "c": 50, "d": 200, "e": 200}

"""Layouts as Nix: what Nix makes of the text is the layout, and is read as the same graph."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pre_nixos as pn
from pre_nixos.backends import filesystems
from pre_nixos.hooks.registry import installed
from pre_nixos.layouts.document import NIX, load
from tests.unit.cli.desk import command
from tests.unit.layouts.cases import EXAMPLES, RIGHT, case, disk, layout, with_disks
from tests.unit.layouts.test_writing import Author
from tests.unit.render.nixeval import evaluate

if TYPE_CHECKING:
    from pre_nixos.model.machine import Machine

MACHINES = Path(__file__).parents[1] / "machines"


def read_back(there: Machine, written: pn.WrittenLayout, folder: Path) -> pn.Wanted:
    """Read a layout as Nix makes it of its text."""
    evaluated = evaluate(written.to_nix(), folder)
    assert evaluated == json.loads(written.to_json())
    return pn.read_layout(there, layout(folder, evaluated))


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_every_layout_comes_back_out_of_nix(path: Path, tmp_path: Path) -> None:
    it = case(path)
    there = with_disks(*(disk(serial, **fields) for serial, fields in it["machine"].items()))
    wanted = pn.read_layout(there, layout(tmp_path, it["layout"]), disks=it.get("disks", {}))
    for disks in ((), there.all_disks):
        written = pn.write_layout(wanted.graph, disks=disks)
        assert not written.left_out
        assert read_back(there, written, tmp_path).graph == wanted.graph


NIX_FILES = {
    "plain": "# x: y\n{ disko.devices = { disk.a = { device = %s; }; }; }",
    "module": "{ lib, ... }:\n{\n  disko.devices.disk.a.device = lib.mkDefault %s;\n}",
    "nested": "{\n  disko = {\n    devices.disk.a.device = %s;\n  };\n}",
    "argument": "{ disks ? [ %s ], ... }: { disko.devices.disk.a.device = builtins.elemAt disks 0; }",
    "let": "let disk = %s; in { disko.devices.disk.a.device = disk; }",
    "args": "args: { disko.devices = { disk = { a = { device = %s; }; }; }; }",
}


@pytest.mark.parametrize("name", NIX_FILES)
def test_a_file_in_nix_is_called_so_and_the_command_that_is_told_makes_a_layout_of_it(
    name: str, tmp_path: Path
) -> None:
    path = tmp_path / "disk-config.nix"
    path.write_text(NIX_FILES[name].replace("%s", '"a"'))
    with pytest.raises(pn.Unreadable, match="this looks like Nix"):
        pn.check_layout(str(path))
    if name == "args":
        return  # Nix does not know what to give it; nor is it a module
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/default.nix").write_text("{ mkDefault = value: value; }")
    words = shlex.split(NIX.partition("gives: ")[2].replace("FILE", str(path)))
    assert words[:4] == ["nix-instantiate", "--eval", "--strict", "--json"]
    evaluated = evaluate("", tmp_path, *words[4:], "-I", f"nixpkgs={tmp_path}")
    assert evaluated == {"disk": {"a": {"device": "a"}}}


@pytest.mark.parametrize("text", ["a = 1; b", "{ x", "[a]\nb = 'c: d", '{"a": {"b": 1},}', '{"a": "b = c;",}'])
def test_what_is_broken_is_not_called_nix(text: str, tmp_path: Path) -> None:
    path = tmp_path / "layout"
    path.write_text(text)
    with pytest.raises(pn.Unreadable) as raised:
        pn.check_layout(str(path))
    assert ("looks like Nix" in str(raised.value)) == (text == "a = 1; b")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_the_same_in_nix(path: Path, tmp_path: Path) -> None:
    devices: Any = dict(load(str(path)))
    evaluated: Any = evaluate(pn.WrittenLayout(devices=devices).to_nix(), tmp_path)
    assert evaluated["disko"]["devices"] == devices


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_graph_comes_back_out_of_nix(data: st.DataObject, tmp_path: Path) -> None:
    there = with_disks(disk("a", wwn="naa.5"), disk("b"), disk("c", links=()))
    wanted = Author(there, data.draw).wanted(there)
    assert read_back(there, pn.write_layout(wanted.graph), tmp_path).graph == wanted.graph


HOSTILE = ("${builtins.abort 1}", "'' + (abort \"\") + ''", 'a"; b = "', "\\", "a\nb = 1;\n# ''${x}\n", "\x1b[2J", "if")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_in_a_layout_is_ever_run(hostile: str, tmp_path: Path) -> None:
    there = with_disks(disk("a"))
    draft = pn.Draft(there, take=there.disks)
    draft.add(filesystems.Filesystem(type="ext4", label=hostile, arguments=(hostile,)), on=[*there.disks])
    written = pn.write_layout(draft.wanted().graph, names={there.disks[0].id: hostile})
    content: Any = evaluate(written.to_nix(), tmp_path)
    assert list(content["disko"]["devices"]["disk"]) == [hostile]
    assert json.loads(written.to_json()) == content
    assert "\x1b" not in written.to_nix()


def test_two_of_them_can_be_compared_line_by_line() -> None:
    # The kernel may name and find disks in another order, and does, at the next boot.
    names = ("b", "a")
    texts: list[str] = []
    for order in (names, tuple(reversed(names))):
        there = with_disks(*(disk(each) for each in order))
        draft = pn.Draft(there, take=there.disks)
        for each in there.disks:
            draft.add(filesystems.Filesystem(type="ext4", label=each.serial), on=[each])
        texts.append(pn.write_layout(draft.wanted().graph).to_nix())
    assert texts[0] == texts[1]


def test_what_is_left_out_is_said_in_the_text(tmp_path: Path) -> None:
    written = pn.WrittenLayout(devices={}, left_out=("the thing\n} evil = { x",))
    assert written.to_nix().splitlines()[0] == "# Left out: the thing\\n} evil = { x."
    assert evaluate(written.to_nix(), tmp_path) == {"disko": {"devices": {}}}


def test_what_nix_has_no_words_for_is_refused() -> None:
    with pytest.raises(pn.InvalidLayout, match="zero byte"):
        msgspec.structs.replace(pn.WrittenLayout(), devices={"disk": {"a": {"label": "x\0"}}}).to_nix()


@pytest.mark.parametrize("machine", sorted(MACHINES.glob("*.json")), ids=lambda path: path.stem)
def test_what_is_on_a_machine_is_a_configuration(machine: Path, tmp_path: Path) -> None:
    shown = [
        command("show", "--machine", str(machine), "--output", "disko", *more, registry=installed())
        for more in ((), ("--json",))
    ]
    assert [each.status for each in shown] == [0, 0]
    assert evaluate(shown[0].out, tmp_path) == json.loads(shown[1].out)
    assert shown[0].complaint == shown[1].complaint

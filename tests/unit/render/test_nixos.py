"""Modules of NixOS: put together from what the layers' owners say, with what is there, always in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pre_nixos as pn
from pre_nixos.backends import filesystems, mdraid, mounts
from pre_nixos.hooks.options import Default, Lines
from pre_nixos.hooks.registry import PluginError
from pre_nixos.plugin import Found
from pre_nixos.render.configuration import declared, minimal
from pre_nixos.render.nixos import MARK, merged, module_text, settled, write_module
from tests.unit import toys
from tests.unit.layouts.cases import RIGHT, case, disk, layout, with_disks
from tests.unit.layouts.test_writing import Author
from tests.unit.policies.servers import TB, server, ssds
from tests.unit.render.nixeval import evaluate
from tests.unit.render.nixosmodules import as_made, options_of

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.model.machine import Machine


LOST = {
    "btrfs-over-two-opened-volumes": "the root is empty at every boot, and the store is in it",
    "on-no-disk-and-in-files": "the root is empty at every boot, and the store is in it",
}
"""Layouts of what could be on a machine, and would not be there for long."""


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_every_layout_makes_a_module_of_options_there_are(path: Path, tmp_path: Path) -> None:
    it = case(path)
    there = with_disks(*(disk(serial, **fields) for serial, fields in it["machine"].items()))
    wanted = pn.read_layout(there, layout(tmp_path, it["layout"]), disks=it.get("disks", {}))
    if path.stem in LOST:
        with pytest.raises(pn.InvalidLayout, match=LOST[path.stem]):
            write_module(wanted, as_made(there, wanted.graph))
        return
    written = write_module(wanted, as_made(there, wanted.graph))
    found = options_of(written.text, tmp_path)
    places = {each.at for each in wanted.graph.of(mounts.Mount)}
    assert places <= set(found.get("fileSystems", {}))
    assert "/dev/sd" not in written.text
    assert "/dev/nvme" not in written.text


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_graph_makes_a_module_of_options_there_are(data: st.DataObject, tmp_path: Path) -> None:
    there = with_disks(disk("a", wwn="naa.5"), disk("b"), disk("c"))
    wanted = Author(there, data.draw).wanted(there)
    found = options_of(write_module(wanted, as_made(there, wanted.graph)).text, tmp_path)
    assert {each.at for each in wanted.graph.of(mounts.Mount)} <= set(found.get("fileSystems", {}))


POLICIES: list[tuple[str, dict[str, object], set[str]]] = [
    ("single", {"disks": ["S0"], "swap": "1GiB"}, {"/", "/boot"}),
    ("tiered", {}, {"/", "/home", "/boot", "/boot-2"}),
    ("impermanence", {"mirror": 2}, {"/", "/boot", "/boot-2", "/home", "/nix", "/persist", "/var/log"}),
]


@pytest.mark.parametrize(("policy", "options", "places"), POLICIES)
def test_every_policy_makes_a_module(policy: str, options: dict[str, object], places: set[str], tmp_path: Path) -> None:
    machine = server(ssds(TB, TB))
    wanted = pn.propose(machine, policy, options)
    written = write_module(wanted, as_made(machine, wanted.graph))
    found = options_of(written.text, tmp_path)
    assert set(found["fileSystems"]) == places
    assert found["boot"]["loader"]["systemd-boot"]["enable"] is True
    assert bool(written.remarks) is (policy == "impermanence")
    assert all(each["device"].startswith("/dev/disk/by-uuid/") for each in found["fileSystems"].values())


def test_it_is_the_same_text_whatever_was_found_first() -> None:
    texts: set[str] = set()
    for disks in (ssds(TB, TB), ssds(TB, TB)[::-1]):
        machine = server(disks)
        wanted = pn.propose(machine, "impermanence", {"mirror": 2})
        texts.add(write_module(wanted, as_made(machine, wanted.graph)).text)
    assert len(texts) == 1


def test_what_nobody_asked_for_is_taken_from_what_is_there() -> None:
    machine = with_disks(disk("a"))
    draft = pn.Draft(machine, take=machine.disks)
    draft.add(filesystems.Filesystem(type="ext4", label="mine"), on=[*machine.disks])
    wanted = draft.wanted().graph
    there = as_made(machine, wanted).graph
    found = settled(wanted, there)
    (filesystem,) = found.of(filesystems.Filesystem)
    assert filesystem.uuid == "00000000-0000-4000-8000-000000000001"
    assert filesystem.label == "mine"
    (its_disk,) = found.of(pn.Disk)
    assert its_disk.found_at() == "/dev/disk/by-id/a"


def test_another_kind_of_thing_in_its_place_is_not_taken_for_it() -> None:
    machine = with_disks(disk("a"))
    draft = pn.Draft(machine, take=machine.disks)
    draft.add(mdraid.Array(name="x", level=1), on=[*machine.disks])
    wanted = draft.wanted().graph
    assert settled(wanted, machine.graph).of(mdraid.Array)[0].uuid is None


def toy_wanted(*names: str) -> tuple[pn.Wanted, Machine]:
    machine = toys.machine(Found(toys.disk("a")))
    draft = pn.Draft(machine, take=machine.disks)
    pool = draft.add(toys.Pool(name="p"), on=[*machine.disks])
    for each in names:
        draft.add(toys.Slot(name=each), on=[pool])
    return draft.wanted(), machine


def test_what_several_layers_say_is_put_together_and_what_none_says_is_named() -> None:
    written = write_module(*toy_wanted("one", "two"), registry=toys.toys())
    assert '    slots = [\n      "one"\n      "two"\n    ];\n' in written.text
    assert any("pool p (toy.pool:p)" in each and "toy.pool has no words" in each for each in written.remarks)
    assert "# NixOS is told nothing of pool p" in written.text
    assert written.text.startswith(MARK)


def test_everything_that_cannot_be_said_is_said_at_once() -> None:
    wanted, machine = toy_wanted("unspeakable", "fine")
    with pytest.raises(pn.InvalidLayout, match="unspeakable cannot be said"):
        write_module(wanted, machine, registry=toys.toys())


def test_a_plugin_that_fails_is_named() -> None:
    with pytest.raises(PluginError, match="plugin toys failed in nixos_options: KeyError"):
        write_module(*toy_wanted("broken"), registry=toys.toys())


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": [1, 2]}, {"a": [2, 3]}, {"a": [1, 2, 3]}),
        ({"a": True}, {"a": True}, {"a": True}),
        ({"a": Default(value=1)}, {"a": 2}, {"a": 2}),
        ({"a": 2}, {"a": Default(value=1)}, {"a": 2}),
        ({"a": Lines.of("x")}, {"a": Lines.of("x", "y")}, {"a": Lines.of("x", "y")}),
    ],
)
def test_merging(one: dict[str, object], other: dict[str, object], both: dict[str, object]) -> None:
    assert merged(one, other) == both


@pytest.mark.parametrize("other", [2, [1], {"c": 1}, "1"])
def test_two_answers_to_one_question_are_a_mistake(other: object) -> None:
    with pytest.raises(pn.InvalidLayout, match=r"the option a\.b to be different"):
        merged({"a": {"b": 1}}, {"a": {"b": other}})


def test_names_and_remarks_never_become_nix(tmp_path: Path) -> None:
    options = {"fileSystems": {'/"; x = "': {"device": "${abort 1}"}}, "if": {"''": "''${x}"}}
    text = module_text(options, ["a remark\n} evil"])
    assert evaluate(f"({text}) {{ lib = {{ }}; pkgs = {{ }}; }}", tmp_path) == options


OF_NIXOS = """\
# Do not modify this file!  It was generated by 'nixos-generate-config'
{ config, lib, pkgs, modulesPath, ... }:
{
  imports = [ (modulesPath + "/installer/scan/not-detected.nix") ];
  boot.initrd.availableKernelModules = [ "nvme" ];
  fileSystems."/" =
    { device = "/dev/disk/by-uuid/x";
      fsType = "ext4";
    };
  # fileSystems."/commented" = { };
  /* fileSystems."/too" = { };
  */
  fileSystems."/with space\\"".device = "x";
  boot.initrd.luks.devices."crypt".device = "/dev/x";
  boot.initrd.luks.devices = { other.device = "y"; };
  environment.etc.x.text = ''
    fileSystems."/text" = 1;
  '';
  swapDevices = [ { device = "/dev/x"; } ];
}
"""


def test_what_is_declared_already_is_found_with_its_line() -> None:
    assert [(each.line, each.option) for each in declared("x.nix", OF_NIXOS)] == [
        (6, 'fileSystems."/"'),
        (13, 'fileSystems."/with space\\""'),
        (14, "boot.initrd.luks.devices.crypt"),
        (15, "boot.initrd.luks.devices"),
        (19, "swapDevices"),
    ]


def test_no_swap_is_no_entry() -> None:
    assert list(declared("x.nix", "{\n  swapDevices = [ ];\n  fileSystemsNot.x = 1;\n}")) == []


def test_a_beginning_is_nix(tmp_path: Path) -> None:
    for name in ("hardware-configuration.nix", "pre-nixos-storage.nix"):
        (tmp_path / name).write_text("{ }")
    text = minimal(["hardware-configuration.nix", "pre-nixos-storage.nix"], release="25.05", architecture="x86_64")
    found: Any = evaluate(f'removeAttrs (({text}) {{ }}) [ "imports" ]', tmp_path)
    assert found == {"nixpkgs": {"hostPlatform": "x86_64-linux"}, "system": {"stateVersion": "25.05"}}
    assert "stateVersion belongs here" in minimal(["x.nix"])


def test_a_beginning_on_a_root_that_is_emptied_says_how_to_log_in(tmp_path: Path) -> None:
    (tmp_path / "x.nix").write_text("{ }")
    text = minimal(["x.nix"], keeper="/per${sist}")
    assert '\n  # users.users.root.hashedPasswordFile = "/per\\${sist}/root.password";\n' in text
    assert "nobody can" in text
    assert evaluate(f'removeAttrs (({text}) {{ }}) [ "imports" ]', tmp_path) == {}, "it is for a person to choose"

"""`pre-nixos generate`: writes a module beside a configuration, and nothing that is not its own."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

import pre_nixos as pn
from pre_nixos.hooks.registry import installed
from pre_nixos.model.identity import Found
from pre_nixos.render.nixos import MARK
from tests.unit.cli.desk import REGISTRY, command
from tests.unit.flow.test_apply import asleep
from tests.unit.flow.world import World
from tests.unit.policies.servers import TB, server, ssds
from tests.unit.render.nixosmodules import as_made, options_of
from tests.unit.toys import Use, disk, machine

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.desk import Ran


class Site:
    """A machine on which a system is being installed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "mnt"
        self.root.mkdir()
        self.nixos = self.root / "etc" / "nixos"
        self.layout = folder / "layout.json"
        slots = {"s": {"label": "precious", "at": ""}}
        content = {"type": "toy", "pool": "new"}
        sections = {"disk": {"main": {"device": "SERIAL-A", "content": content}}, "pool": {"new": {"slots": slots}}}
        self.layout.write_text(json.dumps(sections))
        there = machine(Found(disk("a")))
        self.world = World(there, pn.read_layout(there, str(self.layout), root=str(self.root), registry=REGISTRY))

    def generate(self, *words: str) -> Ran:
        return command("generate", "--layout", str(self.layout), "--root", str(self.root), *words, world=self.world)

    def installed(self) -> Site:
        ran = command("apply", "--layout", str(self.layout), "--root", str(self.root), "--yes", world=self.world)
        assert ran.status == 0, ran.err
        return self

    def files(self) -> dict[str, str]:
        return {each.name: each.read_text() for each in self.nixos.iterdir()} if self.nixos.exists() else {}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_it_writes_a_module_and_a_configuration_to_begin_with(site: Site) -> None:
    site.installed().world.files["/etc/os-release"] = 'ID=nixos\nVERSION_ID="25.05"\n'
    ran = site.generate()
    assert ran.status == 0, ran.err
    files = site.files()
    assert set(files) == {"configuration.nix", "pre-nixos-storage.nix"}
    assert files["pre-nixos-storage.nix"].startswith(MARK)
    assert 'system.stateVersion = "25.05";' in files["configuration.nix"]
    assert "    ./pre-nixos-storage.nix\n" in files["configuration.nix"]
    assert ran.out == f"{site.nixos}/pre-nixos-storage.nix\n{site.nixos}/configuration.nix\n"
    assert "There is no hardware-configuration.nix" in ran.complaint
    assert (site.nixos / "pre-nixos-storage.nix").stat().st_mode & 0o777 == 0o644


def test_a_second_run_changes_nothing(site: Site) -> None:
    site.installed().generate()
    before = site.files()
    (site.nixos / "configuration.nix").write_text(mine := before["configuration.nix"] + "# mine\n")
    assert site.generate().status == 0
    assert site.files() == {**before, "configuration.nix": mine}


def test_what_somebody_else_wrote_stays(site: Site) -> None:
    site.installed()
    site.nixos.mkdir(parents=True)
    (site.nixos / "pre-nixos-storage.nix").write_text("{ mine = true; }\n")
    ran = site.generate()
    assert ran.status == 1
    assert "was not written by pre-nixos. Nothing was changed." in ran.complaint
    assert site.files() == {"pre-nixos-storage.nix": "{ mine = true; }\n"}


HARDWARE = """\
{
  fileSystems."/" = { device = "/dev/disk/by-uuid/x"; };
  fileSystems."/old" = { device = "/dev/disk/by-uuid/y"; };
  swapDevices = [ ];
}
"""


def test_it_says_what_is_declared_twice_and_touches_none_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "nixos"
    folder.mkdir()
    (folder / "hardware-configuration.nix").write_text(HARDWARE)
    (folder / "configuration.nix").write_text("{ imports = [ ]; }\n")
    from pre_nixos.cli.generate import to_do
    from pre_nixos.render.configuration import declared

    found = list(declared("hardware-configuration.nix", HARDWARE))
    said = to_do(str(folder), found, ['fileSystems."/"'], new=False)
    assert said == [
        f'{folder}/hardware-configuration.nix, line 2: fileSystems."/": the module replaces it, so remove it there.',
        f'{folder}/hardware-configuration.nix, line 3: fileSystems."/old": nothing that is wanted; is it still needed?',
        "`nixos-generate-config --no-filesystems` writes hardware-configuration.nix without any of that.",
        f"{folder}/configuration.nix is yours and stays as it is: add ./pre-nixos-storage.nix to its imports.",
    ]


def test_what_is_there_already_is_named_on_the_way(site: Site) -> None:
    site.installed()
    site.nixos.mkdir(parents=True)
    (site.nixos / "hardware-configuration.nix").write_text(HARDWARE)
    (site.nixos / "configuration.nix").write_text("{ imports = [ ./pre-nixos-storage.nix ]; }\n")
    ran = site.generate("--json")
    assert ran.status == 0, ran.err
    found: dict[str, Any] = ran.json()
    assert found["written"] == [f"{site.nixos}/pre-nixos-storage.nix"]
    assert [(each["line"], each["option"]) for each in found["replaces"]] == [
        (2, 'fileSystems."/"'),
        (3, 'fileSystems."/old"'),
    ]
    assert 'line 3: fileSystems."/old"' in ran.complaint
    assert "add ./pre-nixos-storage.nix" not in ran.complaint
    assert site.files()["hardware-configuration.nix"] == HARDWARE


def test_a_machine_that_is_not_as_wanted_is_refused(site: Site) -> None:
    ran = site.generate()
    assert ran.status == 1
    assert "The machine is not as wanted" in ran.complaint
    assert "`pre-nixos apply` makes it so" in ran.complaint
    assert site.files() == {}


def test_where_something_is_closed_that_is_to_be_opened_first() -> None:
    there, _ = asleep(label="precious")
    ran = command("generate", "--output", "-", world=there)
    assert ran.status == 1
    assert ran.complaint.startswith("pre-nixos generate: Run `pre-nixos mount` first")
    assert "pool new is there but not active" in ran.complaint
    assert there.did == []


def test_a_root_that_is_not_mounted_is_not_written_to(site: Site) -> None:
    site.installed()
    site.world.graph = site.world.graph.without(each.id for each in site.world.graph.of(Use))
    ran = site.generate()
    assert ran.status == 1
    assert "is not mounted at" in ran.complaint
    assert site.files() == {}
    # To look at it, or to put it somewhere else, it need not be.
    assert site.generate("--output", "-").out.startswith(MARK)


def test_nothing_is_written_through_a_link(site: Site, tmp_path: Path) -> None:
    site.installed()
    (tmp_path / "elsewhere").mkdir()
    (site.root / "etc").symlink_to(tmp_path / "elsewhere")
    ran = site.generate()
    assert ran.status == 1
    assert "leads through a link" in ran.complaint
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_to_a_file_and_to_nothing_that_is_none(site: Site, tmp_path: Path) -> None:
    site.installed()
    path = tmp_path / "module.nix"
    assert site.generate("--output", str(path)).status == 0
    assert path.read_text().startswith(MARK)
    assert site.files() == {}
    os.mkfifo(tmp_path / "pipe")
    ran = site.generate("--output", str(tmp_path / "pipe"))
    assert "is no ordinary file" in ran.complaint


def test_a_saved_plan_says_what_is_wanted(site: Site, tmp_path: Path) -> None:
    words = ("--layout", str(site.layout), "--root", str(site.root))
    saved = tmp_path / "plan.json"
    saved.write_text(command("plan", *words, "--json", world=site.world).out)
    site.installed()
    ran = command("generate", "--plan", str(saved), "--output", "-", world=site.world)
    assert (ran.status, ran.out) == (0, site.generate("--output", "-").out)


def recorded(folder: Path) -> str:
    there = server(ssds(TB, TB))
    made = as_made(there, pn.propose(there, "impermanence", {"mirror": 2}).graph)
    path = folder / "machine.json"
    path.write_bytes(pn.dump_machine(made))
    return str(path)


def test_for_a_machine_elsewhere_it_is_only_shown(tmp_path: Path) -> None:
    words = ("generate", "--machine", recorded(tmp_path), "--policy", "impermanence", "--mirror", "2")
    ran = command(*words, "--output", "-", registry=installed())
    assert ran.status == 0, ran.err
    assert "pre-nixos-rollback" in ran.out
    assert options_of(ran.out, tmp_path)["fileSystems"]["/boot-2"]["fsType"] == "vfat"
    assert "/persist/etc/nixos" in ran.complaint
    refused = command(*words, registry=installed())
    assert refused.status == 2
    assert "is not this machine" in refused.complaint

"""The Nix files: they parse, their options are those of the policies, and the module makes of settings what it should.

Without nixpkgs this is evaluated with `lib.nix`, a stand-in that shows that the module hangs together. With
PRE_NIXOS_NIXPKGS=/path, a directory with nixpkgs' `lib/` in it, the same is evaluated with the real one too, and both
must come to the same.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.cli.parser import Parser
from pre_nixos.cli.policy import add_options, given
from pre_nixos.flow.propose import find_policy, read_options
from pre_nixos.hooks.calls import Calls
from pre_nixos.render.options import options_schema
from tests.unit.nix.units import evaluated, nix, unit
from tests.unit.test_schemas import built_in

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
POLICIES = ROOT / "nix/policies.json"
LIBRARIES = ["", *filter(None, [os.environ.get("PRE_NIXOS_NIXPKGS")])]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@desk"


def full() -> Any:
    return json.loads((HERE / "full.json").read_text())


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.nix"), *ROOT.glob("nix/*.nix")]), ids=lambda path: path.name)
def test_every_file_parses(path: Path) -> None:
    ran = nix("--parse", str(path))
    assert ran.returncode == 0, ran.stderr


def test_the_options_are_those_of_the_policies() -> None:
    found = json.dumps(options_schema(Calls(built_in()).policies()), indent=1) + "\n"
    assert POLICIES.read_text() == found, "write them anew with: python -m tests.unit.nix.test_module"


def command(made: Any, service: str) -> list[str]:
    """The words a service starts the program with, as systemd takes them apart."""
    start = made["systemd"]["services"][service]["serviceConfig"]["ExecStart"]
    program, *words = shlex.split(start)
    assert program.endswith("/bin/pre-nixos")
    return [each.replace("%%", "%").replace("$$", "$") for each in words]


@pytest.mark.parametrize("library", LIBRARIES)
def test_settings_become_what_the_services_run(library: str, tmp_path: Path) -> None:
    made = evaluated(full(), tmp_path, library=library)
    assert made["problems"] == made["warnings"] == []
    assert command(made, "pre-nixos-lan") == ["lan", "--wait=30", "--mac=52:54:00:12:34:56"]
    assert command(made, "pre-nixos-announce") == ["announce", "--status-dir=/run/provisioning"]
    auto, *words = command(made, "pre-nixos-storage")
    assert auto == "auto"
    assert words[:5] == [
        "--status-dir=/run/provisioning",
        "--log-dir=/var/log/provisioning",
        "--apply",
        "--jobs=12",
        "--policy=tiered",
    ]
    assert options_in("tiered", words[5:]) == {
        "careful": True,
        "disks": ["S4X2NX0R", "BTHH8231"],
        "free_extents": "4",
        "slash": "80GiB",
        "tolerance": "2.500000",
    }
    assert made["users"]["users"]["root"]["openssh"]["authorizedKeys"]["keys"] == [KEY]
    assert made["openssh"]["settings"]["PasswordAuthentication"] is False
    assert made["boot"]["kernelParams"] == ["console=ttyS1,57600n8", "console=tty0"]


def options_in(policy: str, words: list[str]) -> Mapping[str, object]:
    """The options of a policy as the program reads them on its command line."""
    parser = Parser("plan", "")
    parser.add_argument("--policy")
    add_options(parser, find_policy(policy, registry=built_in()))
    arguments, rest = parser.parse_known_args(words)
    assert not rest
    return given(arguments)


def other_than(schema: dict[str, Any]) -> object:
    """A value an option may have, and does not have by itself."""
    default = schema["default"]
    if "enum" in schema or "anyOf" in schema:
        choices = schema.get("enum") or schema["anyOf"][0].get("enum") or [7]
        return next(each for each in choices if each != default)
    match schema["type"]:
        case "boolean":
            return not default
        case "array":
            return ["one=%h $HOME", 'two "quoted"']
        case "string":
            return default + r" 50% $x \ 'y'"
        case _:
            return schema.get("minimum", default + 1) if default != schema.get("minimum") else default + 1


@pytest.mark.parametrize("name", json.loads(POLICIES.read_text()))
def test_every_option_reaches_its_policy_to_the_letter(name: str, tmp_path: Path) -> None:
    schemas = json.loads(POLICIES.read_text())[name]["options"]
    chosen = {option: other_than(schema) for option, schema in schemas.items()}
    made = evaluated({"enable": True, "policy": name, "policies": {name: chosen}}, tmp_path)
    policy = find_policy(name, registry=built_in())
    words = command(made, "pre-nixos-storage")
    assert read_options(policy, options_in(name, words[words.index(f"--policy={name}") :])) == read_options(
        policy, chosen
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_little_happens_by_itself(library: str, tmp_path: Path) -> None:
    made = evaluated({"enable": True}, tmp_path, library=library)
    assert command(made, "pre-nixos-storage")[3:] == ["--policy=tiered"]
    assert set(made["systemd"]["services"]) == {"pre-nixos-storage"}
    assert made["openssh"] == {}
    off = evaluated({"rootKeys": [KEY], "lan": {"enable": True}}, tmp_path, library=library)
    assert off["systemd"]["services"] == off["users"]["users"] == {}


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_boot_waits_for_nothing_of_it(library: str, tmp_path: Path) -> None:
    services = evaluated(full(), tmp_path, library=library)["systemd"]["services"]
    assert set(services) == {"pre-nixos-announce", "pre-nixos-lan", "pre-nixos-storage"}
    for each in services.values():
        assert each["wantedBy"] == ["multi-user.target"]
        assert each["unitConfig"]["DefaultDependencies"] is False
        assert each["before"] == each["conflicts"] == ["shutdown.target"]
        assert not {"requiredBy", "requires", "wants"} & set(each)
        assert not [unit for unit in each["after"] if "online" in unit or "settle" in unit]
        assert each["serviceConfig"]["Type"] == "oneshot"
        assert each["serviceConfig"]["TimeoutStartSec"]
        assert each["restartIfChanged"] is False


def test_what_mounts_has_no_mounts_of_its_own(tmp_path: Path) -> None:
    storage = evaluated(full(), tmp_path)["systemd"]["services"]["pre-nixos-storage"]["serviceConfig"]
    assert not [
        name for name in storage if name.startswith(("Private", "Protect", "ReadWrite", "ReadOnly", "Bind", "Device"))
    ]


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    services = evaluated(full(), tmp_path)["systemd"]["services"]
    files = [tmp_path / f"{name}.service" for name in services]
    for file, each in zip(files, services.values(), strict=True):
        file.write_text(unit(each, "/bin/true"))
    verify = ["systemd-analyze", "verify", "--man=no", *map(str, files)]
    ran = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=60)
    ours = [line for line in (ran.stdout + ran.stderr).splitlines() if "pre-nixos" in line]
    assert not ours


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an option that is misspelt": ({"policies": {"tiered": {"carefull": True}}}, "tiered.carefull' does not exist"),
    "an option of another type": ({"policies": {"tiered": {"careful": "yes"}}}, "careful' is not of type `boolean'"),
    "a number that is too large": ({"policies": {"tiered": {"tolerance": 51}}}, "number from 0 to 50'"),
    "a number that is too small": ({"policies": {"impermanence": {"mirror": 0}}}, "integer, at least 1'"),
    "what is no choice": ({"policies": {"tiered": {"filesystem": "btrfs"}}}, '"ext4"'),
    "a setting that is misspelt": ({"autoapply": True}, "services.pre-nixos.autoapply' does not exist"),
    "no job at all": ({"jobs": 0}, "positive integer"),
    "a directory that is none": ({"statusDir": "run/x y"}, "absolute path of letters, digits and . _ -"),
    "a MAC address that is none": ({"lan": {"enable": True, "mac": "5254"}}, "MAC address such as 52:54:00:12:34:56"),
    "words for the kernel": ({"serialConsole": "ttyS0 init=/bin/sh"}, "string matching the pattern tty"),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_of_the_wrong_type_makes_no_system(case: str, library: str, tmp_path: Path) -> None:
    settings, said = REFUSED[case]
    message = evaluated({"enable": True, **settings}, tmp_path, library=library)
    assert isinstance(message, str)
    assert said in message


OBJECTED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown policy": ({"policy": "tierd"}, ["there is no policy tierd; there are impermanence, single, tiered"]),
    "a policy and a layout": ({"policy": "tiered", "layout": "/x"}, ["either services.pre-nixos.policy (tiered) or"]),
    "neither": ({"policy": None}, ["nothing says what should be on the disks"]),
    "a disk nobody knows what for": ({"layout": "/x", "targets": ["a"]}, ["such as main=S4X2NX0R; these do not: a."]),
    "disks that are named twice, and not alike": (
        {"policies": {"tiered": {"disks": ["OTHER"]}}, "targets": ["S1"]},
        ["services.pre-nixos.policies.tiered.disks name different disks"],
    ),
    "a list that cannot be emptied": (
        {"policy": "impermanence", "policies": {"impermanence": {"subvolumes": []}}},
        ["policies.impermanence.subvolumes: an empty list is as good as none said"],
    ),
    "keys": (
        {
            "rootKeys": [
                KEY,
                "-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET",
                "",
                "ssh-ed25519 garbage",
                KEY + "\n",
                KEY.replace("ssh-ed25519", "ssh-rsa"),
                "ssh-dss AAAAB3NzaC1kc3MAAACBAMVuYqx03cUBLeYbiMlfDdi me@desk",
                f'from="10.0.0.0/8",no-pty {KEY}',
            ]
        },
        [
            "entry 2 is a private key, which belongs on no other machine",
            "entry 3 is empty",
            "entry 4 is no public SSH key",
            "entry 5 is several lines",
            "entry 6 is no public SSH key",
            "entry 7 is a DSA key",
        ],
    ),
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("case", OBJECTED)
def test_what_cannot_be_is_said_in_words(case: str, library: str, tmp_path: Path) -> None:
    settings, said = OBJECTED[case]
    problems = evaluated({"enable": True, **settings}, tmp_path, library=library)["problems"]
    assert len(problems) == len(said)
    assert all(words in problem for problem, words in zip(problems, said, strict=True)), problems
    assert "SECRET" not in str(problems)


def test_a_policy_of_a_plugin_takes_any_option(tmp_path: Path) -> None:
    made = evaluated(
        {"enable": True, "policy": "database", "policies": {"database": {"replicas": 3, "disks": ["a"]}}}, tmp_path
    )
    assert made["problems"] == []
    assert ["policies.database: no policy of this name" in each for each in made["warnings"]] == [True]
    assert command(made, "pre-nixos-storage")[3:] == ["--policy=database", "--disks=a", "--replicas=3"]
    named = evaluated(
        {"enable": True, "policy": "database", "policies": {"database": {}}, "targets": ["a", "b"]}, tmp_path
    )
    assert named["problems"] == []
    assert command(named, "pre-nixos-storage")[3:] == ["--policy=database", "--disks=a", "--disks=b"]


def test_a_layout_that_is_known_is_checked_when_the_system_is_built(tmp_path: Path) -> None:
    made = evaluated({"enable": True, "layout": {"disk": {}}, "targets": ["main=S4X2NX0R"]}, tmp_path)
    (check,) = made["system"]["checks"]
    layout, disk = command(made, "pre-nixos-storage")[3:]
    assert f"pre-nixos plan --check-layout {layout.removeprefix('--layout=')}" in check["text"]
    assert disk == "--disk=main=S4X2NX0R"
    assert evaluated({"enable": True, "layout": "/etc/layout.json"}, tmp_path)["system"]["checks"] == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_image_without_a_key_warns(library: str, tmp_path: Path) -> None:
    image = ROOT / "nix/iso.nix"
    without = evaluated({}, tmp_path, image, library)
    assert ["no root key, so nobody gets into it over the network" in each for each in without["warnings"]] == [True]
    assert without["openssh"]["settings"]["PasswordAuthentication"] is False
    assert without["networking"]["networkmanager"]["enable"] is False
    file = tmp_path / "id.pub"
    file.write_text(f"# mine\n{KEY}\n\n")
    for said in (KEY, str(file)):
        made = evaluated({}, tmp_path, image, library, PRE_NIXOS_ROOT_KEY=said)
        assert made["warnings"] == made["problems"] == []
        assert made["users"]["users"]["root"]["openssh"]["authorizedKeys"]["keys"] == [KEY]
    wrong = evaluated({}, tmp_path, image, library, PRE_NIXOS_ROOT_KEY="-----BEGIN OPENSSH PRIVATE KEY-----")
    assert "is a private key" in wrong["problems"][0]


def test_what_the_package_puts_in_is_there_to_be_replaced() -> None:
    patches = re.findall(
        r"substituteInPlace (\S+) \\\n\s*--replace-fail '([^']*)'", (ROOT / "nix/package.nix").read_text()
    )
    assert len(patches) == 2
    for path, before in patches:
        assert (ROOT / path).read_text().count(before) == 1, path


def test_the_flake_gives_what_it_should() -> None:
    ran = nix("--eval", "--strict", "--json", str(HERE / "flake.nix"))
    assert ran.returncode == 0, ran.stderr
    flake = json.loads(ran.stdout)
    for system in ("x86_64-linux", "aarch64-linux"):
        assert set(flake["packages"][system]) == {"default", "iso"}
        assert flake["checks"][system]["tiered"]["name"] == "pre-nixos-tiered"
        assert set(flake["devShells"][system]) == {"default"}
    assert set(flake["nixosConfigurations"]) == {"iso", "iso-aarch64"}
    assert {"config", "lib", "pkgs"} <= set(flake["nixosModules"]["default"])


def test_what_the_test_machine_is_told_can_be_told() -> None:
    script = json.loads(nix("--eval", "--strict", "--json", str(HERE / "flake.nix")).stdout)["checks"]["x86_64-linux"]
    compile(script["tiered"]["testScript"], "test.nix", "exec")
    told = [words.split() for words in re.findall(r'"pre-nixos ([^">]*)', script["tiered"]["testScript"])]
    assert {words[0] for words in told} == {"plan", "apply", "verify", "unmount", "mount"}
    for name, *words in told:
        parser = Parser(name, "")
        import_module(f"pre_nixos.cli.{name}").declare(parser)
        add_options(parser, find_policy("tiered", registry=built_in()))
        assert not parser.parse_known_args(words)[1]


@pytest.mark.parametrize("settings", [{"enable": True}, full(), {"enable": True, "layout": "/etc/layout.json"}])
def test_every_library_comes_to_the_same(settings: Any, tmp_path: Path) -> None:
    first, *others = (evaluated(settings, tmp_path, library=library) for library in LIBRARIES)
    assert isinstance(first, dict)
    assert all(each == first for each in others)


if __name__ == "__main__":
    POLICIES.write_text(json.dumps(options_schema(Calls(built_in()).policies()), indent=1) + "\n")

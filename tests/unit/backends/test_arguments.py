"""Further arguments say how something is made, and lead to nothing but what it stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import filesystems
from pre_nixos.backends.arguments import Tool, faults, harmless
from pre_nixos.backends.btrfs.kinds import OPTIONS as BTRFS
from pre_nixos.backends.btrfs.kinds import Btrfs
from pre_nixos.backends.dmcrypt.further import MAKING, OPENING
from pre_nixos.backends.dmcrypt.kinds import Luks
from pre_nixos.backends.filesystems import Filesystem
from pre_nixos.plugin import Found, Node, Run
from tests.unit.layouts.cases import layout
from tests.unit.toys import disk, machine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pre_nixos.plugin import Layer, Plan

EXT4, XFS, VFAT = (filesystems.OPTIONS[each] for each in ("ext4", "xfs", "vfat"))
TOOLS: Mapping[str, Tool] = {
    "ext4": EXT4,
    "xfs": XFS,
    "vfat": VFAT,
    "btrfs": BTRFS,
    "luksFormat": MAKING,
    "open": OPENING,
}
FINE = [
    *[("ext4", each) for each in ("-m 1", "-m1", "-vb 4096", "-O ^has_journal,quota", "-J size=64", "-c -c")],
    *[("ext4", each) for each in ("-E lazy_itable_init=0,stride=16", "--new=thing", "")],
    *[("xfs", each) for each in ("-K", "-l size=64m", "-d agcount=8,su=64k", "-m crc=1,uuid=0-1", "-qs size=4096")],
    *[("vfat", each) for each in ("-F 32", "-F32 -s 8", "-a", "--codepage=437", "--codepage 437")],
    *[("btrfs", each) for each in ("--csum xxhash", "--csum=xxhash", "-O block-group-tree", "-K --mixed", "-n 16k")],
    *[("luksFormat", each) for each in ("--integrity hmac-sha256", "--luks2-keyslots-size=1m", "-S 3", "-yS3")],
    *[("open", each) for each in ("--timeout 10", "--perf-same_cpu_crypt", "--device-size 5", "--tries=1")],
]
REFUSED = [
    *[("ext4", each) for each in ("/dev/sdb", "sdb", "-F sdb", "-m 1 100", "-J device=sdb", "-J size=4,device=x")],
    *[("ext4", each) for each in ("-J device=UUID=0-1", "-O journal_dev", "-qOquota,journal_dev", "-vJ device=sdb")],
    *[("ext4", each) for each in ("-z undo", "-d root", "-qz undo", "-b", "-b -q", "-", "--", "-M/x", "-L a/b")],
    *[("xfs", each) for each in ("-l logdev=sdb", "-llogdev=sdb", "-r rtdev=sdb", "-d name=sdb", "-l name=sdb")],
    *[
        ("xfs", each)
        for each in ("-d file=1,name=x", "-p proto", "-c options=x", "-N sdb", "-l size=4m,logdev=LABEL=x")
    ],
    *[("vfat", each) for each in ("-F 32 32", "-a 1000", "-C 100", "-l bad", "--invariant sdb", "--mbr y")],
    *[("btrfs", each) for each in ("//dev/sdb", "./x", "sdb", "-K sdb", "-- sdb", "--rootdir x", "--root=x", "-r x")],
    *[("luksFormat", each) for each in ("/dev/sdb", "disk", "--batch-mode sdb", "-q sdb", "--header h", "--header=h")],
    *[("luksFormat", each) for each in ("--key-file=x", "-d x", "-dx", "-qdx", "--type plain", "-M plain", "--label")],
    *[("luksFormat", each) for each in ("--newer PARTUUID=1", "--newer=PARTLABEL=x", "--newer-dev=sdb")],
    *[("open", each) for each in ("-- sdb", "--header h", "--key-file=/x", "--volume-key-file k", "--type=plain")],
]


@pytest.mark.parametrize(("tool", "words"), FINE)
def test_what_says_how(tool: str, words: str) -> None:
    assert not list(faults(words.split(), TOOLS[tool]))
    assert harmless(tuple(words.split()), TOOLS[tool]) == tuple(words.split())


@pytest.mark.parametrize(("tool", "words"), REFUSED)
def test_what_leads_elsewhere(tool: str, words: str) -> None:
    assert list(faults(words.split(), TOOLS[tool]))
    assert harmless(tuple(words.split()), TOOLS[tool]) == ()


def test_what_is_wrong_is_said_once_and_all_of_it() -> None:
    assert list(faults(["--header", "/run/h", "-S", "x/y", "z", "--label"], MAKING)) == [
        f"--header: {MAKING.refused['--header']}",
        "'-S x/y' names a file or a device, and only what it stands on may be read or written",
        "'z' is the value of no option, so cryptsetup would take it for a device or a file",
        "--label takes a value, and there is none",
    ]


@pytest.mark.parametrize("words", ["--key-file=hunter2", "--key-file hunter2", "-dhunter2", "-q -d hunter2"])
def test_what_may_be_a_secret_is_not_repeated(words: str) -> None:
    assert "hunter2" not in " ".join(faults(words.split(), MAKING))


def layer(tool: str, words: tuple[str, ...]) -> Layer:
    match tool:
        case "luksFormat":
            return Luks(mapper="x", keys=("prompt:",), arguments=words)
        case "open":
            return Luks(mapper="x", keys=("prompt:",), open_arguments=words)
        case "btrfs":
            return Btrfs(arguments=words)
        case _:
            return Filesystem(type=tool, arguments=words)


def planned(wish: Layer) -> Plan:
    there = machine(Found(disk("a", size=1 << 30)))
    draft = pn.Draft(there, take=there.all_disks)
    draft.add(wish, on=list(there.all_disks))
    return pn.schedule(there, draft.wanted())


@pytest.mark.parametrize(("tool", "words"), REFUSED)
def test_drafts_are_objected_to_and_no_program_is_given_it(tool: str, words: str) -> None:
    plan = planned(layer(tool, tuple(words.split())))
    assert plan.objections
    assert runs(plan) == runs(planned(layer(tool, ())))


@pytest.mark.parametrize(("tool", "words"), FINE)
def test_what_says_how_is_given_behind_the_device(tool: str, words: str) -> None:
    plan = planned(layer(tool, tuple(words.split())))
    assert not plan.objections
    program = {"luksFormat": "cryptsetup", "open": "cryptsetup"}.get(tool, f"mkfs.{tool}")
    action = {"luksFormat": "luksFormat", "open": "open"}.get(tool, program)
    (argv,) = [each for each in runs(plan) if each[0] == program and action in each]
    at = next(position for position, word in enumerate(argv) if isinstance(word, Node))
    assert argv[at + 1 : at + 1 + len(words.split())] == tuple(words.split())


def runs(plan: Plan) -> list[tuple[object, ...]]:
    return [step.argv for action in plan.actions for step in action.steps if isinstance(step, Run)]


def test_a_saved_plan_is_objected_to_again(tmp_path: Path) -> None:
    there = machine(Found(disk("a", size=1 << 30)))
    plan = planned(Luks(mapper="x", keys=("prompt:",), arguments=("-q",)))
    file = tmp_path / "plan.json"
    file.write_bytes(pn.dump_plan(plan).replace(b'"-q"', b'"/dev/sdb"'))
    saved = pn.load_plan(str(file))
    assert not saved.objections
    assert "'/dev/sdb' is the value of no option" in str(pn.schedule(there, saved.wanted).objections[0])


@pytest.mark.parametrize(("type_", "said", "left"), [("vfat", "-F 32", "-F 32"), ("ext4", "-F", ""), ("xfs", "-f", "")])
def test_forcing_is_another_option_of_each_maker(type_: str, said: str, left: str, tmp_path: Path) -> None:
    content = {"type": "filesystem", "format": type_, "extraArgs": said.split()}
    there = machine(Found(disk("a", size=1 << 30)))
    (at,) = (each.wwn for each in there.all_disks)
    wanted = pn.read_layout(there, layout(tmp_path, {"disk": {"a": {"device": at, "content": content}}}))
    assert [each.arguments for each in wanted.graph.of(Filesystem)] == [tuple(left.split())]

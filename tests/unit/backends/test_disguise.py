"""A recording with pseudonyms says of a machine what the machine says, and nothing of whose it is."""

from __future__ import annotations

import base64
import json
import lzma
import random
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pytest

from pre_nixos.backends import btrfs, dmcrypt, dos, filesystems, gpt
from pre_nixos.backends.dmcrypt.header import second_version
from pre_nixos.backends.gpt import SCRATCH
from pre_nixos.backends.superblocks import size_of
from pre_nixos.flow.blank import blank
from pre_nixos.flow.looking import look
from pre_nixos.flow.schedule import schedule
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import Registry, installed
from pre_nixos.host.pieces import Pieces
from pre_nixos.host.pseudonyms import Pseudonyms, pseudonymise
from pre_nixos.host.questions import BlockNodes, Bytes, Command, Contents, Ran, ReadAt, ReadBlockNodes, Signature
from pre_nixos.host.record import Recorder, Recording
from pre_nixos.host.replay import Replay
from pre_nixos.host.survey import Memo
from pre_nixos.model.codec import encode
from pre_nixos.model.identity import resolve
from pre_nixos.model.layer import Health
from pre_nixos.plugin import MIB
from tests.unit.backends.canned import Canned, disk, part
from tests.unit.backends.gpt.bytes import DISK, ESP, Device, entry
from tests.unit.backends.test_uses import PLUGINS as USES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pre_nixos.host.questions import Question
    from pre_nixos.model.machine import Machine

CASES = Path(__file__).parents[1] / "cases"
KEY = b"key"
PLUGINS = {"btrfs": btrfs, "dmcrypt": dmcrypt, **USES}
LAB = sorted([*CASES.glob("uses/probe/*.json"), *CASES.glob("dmcrypt/probe/*.json")])
ALONE = {
    "dmcrypt": {"dmcrypt": dmcrypt},
    "uses": USES,
}
"""The plugins that the machines were recorded for."""
SHOW = Calls(Registry(PLUGINS)).disguise
OWN = "d0e1f2a3-b4c5-46d7-88e9-fa0b1c2d3e4f"
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
CLOSED = "dddddddd-1111-4222-8333-444444444444"


class Image:
    """The pieces of a device that were read once."""

    def __init__(self, pieces: Mapping[int, bytes]) -> None:
        self.pieces = pieces

    def read(self, offset: int, length: int) -> bytes:
        return self.pieces.get(offset, b"")[:length]


def luks(case: str, number: str) -> dict[int, bytes]:
    """Real headers, by where they were."""
    written = json.loads((CASES / "dmcrypt" / "probe" / case).read_text())
    recording = Recording.from_json(json.dumps(written["machine"]))
    found = {
        pair.question.offset: pair.decoded()
        for pair in recording.pairs
        if isinstance(pair.question, ReadAt) and pair.question.number == number
    }
    return {offset: answer.data for offset, answer in found.items() if isinstance(answer, Bytes)}


def trees(name: str) -> tuple[list[Any], dict[str, Any], dict[str, Image]]:
    """Nodes, signatures and devices of a machine with real btrfs."""
    written = json.loads(lzma.decompress((CASES / "btrfs" / "trees" / name).read_bytes()))
    contents = msgspec.convert(written["contents"], Contents).devices
    images = {
        number: Image({int(offset): base64.b64decode(data) for offset, data in pieces.items()})
        for number, pieces in written["reads"].items()
    }
    nodes = list(msgspec.convert(written["nodes"], BlockNodes).nodes)
    return nodes, {each.number: list(each.signatures) for each in contents}, images


def guid(number: int) -> str:
    """The GUID of a partition, which differs from its bytes in either order."""
    return str(UUID(int=number << 96 | 0xABCDEF0123456789))


class Computer(Canned):
    """A machine that has none of the programs either."""

    def ask(self, question: Question[Any]) -> Any:
        return Ran(status=-1, error="missing") if isinstance(question, Command) else super().ask(question)


def computer() -> Computer:
    """GPT with an ESP, LUKS of either version and something forgotten; btrfs over two disks and more; an old MBR."""
    nodes, signatures, devices = trees("nested-degraded-copied_btrfs-progs-6.2.json.xz")
    closed = "open-closed-plain-orphan_cryptsetup-2.6.1.json"
    size = 256 * MIB
    places = [(1, 63), (64, 100), (100, 140), (140, 200)]
    kinds = [(ESP, "EFI"), (LINUX, OWN), (LINUX, ""), (SCRATCH, "Ärger")]
    entries = {
        number: entry(type_, guid(number), first * 2048, last * 2048 - 1, label)
        for number, ((first, last), (type_, label)) in enumerate(zip(places, kinds, strict=True), 1)
    }
    parts = [
        msgspec.structs.replace(
            part("sdy", f"65:{number}", number, first * MIB, (last - first) * MIB),
            udev={"ID_PART_ENTRY_TYPE": kinds[number - 1][0], "ID_PART_ENTRY_UUID": guid(number)},
        )
        for number, (first, last) in enumerate(places, 1)
    ]
    old = Device(size)
    old.bytes[440:444] = bytes.fromhex("c0ffee42")
    old.bytes[446:462] = struct.pack("<B3xB3xII", 0x80, 0x83, 2048, 100 * 2048)
    old.bytes[462:478] = struct.pack("<B3xB3xII", 0, 0x82, 120 * 2048, 10 * 2048)
    old.bytes[510:512] = b"\x55\xaa"
    ext = bytearray(4096)
    struct.pack_into("<I", ext, 1024 + 4, 60 * MIB // 4096)
    struct.pack_into("<I", ext, 1024 + 0x18, 2)
    ext[1024 + 0x38 : 1024 + 0x3A] = b"\x53\xef"
    ext[1024 + 0x68 : 1024 + 0x78] = UUID(OWN).bytes
    nodes += [
        disk("sdy", "65:0", size, **{"device/serial": "WD-0123456789", "device/wwid": "naa.50014ee2b5f0a1c3"}),
        *parts,
        disk("sdz", "65:16", size, serial="CAFE0042X"),
        part("sdz", "65:17", 1, MIB, 100 * MIB),
        part("sdz", "65:18", 2, 120 * MIB, 10 * MIB),
    ]
    signatures |= {
        "65:0": [Signature(type="gpt", usage="table", uuid=DISK)],
        "65:1": [Signature(type="vfat", usage="filesystem", uuid="1A2B-3C4D", label="EFI")],
        "65:2": [Signature(type="crypto_LUKS", usage="crypto", uuid=CLOSED, version="2")],
        "65:3": [Signature(type="crypto_LUKS", usage="crypto", uuid=OWN[::-1], version="1")],
        "65:16": [Signature(type="dos", usage="table", uuid="c0ffee42")],
        "65:17": [Signature(type="ext4", usage="filesystem", uuid=OWN, label="old")],
    }
    images: dict[str, Any] = {
        **devices,
        "65:0": Device(size).partitioned(entries),
        "65:2": Image(luks(closed, "8:0")),
        "65:3": Image(luks(closed, "8:16")),
        "65:16": old,
        "65:17": Image({0: bytes(ext)}),
    }
    return Computer(nodes, signatures, images, noise={"65:4"})


@pytest.fixture(scope="module")
def recorded() -> tuple[Recording, Machine]:
    recorder = Recorder(computer())
    look(recorder, installed())
    return recorder.recording(), look(Replay(recorder.recording()), installed())


@pytest.fixture(scope="module")
def disguised(recorded: Any) -> Recording:
    return pseudonymise(recorded[0], KEY, Calls(installed()).disguise)


def in_disguise(recording: Recording, document: bytes) -> Any:
    return Pseudonyms(recording, KEY).tree(json.loads(document))


def test_the_machine_is_the_same_but_for_what_identifies(recorded: Any, disguised: Recording) -> None:
    recording, machine = recorded
    again = look(Replay(disguised), installed())
    found = json.loads(encode(again, format="machine"))
    assert found == in_disguise(recording, encode(machine, format="machine"))
    told = {layer.kind for layer in again.graph.layers()}
    assert {"gpt.partition", "luks", "crypt-plain", "btrfs.subvolume", "dos.partition", "filesystem"} <= told
    sound = [each for each in again.graph.layers() if each.kind in {"gpt", "dos", "luks"}]
    assert len(sound) == 4
    assert {each.health for each in sound} == {Health.OK}


def test_bytes_and_words_have_the_same_pseudonyms(disguised: Recording) -> None:
    replay = Replay(disguised)
    nodes = {each.name: each for each in replay.ask(ReadBlockNodes()).nodes}
    there = {each.device.name: each for each in look(replay, installed()).graph.of(gpt.Partition) if each.device}
    said = {name: each.udev.get("ID_PART_ENTRY_UUID", "") for name, each in nodes.items() if name in there}
    assert {name: each.uuid for name, each in there.items()} == said
    assert len(said) == 4
    first = there["sdy2"]
    assert first.label not in {OWN, None}
    assert nodes["sda"].udev["ID_FS_UUID"] in {each.uuid for each in look(replay, installed()).graph.of(btrfs.Btrfs)}


def test_the_plan_is_the_same_but_for_what_identifies(recorded: Any, disguised: Recording) -> None:
    recording, machine = recorded
    other = Pseudonyms(recording, KEY).text
    again = look(Replay(disguised), installed())
    before, after = (schedule(each, blank(each, each.all_disks), registry=installed()) for each in (machine, again))
    assert not before.objections
    assert not after.objections
    assert len(before.actions) >= 4
    assert [(each.verb, each.target, each.summary) for each in after.actions] == [
        (each.verb, other(each.target), other(each.summary)) for each in before.actions
    ]
    assert {id_: each.fate for id_, each in after.reasons.items()} == {
        other(id_): each.fate for id_, each in before.reasons.items()
    }


def forms(identifier: str) -> Iterator[bytes]:
    yield identifier.lower().encode()
    yield identifier.replace("-", "").lower().encode()
    if len(identifier) == 36:
        yield UUID(identifier).bytes
        yield UUID(identifier).bytes_le


def test_nothing_that_identifies_is_left_in_any_form(recorded: Any, disguised: Recording) -> None:
    recording, machine = recorded
    private = {OWN, CLOSED, "naa.50014ee2b5f0a1c3", "c0ffee42", "WD-0123456789", "CAFE0042X", "1A2B-3C4D"}
    private |= {each.uuid for each in machine.graph.layers() if len(getattr(each, "uuid", None) or "") == 36}
    private |= {guid(number) for number in range(1, 5)}
    every = {form for each in private if each != OWN[::-1] for form in forms(each)}
    assert len(private) > 12

    def left(text: Recording) -> set[bytes]:
        pairs = json.loads(text.to_json())["pairs"]
        read = [base64.b64decode(each["answer"].get("data", "")) for each in pairs if "data" in each["answer"]]
        # In bytes, text is written as it is or with two bytes each.
        seen = [text.to_json().lower(), *read, *(each.lower() for each in read)]
        seen += [each.replace(b"\0", b"").lower() for each in read]
        return {each for each in every if any(each in some for some in seen)}

    assert len(left(recording)) > len(private), "what is not there cannot be missed"
    assert not left(disguised)


def test_secrets_of_luks_are_gone(disguised: Recording) -> None:
    read = b"".join(
        base64.b64decode(each["answer"].get("data", "")) for each in json.loads(disguised.to_json())["pairs"]
    )
    assert b"LUKS\xba\xbe\0\2" in read
    assert b"LUKS\xba\xbe\0\1" in read
    for word in (b"salt", b"digest", b"hash", b"token", b"area"):
        assert word not in read


@pytest.mark.parametrize("case", LAB, ids=lambda path: path.stem)
def test_what_was_recorded_in_the_lab_is_found_again(case: Path) -> None:
    recording = Recording.from_json(json.dumps(json.loads(case.read_text())["machine"]))
    plugins = ALONE[case.parent.parent.name]

    def found(recording: Recording) -> Any:
        calls = Calls(Registry(plugins))
        return [
            (json.loads(msgspec.json.encode(each.layer)), [(ref.number, ref.kind, ref.uuid) for ref in each.on])
            for each in calls.probe(Memo(Replay(recording)))
        ]

    again = found(pseudonymise(recording, KEY, SHOW))
    before = json.dumps(found(recording)).encode()
    assert sorted(json.loads(json.dumps(again)), key=repr) == sorted(in_disguise(recording, before), key=repr)


def test_seeds_are_found_again() -> None:
    recorder = Recorder(Canned(*trees("grown-from-seeds_btrfs-progs-6.2.json.xz")))
    before = resolve(Calls(Registry(PLUGINS)).probe(Memo(recorder)))
    recording = recorder.recording()
    after = resolve(Calls(Registry(PLUGINS)).probe(Memo(Replay(pseudonymise(recording, KEY, SHOW)))))
    other = Pseudonyms(recording, KEY).text
    expected = {other(id_): {other(on) for on in before.on(id_)} for id_ in before}
    assert {id_: {*after.on(id_)} for id_ in after} == expected
    assert len(before) > 12
    assert {each.health for each in after.layers()} == {Health.OK}


@pytest.mark.parametrize("seed", range(40))
def test_trees_that_are_damaged_are_followed_no_further_than_before(seed: int) -> None:
    """What nobody read on the machine is not in the recording: whoever goes elsewhere finds nothing at all."""
    some = random.Random(seed)  # noqa: S311 - examples, not secrets
    nodes, signatures, images = trees("grown-from-seeds_btrfs-progs-6.2.json.xz")
    for image in images.values():
        for offset, piece in image.pieces.items():
            data = bytearray(piece)
            data[some.choice([0x60, 0x64, *range(0x65, 0x200), *range(0x32B, 0x420)])] = some.randrange(256)
            image.pieces = {**image.pieces, offset: bytes(data)}
    recorder = Recorder(Canned(nodes, signatures, images))
    before = [each for each in btrfs.find(Memo(recorder)) if isinstance(each.layer, btrfs.Btrfs)]
    shown = pseudonymise(recorder.recording(), KEY, SHOW)
    after = [each for each in btrfs.find(Memo(Replay(shown))) if isinstance(each.layer, btrfs.Btrfs)]
    assert [each.on[0] for each in after] == [each.on[0] for each in before]


def test_what_says_nothing_of_encryption_is_not_shown() -> None:
    for text in (b"{}", b"nonsense", b'{"segments":{},"keyslots":[]}', b"[" * 5000):
        data = text.ljust(12288, b"\0")
        pieces = Pieces({0: b"LUKS\xba\xbe\0\2".ljust(4096, b"\1"), 4096: data})
        shown = dmcrypt.without_salts(pieces, str)
        assert second_version(shown[4096]) == second_version(data)
        assert not any(shown[4096])


def test_a_superblock_of_xfs_says_how_large_it_is() -> None:
    data = b"XFSB" + struct.pack(">IQ", 4096, 1000) + b"\7" * 4080
    (shown,) = filesystems.superblock(Pieces({0: data}), str).values()
    assert (size_of(shown.ljust(4096, b"\0")), len(shown)) == (4096000, 16)


def test_boot_sectors_that_are_no_tables_are_not_shown() -> None:
    sector = bytearray(b"\x41" * 510 + b"\x55\xaa")
    assert not dos.only_the_entries(Pieces({0: bytes(sector)}), str)
    assert not dos.only_the_entries(Pieces({}), str)

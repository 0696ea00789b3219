from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.host.pseudonyms import pseudonymise
from pre_nixos.host.questions import (
    BlockNode,
    BlockNodes,
    Bytes,
    Command,
    Content,
    Contents,
    MountEntry,
    MountTable,
    Question,
    Ran,
    ReadAt,
    ReadBlockNodes,
    ReadFile,
    ReadMounts,
    SafeProbe,
    Signature,
    Text,
    Verdict,
)
from pre_nixos.host.record import Recorder, Recording
from pre_nixos.host.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from pre_nixos.host.pieces import Pieces

UUID = "f909e517-81d3-460d-890c-d22b6e7f9ffb"
VG, LV = "AbCdEf-1234-GhIj-5678-KlMn-90Op-QrStUv", "zYxWvU-9876-tSrQ-5432-pOnM-10lK-jIhGfE"
WWN = "5000c500a1b2c3d4"
SERIAL = "W4J0XYZ1"
PRIVATE = (UUID, VG, LV, WWN, SERIAL, "ranger", "0a1b-2c3d", UUID.replace("-", ""), SERIAL.encode().hex())

NODES = BlockNodes(
    nodes=(
        BlockNode(
            name="sda",
            number="8:0",
            attributes={
                "device/model": "ST4000NM",
                "device/serial": SERIAL,
                "device/wwid": f"naa.{WWN}",
                "wwid": f"nvme.144d-{SERIAL.encode().hex()}-4d4f44-00000001",
                "size": "2048",
            },
            udev={
                "ID_SERIAL": f"ST4000NM_{SERIAL}",
                "ID_SERIAL_SHORT": SERIAL,
                "ID_WWN": f"0x{WWN}",
                "ID_WWN_WITH_EXTENSION": f"0x{WWN}00aa",
                "ID_PART_ENTRY_TYPE": "01234567-89ab-cdef-0123-456789abcdef",
                "ID_FS_UUID": "0a1b-2c3d",
                "MD_NAME": "ranger:data",
            },
            links=(f"/dev/disk/by-id/ata-ST4000NM_{SERIAL}", f"/dev/disk/by-id/wwn-0x{WWN}", "/dev/md/ranger:data"),
        ),
        BlockNode(
            name="dm-0",
            number="252:0",
            attributes={"dm/uuid": f"LVM-{(VG + LV).replace('-', '')}", "device/serial": "7"},
        ),
        BlockNode(name="dm-1", number="252:1", attributes={"dm/uuid": f"CRYPT-LUKS2-{UUID.replace('-', '')}-cr"}),
    )
)
CONTENTS = Contents(
    devices=(
        Content(number="8:0", verdict=Verdict.KNOWN, signatures=(Signature(type="crypto_LUKS", uuid=UUID),)),
        Content(number="8:1", verdict=Verdict.KNOWN, signatures=(Signature(type="LVM2_member", uuid=VG),)),
    )
)
REPORT = (
    f"{VG} {LV} {UUID.upper()} c12a7328-f81f-11d2-ba4b-00a0c93ec93b f909e517:81d3460d:890cd22b:6e7f9ffb 12:7 ranger\n"
)
MOUNTS = MountTable(
    mounts=(
        MountEntry(device="8:0", root="/", at=f"/run/media/{UUID}", type="ext4", source=f"/dev/disk/by-uuid/{UUID}"),
    )
)
PAIRS: list[tuple[Question[Any], object]] = [
    (ReadBlockNodes(), NODES),
    (SafeProbe(numbers=("8:0", "8:1")), CONTENTS),
    (Command(argv=("lvs", VG)), Ran(status=0, stdout=REPORT)),
    (ReadMounts(), MOUNTS),
    (ReadFile(path="/etc/hostname"), Text(content="ranger\n")),
    (ReadAt(number="8:0", offset=0, length=4), Bytes(data=b"LUKS")),
]


class Canned:
    def __init__(self) -> None:
        self._answers = [answer for _, answer in PAIRS]

    def ask(self, question: Question[Any]) -> Any:
        del question
        return self._answers.pop(0)


def original() -> Recording:
    recorder = Recorder(Canned())
    for question, _ in PAIRS:
        recorder.ask(question)
    return recorder.recording()


@pytest.fixture(scope="module")
def text() -> str:
    return pseudonymise(original(), b"key").to_json().decode()


@pytest.fixture(scope="module")
def replay() -> Replay:
    return Replay(pseudonymise(original(), b"key"))


@pytest.mark.parametrize("private", PRIVATE)
def test_nothing_that_identifies_is_left(text: str, private: str) -> None:
    assert private.lower() in original().to_json().decode().lower()
    assert private.lower() not in text.lower()


def test_one_thing_has_one_pseudonym_in_every_spelling(replay: Replay, text: str) -> None:
    nodes = replay.ask(ReadBlockNodes()).nodes
    disk = nodes[0]
    serial = disk.attributes["device/serial"]
    assert disk.udev["ID_SERIAL"] == f"ST4000NM_{serial}"
    assert disk.udev["ID_SERIAL_SHORT"] == serial
    assert disk.attributes["wwid"] == f"nvme.144d-{serial.encode().hex()}-4d4f44-00000001"
    wwn = disk.attributes["device/wwid"].removeprefix("naa.")
    assert disk.udev["ID_WWN_WITH_EXTENSION"] == f"0x{wwn}00aa"
    assert disk.links == (f"/dev/disk/by-id/ata-ST4000NM_{serial}", f"/dev/disk/by-id/wwn-0x{wwn}", disk.links[2])
    host = disk.udev["MD_NAME"].partition(":")[0]
    assert disk.links[2] == f"/dev/md/{host}:data"
    assert replay.ask(ReadFile(path="/etc/hostname")).content == host + "\n"
    luks, pv = (content.signatures[0].uuid for content in replay.ask(SafeProbe(numbers=("8:0", "8:1"))).devices)
    assert nodes[2].attributes["dm/uuid"] == f"CRYPT-LUKS2-{luks.replace('-', '')}-cr"
    assert nodes[1].attributes["dm/uuid"].startswith(f"LVM-{pv.replace('-', '')}")
    words = replay.ask(Command(argv=("lvs", pv))).stdout.split()
    assert (words[0], words[2].lower(), words[4].replace(":", "")) == (pv, luks, luks.replace("-", ""))
    assert words[5:] == ["12:7", host]
    assert replay.ask(ReadMounts()).mounts[0].at == f"/run/media/{luks}"
    assert luks in text


def test_what_has_a_shape_keeps_it(replay: Replay) -> None:
    nodes = replay.ask(ReadBlockNodes()).nodes
    assert re.fullmatch(r"[A-Z]\d[A-Z]\d[A-Z]{3}\d", nodes[0].attributes["device/serial"])
    assert re.fullmatch(r"naa\.[0-9a-f]{16}", nodes[0].attributes["device/wwid"])
    assert re.fullmatch(r"LVM-[0-9A-Za-z]{64}", nodes[1].attributes["dm/uuid"])
    assert re.fullmatch(r"[0-9a-f]{4}-[0-9a-f]{4}", nodes[0].udev["ID_FS_UUID"])
    uuid = replay.ask(SafeProbe(numbers=("8:0", "8:1"))).devices[0].signatures[0].uuid
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid)


def test_what_identifies_nothing_stays(replay: Replay) -> None:
    disk = replay.ask(ReadBlockNodes()).nodes[0]
    assert (disk.attributes["device/model"], disk.attributes["size"]) == ("ST4000NM", "2048")
    assert disk.udev["ID_PART_ENTRY_TYPE"] == "01234567-89ab-cdef-0123-456789abcdef"
    assert "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" in pseudonymise(original()).to_json().decode()


def test_a_short_serial_number_changes_only_where_it_stands_alone(text: str, replay: Replay) -> None:
    assert "12:7" in text
    assert replay.ask(ReadBlockNodes()).nodes[1].attributes["device/serial"].isdigit()


def test_bytes_of_devices_are_forgotten(replay: Replay) -> None:
    assert replay.ask(ReadAt(number="8:0", offset=0, length=4)).data == bytes(4)


def seen_of(reads: list[tuple[int, bytes]], *answers: dict[int, bytes]) -> list[bytes]:
    """What is left of some bytes of one device, given what several say that may be seen."""
    recorder = Recorder(Reading([data for _, data in reads]))
    for offset, data in reads:
        recorder.ask(ReadAt(number="8:0", offset=offset, length=len(data)))
    recording = pseudonymise(recorder.recording(), b"key", lambda _, __: answers)
    found = [pair.decoded() for pair in recording.pairs]
    return [each.data for each in found if isinstance(each, Bytes)]


class Reading(Canned):
    def __init__(self, reads: list[bytes]) -> None:
        self._answers = [Bytes(data=each) for each in reads]


def test_of_bytes_what_somebody_knows_is_left() -> None:
    reads = [(0, b"abcdef"), (10, b"klm"), (4, b"efgh"), (6, b"gh")]
    seen = seen_of(reads, {0: b"AB", 5: b"FG"}, {8: b"..K."}, {100: b"far"})
    assert seen == [b"AB\0\0\0F", b"K.\0", b"\0FG\0", b"G\0"]


def test_where_two_say_different_things_nothing_is_left() -> None:
    assert seen_of([(0, b"abcd")], {0: b"abc"}, {1: b"bX"}, {2: b"cd"}) == [b"ab\0d"]


def test_plugins_are_given_pseudonyms_that_fit_the_rest() -> None:
    shown: list[str] = []

    def show(pieces: Pieces, other: Callable[[str], str]) -> list[dict[int, bytes]]:
        assert dict(pieces) == {0: b"LUKS"}
        shown.extend(other(each) for each in (UUID, f"of {SERIAL}", "home"))
        return []

    disguised = Replay(pseudonymise(original(), b"key", show))
    nodes = disguised.ask(ReadBlockNodes()).nodes
    luks = disguised.ask(SafeProbe(numbers=("8:0", "8:1"))).devices[0].signatures[0].uuid
    assert shown == [luks, f"of {nodes[0].attributes['device/serial']}", "home"]


def test_another_key_gives_other_pseudonyms() -> None:
    assert pseudonymise(original(), b"1").to_json() == pseudonymise(original(), b"1").to_json()
    assert pseudonymise(original(), b"1").to_json() != pseudonymise(original(), b"2").to_json()

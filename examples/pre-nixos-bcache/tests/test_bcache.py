from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pre_nixos_bcache as bcache
import pytest
from pre_nixos_bcache.kinds import DATA_OFFSET, Backing, Cache
from pre_nixos_bcache.superblock import CacheMode, read_superblock

from pre_nixos.plugin import (
    MIB,
    TAIL,
    WINDOW,
    WINDOWS,
    Action,
    Await,
    BlockDevice,
    Disk,
    Found,
    Node,
    Range,
    RequireBlank,
    RequireFree,
    Run,
    SetAttribute,
    State,
    Verb,
    Zero,
)
from pre_nixos.testing import (
    Bytes,
    Calls,
    Memo,
    Pair,
    Pseudonyms,
    Recording,
    Registry,
    Replay,
    assemble,
    pseudonymise,
)

if TYPE_CHECKING:
    from pre_nixos.plugin import DeviceGraph, Layer

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))
DISK = Node(layer="disk:a")
ITSELF = Node(layer="disk:a/bcache.backing")
ANNOUNCE = SetAttribute(target=DISK, attribute="uevent", value="change")


def machine(layer: Layer) -> DeviceGraph:
    """One disk with one thing on it."""
    return assemble([(Disk(id="disk:a", serial="A"), ()), (layer, (0,))])


def only(answer: object) -> Action:
    assert isinstance(answer, list)
    (action,) = cast("list[object]", answer)
    assert isinstance(action, Action)
    return action


def test_the_core_takes_it() -> None:
    registry = Registry({"bcache": bcache})
    assert set(registry.kinds) == {"bcache.backing", "bcache.cache"}
    assert "probe" in registry.implementations("bcache")


# What is found, on machines recorded in the lab.


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_probe(case: Path) -> None:
    written = json.loads(case.read_text())
    replay = Replay(Recording.from_json(json.dumps(written["machine"])))
    assert [told(each) for each in bcache.probe(Memo(replay))] == written["found"]
    assert not replay.unused()


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_what_others_are_shown_says_the_same(case: Path) -> None:
    written = json.loads(case.read_text())
    recording = Recording.from_json(json.dumps(written["machine"]))
    shown = pseudonymise(recording, b"key", Calls(Registry({"bcache": bcache})).disguise)
    found = [told(each) for each in bcache.probe(Memo(Replay(shown)))]
    assert found == Pseudonyms(recording, b"key").tree(written["found"])
    read = b"".join(each.data for each in map(Pair.decoded, shown.pairs) if isinstance(each, Bytes))
    for uuid in {each["layer"]["uuid"] for each in written["found"]}:
        assert bytes.fromhex(uuid.replace("-", "")) not in read


def told(found: Found) -> dict[str, Any]:
    layer: dict[str, Any] = json.loads(msgspec.json.encode(found.layer))
    layer.pop("device", None)
    on = [ref.number or f"{ref.kind} {ref.uuid}" for ref in found.on]
    return {"layer": layer, "device": found.layer.device.number if found.layer.device else None, "on": on}


def superblock(version: int = 1, flags: int = 0, label: bytes = b"", sector: int = 8) -> bytes:
    magic = bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")
    numbers = b"".join(each.to_bytes(8, "little") for each in (0xC5, sector, version))
    return numbers + magic + b"\x11" * 16 + b"\x22" * 16 + label.ljust(32, b"\0") + flags.to_bytes(8, "little")


def test_a_superblock_says_what_it_is() -> None:
    block = read_superblock(superblock(flags=2 << 61 | 1, label=b"data"))
    assert block is not None
    assert (block.backing, block.mode, block.label) == (True, CacheMode.WRITEBACK, "data")
    assert (block.attached, block.dirty) == (True, True)
    assert block.set_uuid == "22222222-2222-2222-2222-222222222222"


def test_flags_of_a_cache_mean_something_else() -> None:
    block = read_superblock(superblock(version=3, flags=2 << 61 | 1))
    assert block is not None
    assert (block.backing, block.attached, block.dirty) == (False, False, False)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 4096, superblock()[:100], superblock(version=99), superblock(sector=16)], ids=range(5)
)
def test_anything_else_is_not_a_superblock(data: bytes) -> None:
    assert read_superblock(data) is None


# What is done about it.


def test_making_one() -> None:
    graph = machine(Backing(mode=CacheMode.WRITEBACK, label="data"))
    action = only(bcache.make(graph[ITSELF.layer], graph))
    assert action.summary == "make bcache 'data' writeback on disk A"
    assert action.steps == (
        RequireFree(target=DISK),
        RequireBlank(target=DISK),
        Zero(target=DISK, ranges=(Range(start=0, length=WINDOW + MIB), TAIL)),
        Run(argv=("make-bcache", "--bdev", "--data-offset", "16", DISK)),
        ANNOUNCE,
        Await(target=ITSELF),
        SetAttribute(target=ITSELF, attribute="bcache/cache_mode", value="writeback"),
        SetAttribute(target=ITSELF, attribute="bcache/label", value="data"),
        Await(target=ITSELF),
    )


def test_the_new_device_begins_and_ends_in_what_was_cleared() -> None:
    graph = machine(Backing())
    action = only(bcache.make(graph[ITSELF.layer], graph))
    (zero,) = (each for each in action.steps if isinstance(each, Zero))
    assert zero.ranges[0].length >= DATA_OFFSET + WINDOW


def test_starting_and_stopping() -> None:
    device = BlockDevice(name="bcache0", number="252:0", size=MIB)
    graph = machine(Backing(state=State.ACTIVE, device=device))
    layer = graph[ITSELF.layer]
    assert only(bcache.start(layer, graph)).steps == (ANNOUNCE, Await(target=ITSELF))
    stop = SetAttribute(target=DISK, attribute="bcache/stop", value="1")
    gone = Await(target=ITSELF, present=False)
    assert only(bcache.stop(layer, graph)).steps == (RequireFree(target=ITSELF), stop, gone)


def test_stopping_one_that_waits_for_its_cache() -> None:
    graph = machine(Backing(state=State.ACTIVE))
    steps = only(bcache.stop(graph[ITSELF.layer], graph)).steps
    assert [type(each) for each in steps] == [SetAttribute, Await]


def test_a_cache_is_stopped_through_its_set() -> None:
    graph = machine(Cache(uuid="5600d874", state=State.ACTIVE))
    action = only(bcache.stop_cache(graph["disk:a/bcache.cache"], graph))
    assert action.steps == (SetAttribute(target=DISK, attribute="bcache/set/stop", value="1"),)


@pytest.mark.parametrize("layer", [Backing(state=State.INACTIVE), Cache(state=State.INACTIVE)], ids=lambda it: it.kind)
def test_removing(layer: Layer) -> None:
    graph = machine(layer)
    found = graph[f"disk:a/{layer.kind}"]
    action = only(bcache.remove(found, graph) or bcache.remove_cache(found, graph))
    assert action.verb is Verb.TEARDOWN
    assert action.steps == (RequireFree(target=DISK), Zero(target=DISK, ranges=WINDOWS))


@pytest.mark.parametrize("state", [State.ACTIVE, State.INACTIVE])
def test_changing_it_loses_nothing(state: State) -> None:
    before = machine(Backing(mode=CacheMode.WRITETHROUGH, label="data", state=state))
    after = machine(Backing(mode=CacheMode.WRITEBACK, label="data"))
    action = only(bcache.change(before[ITSELF.layer], after[ITSELF.layer], before, after))
    first = () if state is State.ACTIVE else (ANNOUNCE, Await(target=ITSELF))
    assert action.verb is Verb.MODIFY
    assert action.steps == (*first, SetAttribute(target=ITSELF, attribute="bcache/cache_mode", value="writeback"))


def test_what_was_not_asked_for_is_not_compared() -> None:
    assert not Backing().mismatches(Backing(mode=CacheMode.WRITEBACK, label="data", uuid="1", orphan=True))


def test_usable_is_what_the_kernel_offers() -> None:
    # Measured: of a disk of 819200 sectors the kernel offers 819184.
    assert Backing().usable([819200 * 512]) == 819184 * 512


def test_nixos_starts_it() -> None:
    graph = machine(Backing())
    assert bcache.started_at_boot(Backing(), graph) == {
        "boot": {"bcache": {"enable": True}, "initrd": {"services": {"bcache": {"enable": True}}}}
    }
    assert bcache.started_with_what_it_caches(Cache(), graph) == {}

"""Mappings whose key nobody keeps: made, known again after a boot, and opened again without anybody's consent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.backends import disks, dmcrypt, filesystems, gpt, swap, unrecognised
from pre_nixos.backends.dmcrypt import Plain
from pre_nixos.backends.gpt import SCRATCH
from pre_nixos.backends.gpt.types import GUIDS
from pre_nixos.flow.looking import look
from pre_nixos.flow.schedule import schedule
from pre_nixos.hooks.registry import Registry
from pre_nixos.host.questions import BlockNode
from pre_nixos.model.difference import shortcomings
from pre_nixos.model.draft import Draft
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import (
    MIB,
    WINDOWS,
    Await,
    Disk,
    Layer,
    Machine,
    Node,
    Replace,
    RequireBlank,
    RequireFree,
    Run,
    Signature,
    State,
    Step,
    Verb,
    Wanted,
    Zero,
)
from pre_nixos.testing import faults_of
from tests.unit.backends.canned import Canned, Image, part
from tests.unit.backends.canned import disk as disk_node
from tests.unit.backends.gpt.bytes import DISK as TABLE
from tests.unit.backends.gpt.bytes import Device, entry
from tests.unit.backends.replayed import only

if TYPE_CHECKING:
    from pre_nixos.plugin import DeviceGraph

DISK, OPEN_PLAIN = Node(layer="disk:a"), Node(layer="disk:a/crypt-plain")
REGISTRY = Registry(
    {"disks": disks, "dmcrypt": dmcrypt, "fs": filesystems, "gpt": gpt, "swap": swap, "un": unrecognised}
)


def machine(layer: Layer) -> DeviceGraph:
    return assemble([(Disk(id="disk:a", serial="A"), ()), (layer, (0,))])


def test_making_one_whose_key_nobody_keeps() -> None:
    graph = machine(Plain(mapper="swap", allow_discards=True))
    action = only(dmcrypt.make_plain(graph["disk:a/crypt-plain"], graph))
    opened = Node(layer="disk:a/crypt-plain")
    cipher = ("--cipher", "aes-xts-plain64", "--key-size", "512", "--allow-discards")
    argv = ("cryptsetup", "open", "--type", "plain", *cipher, "--key-file", "/dev/urandom", "--", DISK, "swap")
    assert action.steps == (
        RequireFree(target=DISK),
        RequireBlank(target=DISK),
        Run(argv=argv),
        Await(target=opened),
        Zero(target=opened, ranges=WINDOWS),
    )
    assert action.summary == "encrypt disk A with a key that nobody keeps, open as swap"


class Kept(Layer, tag="test.kept"):
    """Something on a mapping that nobody can make again."""


class Again(Layer, tag="test.again"):
    """Something that is made every time."""

    def made_again(self, node: Node) -> list[Step]:
        return [Run(argv=("make", "again", node))]


@pytest.mark.parametrize(("inside", "made"), [(Kept(), []), (Again(), [Run(argv=("make", "again", OPEN_PLAIN))])])
def test_opening_what_nobody_can_read_any_more(inside: Layer, made: list[Step]) -> None:
    graph = assemble([(Disk(id="disk:a", serial="A"), ()), (Plain(mapper="swap", key_size=256), (0,)), (inside, (1,))])
    action = only(dmcrypt.open_anew(graph["disk:a/crypt-plain"], graph))
    argv = ("cryptsetup", "open", "--type", "plain", "--cipher", "aes-xts-plain64", "--key-size", "256")
    run = Run(argv=(*argv, "--key-file", "/dev/urandom", "--", DISK, "swap"))
    assert action.verb is Verb.ACTIVATE
    assert action.steps == (RequireFree(target=DISK), run, Await(target=OPEN_PLAIN), *made)


@pytest.mark.parametrize(
    ("there", "wanted", "argv"),
    [
        (Plain(mapper="a"), Plain(mapper="b"), ("dmsetup", "rename", "--", "a", "b")),
        (Plain(mapper="a", allow_discards=False), Plain(mapper="a", allow_discards=True), None),
        (Plain(mapper="a", cipher="aes-cbc-plain"), Plain(mapper="b", cipher="aes-xts-plain64"), None),
    ],
)
def test_changing_one_whose_key_nobody_has(there: Plain, wanted: Plain, argv: tuple[str, ...] | None) -> None:
    before, after = machine(there), machine(wanted)
    id_ = "disk:a/crypt-plain"
    answer = dmcrypt.change_plain(before[id_], after[id_], before, after)
    if argv is None:
        assert isinstance(answer, Replace)
        assert answer.why.endswith("nobody has the key that it would take to open it otherwise")
    else:
        assert only(answer).steps[0] == Run(argv=argv)


def test_what_is_rehearsed_is_open() -> None:
    graph = machine(Plain(state=State.INACTIVE))
    found = graph["disk:a/crypt-plain"].rehearsed()
    assert isinstance(found, Plain)
    assert found.mapper == "rehearsed-disk:a-crypt-plain"
    assert Plain(mapper="swap").rehearsed().mapper == "swap"


UUID, SIZE, PART = "00000000-0000-4000-8000-00000000000a", 64 * MIB, "disk:naa.sda/gpt/1"


def found(type_: str = SCRATCH, *signatures: Signature, noise: bool = True, mapped: bool = False) -> Machine:
    """Look at a disk with one partition, after a boot."""
    device = Device(SIZE).partitioned({1: entry(type_, UUID, 2048, 129023)})
    nodes = [disk_node("sda", "8:0", SIZE), part("sda", "8:1", 1, MIB, 62 * MIB)]
    tables = ""
    if mapped:
        nodes[1] = msgspec.structs.replace(nodes[1], holders=("dm-0",))
        attributes = {"dm/name": "swap-one", "dm/uuid": "CRYPT-PLAIN-swap-one", "size": "129000", "dm/suspended": "0"}
        nodes.append(BlockNode(name="dm-0", number="254:0", attributes=attributes, slaves=("sda1",)))
        tables = f"swap-one,CRYPT-PLAIN-swap-one,0,rw,0 129000 crypt aes-xts-plain64 {'0' * 128} 0 8:1 0\n"
    seen = {"8:0": [Signature(type="gpt", usage="table", uuid=TABLE)], "8:1": signatures, "254:0": []}
    if mapped:
        seen["254:0"] = [Signature(type="swap", uuid=UUID, label="sw")]
    hidden = ["8:1"] if noise else []
    return look(
        Canned(nodes, seen, {"8:0": device, "8:1": Device(SIZE), "254:0": Image()}, noise=hidden, tables=tables),
        REGISTRY,
    )


def wanted(there: Machine) -> Wanted:
    draft = Draft(there, take=there.disks)
    table = draft.add(gpt.Table(), on=[next(iter(there.disks))])
    one = draft.add(gpt.Partition(number=1, size="62MiB", type="scratch"), on=[table])
    plain = draft.add(Plain(mapper="swap-one"), on=[one])
    draft.add(swap.Use(), on=[draft.add(swap.Area(label="sw"), on=[plain])])
    return draft.wanted()


def test_after_a_boot_it_is_opened_again_and_nothing_else_is_done() -> None:
    there = found()
    assert there.graph[f"{PART}/crypt-plain"].state is State.INACTIVE
    assert "unrecognised" not in str(list(there.graph))
    for only_ in (tuple(Verb), (Verb.ACTIVATE,)):
        plan = schedule(there, wanted(there), only=only_, registry=REGISTRY)
        assert not plan.objections
        assert not any(plan.losses().values())
        (action,) = plan.actions
        assert (action.verb, action.target) == (Verb.ACTIVATE, f"{PART}/crypt-plain")
        node, opened = Node(layer=PART), Node(layer=f"{PART}/crypt-plain")
        assert action.steps[0] == RequireFree(target=node)
        assert action.steps[-1] == Run(argv=("mkswap", "--label", "sw", opened))
        assert action.summary == (
            "open partition 1 of disk naa.sda as swap-one with a new key that nobody keeps, and make swap 'sw' in it"
        )
        assert not faults_of(plan)


def test_once_it_is_open_only_its_use_is_missing() -> None:
    there = found(noise=False, mapped=True)
    plan = schedule(there, wanted(there), only=(Verb.ACTIVATE,), registry=REGISTRY)
    assert [(each.verb, each.target) for each in plan.actions] == [(Verb.ACTIVATE, f"{PART}/crypt-plain/swap/swap.use")]


@pytest.mark.parametrize("type_", ["dm-crypt", "swap", "linux", "luks"])
def test_noise_where_something_may_be_kept_is_data(type_: str) -> None:
    there = found(GUIDS[type_])
    assert not there.graph.of(Plain)
    plan = schedule(there, wanted(there), registry=REGISTRY)
    lost = [each.describe() for each in plan.losses()["disk:naa.sda"]]
    assert lost == ["unknown data"]
    assert not schedule(there, wanted(there), only=(Verb.ACTIVATE,), registry=REGISTRY).actions


def test_what_can_be_recognised_is_what_it_is_whatever_the_partition_says() -> None:
    there = found(SCRATCH, Signature(type="ext4", usage="filesystem", uuid=UUID))
    assert not there.graph.of(Plain)
    plan = schedule(there, wanted(there), registry=REGISTRY)
    assert [each.kind for each in plan.losses()["disk:naa.sda"]] == ["filesystem"]
    assert not schedule(there, wanted(there), only=(Verb.ACTIVATE,), registry=REGISTRY).actions


def test_a_blank_one_was_never_made() -> None:
    there = found(noise=False)
    assert not there.graph.of(Plain)
    plan = schedule(there, wanted(there), registry=REGISTRY)
    assert plan.actions[0].proves_blank(PART)


def test_what_else_is_wanted_there_is_told_what_goes() -> None:
    there = found()
    draft = Draft(there, take=there.disks)
    table = draft.add(gpt.Table(), on=[next(iter(there.disks))])
    one = draft.add(gpt.Partition(number=1, size="62MiB", type="linux"), on=[table])
    draft.add(filesystems.Filesystem(type="ext4"), on=[one])
    plan = schedule(there, draft.wanted(), registry=REGISTRY)
    assert [each.describe() for each in plan.losses()["disk:naa.sda"]] == ["encrypted with a key that nobody kept"]
    assert [str(each) for each in shortcomings(plan.result(), plan.wanted)] == []

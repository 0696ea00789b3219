from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pre_nixos.backends import dmcrypt
from pre_nixos.backends.dmcrypt import HEADERS, Luks, Plain
from pre_nixos.backends.dmcrypt.header import Header, second_version
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import (
    MIB,
    TAIL,
    WINDOWS,
    Action,
    Await,
    Disk,
    Layer,
    Node,
    Plan,
    Replace,
    RequireBlank,
    RequireFree,
    Run,
    Secret,
    State,
    Verb,
    Wanted,
    Zero,
)
from tests.unit.backends.replayed import cases, expected_and_found, only

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pre_nixos.plugin import DeviceGraph, Found, Reader

UUID = "11111111-1111-4111-8111-111111111111"


def machine(layer: Layer) -> DeviceGraph:
    return assemble([(Disk(id="disk:a", serial="A"), ()), (layer, (0,))])


class Finder:
    """The plugin's way in, by the name these tests know."""

    def probe(self, reader: Reader) -> Iterable[Found]:
        return dmcrypt.find(reader)


@pytest.mark.parametrize("case", cases("dmcrypt"), ids=lambda path: path.stem)
def test_probe(case: Path) -> None:
    expected, found = expected_and_found(case, Finder())
    assert found == expected


@pytest.mark.parametrize("stands_still", [False, True])
def test_closing(stands_still: bool) -> None:  # noqa: FBT001 - a column
    graph = machine(Luks(mapper="my crypt", version="2", suspended=stands_still, state=State.ACTIVE))
    node = Node(layer="disk:a/luks")
    free = () if stands_still else (RequireFree(target=node),)
    run = Run(argv=("cryptsetup", "close", "--", "my crypt"))
    assert dmcrypt.close(graph["disk:a/luks"], graph) == [
        Action(
            verb=Verb.DEACTIVATE,
            target="disk:a/luks",
            summary="close my crypt on disk A",
            steps=(*free, run, Await(target=node, present=False)),
        )
    ]


def test_closing_one_without_a_header() -> None:
    graph = machine(Plain(mapper="swap", state=State.ACTIVE))
    action = only(dmcrypt.close_plain(graph["disk:a/crypt-plain"], graph))
    assert action.steps[1] == Run(argv=("cryptsetup", "close", "--", "swap"))
    assert dmcrypt.close(graph["disk:a/crypt-plain"], graph) is None


@pytest.mark.parametrize(
    ("layer", "ranges"),
    [(Luks(version="2", state=State.INACTIVE), (HEADERS, TAIL)), (Plain(mapper="p", state=State.ACTIVE), WINDOWS)],
)
def test_removing(layer: Layer, ranges: tuple[object, ...]) -> None:
    graph = machine(layer)
    found = next(each for each in graph.layers() if not isinstance(each, Disk))
    action = only(dmcrypt.erase(found, graph) or dmcrypt.erase_plain(found, graph))
    disk = Node(layer="disk:a")
    assert action.verb is Verb.TEARDOWN
    assert action.steps == (RequireFree(target=disk), Zero(target=disk, ranges=ranges))  # type: ignore[arg-type]  # columns


def test_a_header_on_another_device_is_cleared_too() -> None:
    disks = [(Disk(id=f"disk:{each}", serial=each), ()) for each in "ab"]
    graph = assemble([*disks, (Luks(version="2", uuid=UUID, state=State.INACTIVE), (0, 1))])
    action = only(dmcrypt.erase(graph["luks:luks"], graph))
    assert [each.target.layer for each in action.steps if isinstance(each, Zero)] == ["disk:a", "disk:b"]
    assert [type(each) for each in action.steps] == [RequireFree, RequireFree, Zero, Zero]


def test_a_closed_volume_is_not_blamed_for_having_no_name() -> None:
    wanted = Luks(mapper="crypt", version="2")
    assert not wanted.mismatches(Luks(version="2", uuid=UUID, state=State.INACTIVE))
    assert [each.field for each in wanted.mismatches(Luks(mapper="other", version="2"))] == ["mapper"]


def test_another_name_is_no_reason_to_lose_anything() -> None:
    before = machine(Luks(mapper="old name", version="2", state=State.ACTIVE))
    after = machine(Luks(mapper="new", version="2"))
    old, new = before["disk:a/luks"], after["disk:a/luks"]
    action = only(dmcrypt.change(old, new, before, after))
    assert action.steps[0] == Run(argv=("dmsetup", "rename", "--", "old name", "new"))


def test_another_version_is_made_anew() -> None:
    before, after = machine(Luks(version="1", state=State.INACTIVE)), machine(Luks(mapper="new", version="2"))
    answer = dmcrypt.change(before["disk:a/luks"], after["disk:a/luks"], before, after)
    assert answer == Replace(why="version is 1, wanted 2")


def test_what_it_says_of_itself() -> None:
    opened = Luks(mapper="my crypt", version="2", label="secrets", uuid=UUID)
    assert opened.describe() == "LUKS2 'secrets', open as my crypt"
    assert opened.mark() == {"dm/name": r"my\x20crypt"}
    assert opened.occupies() == {"mapper:my crypt"}
    assert Luks(version="1").mark() == {"dm/uuid": "*"}
    assert Luks(orphan=True).explains() == frozenset()


def test_usable_is_what_a_default_header_leaves() -> None:
    # Measured: cryptsetup 2.6.1 offers 786432 sectors of a device of 819200.
    assert Luks(version="2").usable([400 * MIB]) == 786432 * 512
    assert Luks().usable([MIB]) == 0


DISK, OPEN = Node(layer="disk:a"), Node(layer="disk:a/luks")


def test_making() -> None:
    wanted = Luks(
        mapper="cryptroot",
        label="luks",
        uuid=UUID.upper(),
        cipher="aes-xts-plain64",
        key_size=512,
        sector_size=4096,
        pbkdf="argon2id",
        iter_time=500,
        pbkdf_memory=65536,
        pbkdf_parallel=2,
        arguments=("--luks2-keyslots-size", "1m"),
        keys=("prompt:Passphrase", "keyfile:/run/key"),
        allow_discards=True,
        bypass_workqueues=True,
        open_arguments=("--timeout", "9"),
    )
    graph = machine(wanted)
    action = only(dmcrypt.make(graph["disk:a/luks"], graph))
    assert action.summary == "encrypt disk A with LUKS2 labelled luks, open as cryptroot"
    cost = ("--pbkdf", "argon2id", "--iter-time", "500", "--pbkdf-memory", "65536", "--pbkdf-parallel", "2")
    assert action.steps == (
        RequireFree(target=DISK),
        RequireBlank(target=DISK),
        Run(
            argv=(
                *("cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--label", "luks", "--uuid", UUID),
                *("--cipher", "aes-xts-plain64", "--key-size", "512", "--sector-size", "4096", *cost),
                *("--key-file", "-", DISK, "--luks2-keyslots-size", "1m"),
            ),
            stdin=Secret(reference="prompt:Passphrase", new=True),
            timeout=600,
        ),
        Run(
            argv=(
                *("cryptsetup", "luksAddKey", "--batch-mode", *cost, "--key-file", "-"),
                *(DISK, Secret(reference="keyfile:/run/key", new=True)),
            ),
            stdin=Secret(reference="prompt:Passphrase"),
            timeout=600,
        ),
        Run(
            argv=(
                *("cryptsetup", "open", "--type", "luks", "--allow-discards", "--perf-no_read_workqueue"),
                *("--perf-no_write_workqueue", "--key-file", "-", DISK, "--timeout", "9", "--", "cryptroot"),
            ),
            stdin=Secret(reference="prompt:Passphrase"),
        ),
        Await(target=OPEN),
        Zero(target=OPEN, ranges=WINDOWS),
    )


def test_opening() -> None:
    graph = machine(Luks(mapper="crypt", version="2", label="luks", keys=("file:/key", "env:OTHER")))
    layer = graph["disk:a/luks"]
    action = only(dmcrypt.open_volume(layer, graph))
    assert action.verb is Verb.ACTIVATE
    assert action.summary == "open LUKS2 'luks' on disk A as crypt"
    argv = ("cryptsetup", "open", "--type", "luks", "--key-file", "-", DISK, "--", "crypt")
    assert action.steps == (Run(argv=argv, stdin=Secret(reference="file:/key")), Await(target=OPEN))
    assert layer.opened_with() == ("file:/key",)


def changed(old: Luks, new: Luks) -> Action | Replace:
    before, after = machine(old), machine(new)
    answer = dmcrypt.change(before["disk:a/luks"], after["disk:a/luks"], before, after)
    return answer if isinstance(answer, Replace) else only(answer)


THERE = Luks(
    mapper="crypt",
    version="2",
    label="old",
    cipher="aes-xts-plain64",
    key_size=512,
    sector_size=4096,
    pbkdf="argon2id",
    slots=1,
)


def test_a_label_and_more_keys_in_place() -> None:
    action = changed(THERE, Luks(mapper="crypt", label="new", pbkdf="argon2id", keys=("env:A", "env:B", "env:C")))
    assert isinstance(action, Action)
    assert action.summary == "change LUKS2 on disk A: label it new, give it 2 more of its 3 keys"
    assert not action.destroys
    add = ("cryptsetup", "luksAddKey", "--batch-mode", "--pbkdf", "argon2id", "--key-file", "-", DISK)
    assert action.steps == (
        Run(argv=("cryptsetup", "config", "--batch-mode", "--label", "new", DISK)),
        *(
            Run(argv=(*add, Secret(reference=each, new=True)), stdin=Secret(reference="env:A"), timeout=600)
            for each in ("env:B", "env:C")
        ),
    )


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Luks(cipher="serpent-xts-plain64"), "cipher is aes-xts-plain64, wanted serpent-xts-plain64"),
        (Luks(key_size=256, label="new"), "label is old, wanted new; key_size is 512, wanted 256"),
        (Luks(sector_size=512), "sector_size is 4096, wanted 512"),
        (Luks(version="1"), "version is 2, wanted 1"),
        (Luks(uuid=UUID), f"uuid is not set, wanted {UUID}"),
        (Luks(), ""),
    ],
)
def test_whatever_else_differs_is_made_anew(wanted: Luks, why: str) -> None:
    assert changed(THERE, wanted) == Replace(why=why)


@pytest.mark.parametrize("wanted", [Luks(label="new"), Luks(pbkdf="argon2id")])
def test_the_first_version_has_neither_labels_nor_other_ways_to_keep_its_keys(wanted: Luks) -> None:
    assert isinstance(changed(Luks(version="1", pbkdf="pbkdf2"), wanted), Replace)


@pytest.mark.parametrize(
    ("wanted", "argv", "said"),
    [
        (
            Luks(allow_discards=True),
            ("refresh", "--allow-discards", "--perf-no_read_workqueue", "--perf-no_write_workqueue"),
            "let discards through",
        ),
        (Luks(bypass_workqueues=False), ("refresh",), "no longer let work past its queues through"),
        (Luks(allow_discards=True, bypass_workqueues=False), ("refresh", "--allow-discards"), None),
    ],
)
def test_how_it_is_open_is_changed_while_it_is_in_use(wanted: Luks, argv: tuple[str, ...], said: str | None) -> None:
    there = msgspec.structs.replace(THERE, allow_discards=False, bypass_workqueues=True)
    action = changed(there, msgspec.structs.replace(wanted, keys=("env:A",)))
    assert isinstance(action, Action)
    assert not action.destroys
    full = ("cryptsetup", *argv, "--key-file", "-", "--", "crypt")
    assert action.steps == (Run(argv=full, stdin=Secret(reference="env:A")),)
    assert said is None or action.summary == f"change LUKS2 on disk A: {said}"


def test_what_is_closed_or_not_known_is_open_in_no_wrong_way() -> None:
    wanted = Luks(mapper="crypt", allow_discards=True, bypass_workqueues=True)
    assert not wanted.mismatches(Luks(version="2", state=State.INACTIVE))
    assert not Luks(mapper="crypt").mismatches(Luks(mapper="crypt", allow_discards=True, state=State.ACTIVE))


def test_another_way_to_keep_its_first_key_is_no_reason_to_lose_anything() -> None:
    action = changed(THERE, Luks(pbkdf="pbkdf2", pbkdf_iterations=1000, keys=("env:A",)))
    assert isinstance(action, Action)
    how = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
    argv = ("cryptsetup", "luksConvertKey", "--batch-mode", *how, "--key-file", "-", DISK)
    assert action.steps == (Run(argv=argv, stdin=Secret(reference="env:A"), timeout=600),)


@pytest.mark.parametrize(
    ("wanted", "how", "said"),
    [
        (Luks(pbkdf_iterations=4), (), None),
        (Luks(pbkdf_iterations=9), ("--pbkdf-force-iterations", "9"), "iterations 9"),
        (Luks(pbkdf_memory=65536, pbkdf_parallel=4), (), None),
        (Luks(pbkdf_memory=1 << 20), (), None),  # a machine with little memory takes less by itself
        (Luks(pbkdf_memory=32768), ("--pbkdf-memory", "32768"), "memory at most 32768"),
        (Luks(pbkdf_parallel=1), ("--pbkdf-parallel", "1"), "parallel at most 1"),
    ],
)
def test_what_trying_a_passphrase_costs_is_compared_and_changed(
    wanted: Luks, how: tuple[str, ...], said: str | None
) -> None:
    there = msgspec.structs.replace(THERE, iterations=4, memory=65536, threads=4)
    wanted = msgspec.structs.replace(wanted, keys=("env:A",))
    if said is None:
        assert not wanted.mismatches(there)
        return
    action = changed(there, wanted)
    assert isinstance(action, Action)
    assert action.summary == f"change LUKS2 on disk A: protect its first key with {said}"
    way = ("cryptsetup", "luksConvertKey", "--batch-mode", "--pbkdf", "argon2id", *how)
    step = Run(argv=(*way, "--key-file", "-", DISK), stdin=Secret(reference="env:A"), timeout=600)
    assert action.steps == (step,)
    assert not wanted.mismatches(Luks(version="1", pbkdf="pbkdf2", slots=1)), "of LUKS1 nothing is known"


def test_a_change_that_takes_a_key_is_objected_to_where_none_is_named() -> None:
    wanted = Luks(mapper="crypt", allow_discards=True)
    action = changed(msgspec.structs.replace(THERE, allow_discards=False), wanted)
    assert isinstance(action, Action)
    plan = Plan(before=machine(THERE), wanted=Wanted(graph=machine(wanted)), actions=(action,))
    (objection,) = dmcrypt.object_to(plan)
    assert objection.text.endswith("it has no key to be changed with.")


def test_what_is_not_known_of_a_header_is_no_difference() -> None:
    wanted = Luks(cipher="aes-xts-plain64", key_size=512, sector_size=512, pbkdf="pbkdf2", keys=("env:A",))
    assert not wanted.mismatches(Luks(version="2"))
    assert not Luks(keys=("env:A",)).mismatches(Luks(slots=3))
    assert [str(each) for each in Luks(keys=("env:A", "env:B")).mismatches(Luks(slots=1))] == ["keys is 1, wanted 2"]


def test_what_is_no_reference_gets_into_no_plan() -> None:
    with pytest.raises(ValueError, match="no reference to a secret") as raised:
        Luks(keys=("hunter2",))
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Luks(mapper="crypt", keys=("env:A",)), []),
        (Luks(mapper="crypt"), ["it has no key to be opened with"]),
        (Luks(keys=("env:A",)), ["it has no name to be opened under"]),
        (Luks(mapper="a/b", keys=("env:A",)), ["'a/b' is no name for an open volume"]),
        (Luks(mapper="c", keys=("env:A",), version="3"), ["there is no LUKS3"]),
        (
            Luks(mapper="c", keys=("env:A",), version="1", label="l", sector_size=4096, pbkdf="argon2id"),
            ["LUKS1 has no labels", "LUKS1 encrypts sectors of 512 bytes", "LUKS1 knows no pbkdf but pbkdf2"],
        ),
        (
            Luks(mapper="c", keys=("env:A",), label="x" * 48, pbkdf="md5", sector_size=520),
            [
                f"the label {'x' * 48!r} is longer than the 47 bytes there are for it",
                "there is no pbkdf 'md5'",
                "520 bytes are no size of a sector",
            ],
        ),
    ],
)
def test_objections(layer: Luks, said: list[str]) -> None:
    graph = machine(layer)
    actions = tuple(dmcrypt.make(graph["disk:a/luks"], graph) or ())
    plan = Plan(before=graph, wanted=Wanted(graph=graph), actions=actions)
    assert [str(each.text).partition(": ")[2] for each in dmcrypt.object_to(plan)] == [f"{each}." for each in said]


def test_a_header_that_is_none_says_nothing() -> None:
    assert second_version(b"") == Header()
    assert second_version(b"{".ljust(12288, b"\0")) == Header()
    assert second_version(b'{"segments": {}, "keyslots": {}}') == Header()
    assert second_version(b'{"segments": [], "keyslots": 1}') == Header()


def test_what_is_made_for_a_rehearsal_can_be_made() -> None:
    found = Luks(version="2", label="luks", uuid=UUID).rehearsed()
    assert (found.mapper, found.keys) == (f"rehearsed-{UUID}", ("prompt:",))
    assert Luks(mapper="crypt").rehearsed().mapper == "crypt"


def test_room_is_taken_with_a_key_and_left_without_one() -> None:
    there = Luks(mapper="crypt", version="2", unused=40 * MIB, state=State.ACTIVE)
    action = changed(there, Luks(mapper="crypt", keys=("env:A",)))
    assert isinstance(action, Action)
    argv = ("cryptsetup", "resize", "--key-file", "-", "--", "crypt")
    assert action.steps == (Run(argv=argv, stdin=Secret(reference="env:A")),)
    assert not Luks(mapper="crypt").mismatches(there)
    assert not Luks(mapper="crypt").grown(machine(there))

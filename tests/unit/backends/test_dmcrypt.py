from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.backends import dmcrypt
from pre_nixos.backends.dmcrypt import HEADERS, Luks, Plain
from pre_nixos.model.identity import assemble
from pre_nixos.plugin import (
    MIB,
    TAIL,
    WINDOWS,
    Action,
    Await,
    Disk,
    Node,
    Replace,
    RequireFree,
    Run,
    State,
    Verb,
    Zero,
)
from tests.unit.backends.replayed import cases, expected_and_found, only

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.plugin import DeviceGraph, Layer

UUID = "11111111-1111-4111-8111-111111111111"


def machine(layer: Layer) -> DeviceGraph:
    return assemble([(Disk(id="disk:a", serial="A"), ()), (layer, (0,))])


@pytest.mark.parametrize("case", cases("dmcrypt"), ids=lambda path: path.stem)
def test_probe(case: Path) -> None:
    expected, found = expected_and_found(case, dmcrypt)
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
    action = only(dmcrypt.close_plain(graph["disk:a/swap"], graph))
    assert action.steps[1] == Run(argv=("cryptsetup", "close", "--", "swap"))
    assert dmcrypt.close(graph["disk:a/swap"], graph) is None


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
    action = only(dmcrypt.rename(old, new, before, after))
    assert action.steps[0] == Run(argv=("dmsetup", "rename", "--", "old name", "new"))


def test_another_version_is_made_anew() -> None:
    before, after = machine(Luks(version="1", state=State.INACTIVE)), machine(Luks(mapper="new", version="2"))
    answer = dmcrypt.rename(before["disk:a/luks"], after["disk:a/luks"], before, after)
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

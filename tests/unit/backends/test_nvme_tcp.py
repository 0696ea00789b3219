"""NVMe paths and identities: when in doubt, no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pre_nixos.backends.nvme_tcp import Undetermined, every_path_lives, is_formatted, paths_to
from pre_nixos.host.questions import ListDirectory, Names, Question, Ran, ReadFile, Text
from pre_nixos.plugin import BlockDevice

if TYPE_CHECKING:
    from collections.abc import Mapping

A = TypeVar("A")

HERE = "/sys/dev/block/259:0"
UUID = "6f2c7a0e-52f1-4a6e-9c53-0d1f5d6f4b11"
DISK = BlockDevice(name="nvme0n1", number="259:0", size=1 << 30, transport="nvme-tcp", wwn=f"uuid.{UUID}", serial="S1")
ADDRESS = "traddr=127.0.0.1,trsvcid=4420"
ONE_PATH = {
    f"{HERE}/uuid": UUID,
    f"{HERE}/wwid": f"uuid.{UUID}",
    f"{HERE}/device/state": "live",
    f"{HERE}/device/transport": "tcp",
    f"{HERE}/device/address": ADDRESS,
}
TWO_PATHS = {
    f"{HERE}/uuid": UUID,
    f"{HERE}/wwid": f"uuid.{UUID}",
    f"{HERE}/device/nvme0/state": "live",
    f"{HERE}/device/nvme0/address": ADDRESS,
    f"{HERE}/device/nvme1/state": "live",
}


class Sys:
    """A sysfs of a few files."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def ask(self, question: Question[A]) -> A:
        asked: Any = question
        answer: Any
        match asked:
            case ReadFile(path=path):
                answer = Text(content=self.files[path] + "\n") if path in self.files else Text(error="missing")
            case ListDirectory(path=path):
                below = {each.removeprefix(f"{path}/").partition("/")[0] for each in self.files if f"{path}/" in each}
                answer = Names(names=tuple(sorted(below)))
            case _:
                raise AssertionError(asked)
        return answer  # type: ignore[no-any-return] # as each question declares


def said(files: Mapping[str, str], device: BlockDevice = DISK) -> list[tuple[str, bool]]:
    return [(each.text, each.passing) for each in every_path_lives(device, Sys(files))]


@pytest.mark.parametrize("files", [ONE_PATH, TWO_PATHS])
def test_live_on_every_path_and_the_same_namespace_is_no_reason_to_stop(files: Mapping[str, str]) -> None:
    assert said(files) == []


def test_other_disks_are_none_of_its_business() -> None:
    assert said({}, BlockDevice(name="sda", number="8:0", size=1)) == []


@pytest.mark.parametrize("state", ["connecting", "resetting", "deleting", "dead", "new", ""])
@pytest.mark.parametrize(("files", "where"), [(ONE_PATH, "device/state"), (TWO_PATHS, "device/nvme1/state")])
def test_one_path_that_is_not_live_is_enough_to_wait(files: Mapping[str, str], where: str, state: str) -> None:
    ((text, passing),) = said({**files, f"{HERE}/{where}": state})
    assert (state or "of unknown state") in text
    assert passing


def test_no_path_at_all_is_no_proof_of_anything() -> None:
    ((text, passing),) = said({f"{HERE}/uuid": UUID})
    assert "no controller" in text
    assert passing


@pytest.mark.parametrize("other", ["0b1e61ab-90c0-4ac7-9bd2-50b36b1d5a11", "eui.00000000000000000000000000000001"])
def test_another_namespace_under_the_same_name_is_refused_at_once(other: str) -> None:
    ((text, passing),) = said({**ONE_PATH, f"{HERE}/uuid": other, f"{HERE}/wwid": other})
    assert "another NVMe namespace" in text
    assert not passing


def test_a_namespace_that_no_longer_says_which_it_is() -> None:
    ((text, _),) = said({**ONE_PATH, f"{HERE}/uuid": "00000000-0000-0000-0000-000000000000", f"{HERE}/wwid": ""})
    assert "no longer says which one" in text


def test_paths_are_told_with_where_they_lead() -> None:
    (path,) = paths_to(DISK, Sys(ONE_PATH))
    assert str(path) == f"nvme0 (tcp {ADDRESS}) is live"


@pytest.mark.parametrize(
    ("ran", "answer"),
    [
        (Ran(status=0, stdout='TYPE="ext4"\n'), True),
        (Ran(status=2), False),
    ],
)
def test_the_simple_rule(ran: Ran, answer: bool) -> None:  # noqa: FBT001 - a column of the table
    assert is_formatted(ran) is answer


@pytest.mark.parametrize(
    "ran",
    [
        Ran(status=1),
        Ran(status=0),
        Ran(status=0, stdout="\n"),
        Ran(status=4, stderr="usage"),
        Ran(status=8, stderr="ambivalent result"),
        Ran(status=-9),
        Ran(status=-1, error="timeout"),
        Ran(status=-1, error="missing"),
        Ran(status=2, error="timeout"),
    ],
)
def test_everything_else_is_an_error_and_no_answer(ran: Ran) -> None:
    with pytest.raises(Undetermined):
        is_formatted(ran)

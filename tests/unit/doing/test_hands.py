from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Any

import pytest

from pre_nixos.host.api import AppendLine, CheckHeld, DropLock, Hold, HoldOffAssembly, LetGo, TakeLock
from pre_nixos.host.doing import Hands, holds, places
from pre_nixos.host.doing.free import require_blank, require_free
from pre_nixos.host.doing.places import Place, locate
from pre_nixos.host.doing.problems import NotDoneError, NotNowError, RefusedError
from pre_nixos.host.doing.udev import answers, udevd_runs, wait_until_quiet
from pre_nixos.host.questions import (
    Content,
    Contents,
    Opened,
    OpenExclusive,
    Ran,
    SafeProbe,
    Signature,
    User,
    Users,
    Verdict,
    WhoUses,
)
from pre_nixos.model.step import (
    Attach,
    Await,
    Detach,
    Node,
    RequireBlank,
    RequireClear,
    RequireFree,
    Run,
    Secret,
    SetAttribute,
    SwapOff,
    SwapOn,
    WriteFile,
    WriteTable,
    Zero,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_mock import MockerFixture

    from pre_nixos.model.step import Step

PLACE = Place(number="8:1", name="sda1", path="/dev/sda1", sysfs="/nowhere", layer="disk:a/1")


class Answers:
    """A reader with prepared answers."""

    def __init__(self, *contents: Content, users: Sequence[User] = (), opened: Opened | None = None) -> None:
        self._contents = list(contents)
        self._users = Users(users=tuple(users))
        self._opened = opened or Opened(free=True)

    def ask(self, question: object) -> Any:
        match question:
            case SafeProbe():
                return Contents(devices=(self._contents.pop(0),) if self._contents else ())
            case WhoUses():
                return self._users
            case OpenExclusive():
                return self._opened
            case _:
                raise AssertionError(question)


def quiet(argv: Sequence[str], *, stdin: bytes | None, timeout: float, pass_fds: Sequence[int]) -> Ran:
    del stdin, timeout, pass_fds
    return Ran(status=0, stdout=" ".join(argv))


DEVICE = Node(layer="disk:a/1")


@pytest.mark.parametrize(
    "step",
    [
        Run(argv=("mkfs", DEVICE)),
        WriteTable(target=DEVICE),
        Zero(target=DEVICE, ranges=()),
        RequireBlank(target=DEVICE),
        RequireFree(target=DEVICE),
        RequireClear(target=DEVICE, ranges=()),
        Await(target=DEVICE, timeout=0),
        SetAttribute(target=DEVICE, attribute="a", value="b"),
        Attach(target=DEVICE, at="/mnt", type="ext4"),
        Detach(target=DEVICE, at="/mnt"),
        SwapOn(target=DEVICE),
        SwapOff(target=DEVICE),
    ],
    ids=lambda step: type(step).__name__,
)
@pytest.mark.parametrize("number", [None, "4095:1048575"])
def test_a_device_that_is_not_there_is_told_and_nothing_done(step: Step, number: str | None) -> None:
    outcome = Hands(Answers(), quiet).do(step, {"disk:a/1": number} if number else {}, {})
    assert not outcome.ok
    assert not outcome.wrote
    assert "disk:a/1" in outcome.detail
    assert outcome.processes == 0


def test_what_is_gone_was_waited_for() -> None:
    hands = Hands(Answers(), quiet)
    for there in ({}, {"disk:a/1": "4095:1048575"}):
        assert hands.do(Await(target=DEVICE, present=False, timeout=0), there, {}).ok


def test_a_node_of_another_device_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "devices" / "sda").mkdir(parents=True)
    (tmp_path / "dev" / "block").mkdir(parents=True)
    (tmp_path / "dev" / "block" / "8:0").symlink_to(tmp_path / "devices" / "sda")
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    with pytest.raises(NotDoneError, match="No such file"):
        locate("8:0", sysfs=str(tmp_path), dev=str(nodes))
    (nodes / "sda").symlink_to("/dev/null")
    with pytest.raises(NotDoneError, match="not a block device"):
        locate("8:0", "disk:a", sysfs=str(tmp_path), dev=str(nodes))
    with pytest.raises(NotDoneError, match="no such block device"):
        locate("8:16", sysfs=str(tmp_path), dev=str(nodes))
    assert places.sysfs_of("8:0", str(tmp_path)) == str(tmp_path / "devices" / "sda")


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.BLANK])
def test_only_proven_blank_is_blank(verdict: Verdict) -> None:
    content = Content(
        number="8:1", verdict=verdict, size=1, error="why", signatures=(Signature(type="ext4", label="old root"),)
    )
    with pytest.raises(
        RefusedError, match=r"/dev/sda1 .*not (proven )?blank.*ext4 'old root'.*why.*nothing was written"
    ) as caught:
        require_blank(PLACE, Answers(content))
    assert isinstance(caught.value, NotNowError) == (verdict in {Verdict.UNREADABLE, Verdict.BUSY, Verdict.GONE})


def test_blank_needs_an_answer_about_this_device_and_a_size() -> None:
    blank = Content(number="8:1", verdict=Verdict.BLANK, size=4096)
    assert require_blank(PLACE, Answers(blank)) == "/dev/sda1 (disk:a/1) is blank"
    for answers_given in (
        Answers(),
        Answers(Content(number="8:2", verdict=Verdict.BLANK, size=4096)),
        Answers(Content(number="8:1", verdict=Verdict.BLANK)),
    ):
        with pytest.raises(RefusedError):
            require_blank(PLACE, answers_given)


def test_free_names_who_uses_it() -> None:
    ours = User(how="open", what="pre-nixos", pid=os.getpid())
    assert require_free(PLACE, Answers(users=[ours]))
    users = [User(how="mount", what="/old"), User(how="open", what="postgres", pid=812)]
    with pytest.raises(RefusedError, match=r"in use by mount /old, open postgres \(process 812\)"):
        require_free(PLACE, Answers(users=users))
    with pytest.raises(RefusedError, match="does not open exclusively: Device or resource busy"):
        require_free(PLACE, Answers(opened=Opened(free=False, error="Device or resource busy")))


def test_one_at_a_time_and_the_holder_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "run" / "lock")
    first, second = Hands(Answers(), quiet), Hands(Answers(), quiet)
    take = TakeLock(path=path, holder="apply on db1")
    assert first.do(take, {}, {}).ok
    refused = second.do(take, {}, {})
    assert refused.refused
    assert f"process {os.getpid()} has the lock: apply on db1" in refused.detail
    assert first.do(take, {}, {}).refused
    assert first.do(DropLock(), {}, {}).ok
    assert second.do(take, {}, {}).ok
    second.close()
    assert first.do(take, {}, {}).ok
    first.close()


def test_children_get_the_lock(tmp_path: Path) -> None:
    given: list[tuple[int, ...]] = []

    def runner(argv: Sequence[str], *, stdin: bytes | None, timeout: float, pass_fds: Sequence[int]) -> Ran:
        del argv, stdin, timeout
        given.append(tuple(pass_fds))
        assert all(os.get_inheritable(descriptor) for descriptor in pass_fds)
        return Ran(status=0)

    hands = Hands(Answers(), runner)
    hands.do(Run(argv=("true",)), {}, {})
    hands.do(TakeLock(path=str(tmp_path / "lock"), holder="x"), {}, {})
    hands.do(Run(argv=("true",)), {}, {})
    assert given[0] == ()
    assert len(given[1]) == 1
    # The child's copy keeps the lock when ours is gone.
    copy = os.dup(given[1][0])
    hands.do(DropLock(), {}, {})
    with (tmp_path / "lock").open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(copy)
    hands.close()


def test_holding_what_is_not_there() -> None:
    hands = Hands(Answers(), quiet)
    outcome = hands.do(Hold(numbers=("4095:1048575",)), {}, {})
    assert not outcome.ok
    assert "no such block device" in outcome.detail
    assert hands.do(CheckHeld(), {}, {}).ok
    assert hands.do(LetGo(), {}, {}).ok


@pytest.mark.parametrize(
    ("on", "argv"),
    [
        (True, ("udevadm", "control", "--property=ANACONDA=1", "--property=DM_MULTIPATH_DEVICE_PATH=1")),
        (False, ("udevadm", "control", "--property=ANACONDA=", "--property=DM_MULTIPATH_DEVICE_PATH=")),
    ],
)
def test_udev_is_held_off(on: bool, argv: tuple[str, ...], mocker: MockerFixture) -> None:  # noqa: FBT001 - a column
    asked: list[tuple[str, ...]] = []
    answer = Ran(status=0)

    def runner(argv: Sequence[str], *, stdin: bytes | None, timeout: float, pass_fds: Sequence[int]) -> Ran:
        del stdin, timeout, pass_fds
        asked.append(tuple(argv))
        return answer

    hands = Hands(Answers(), runner)
    runs = mocker.patch.object(holds, "udevd_runs", return_value=False)
    assert "no udevd runs" in hands.do(HoldOffAssembly(on=on), {}, {}).detail
    assert not asked
    runs.return_value = True
    outcome = hands.do(HoldOffAssembly(on=on), {}, {})
    assert outcome.ok
    assert outcome.processes == 1
    assert asked == [argv]
    answer = Ran(status=-1, error="missing")
    assert "not installed" in hands.do(HoldOffAssembly(on=on), {}, {}).detail
    answer = Ran(status=1, stderr="Connection refused")
    outcome = hands.do(HoldOffAssembly(on=on), {}, {})
    assert not outcome.ok
    assert "Connection refused" in outcome.detail


def test_an_event_answers_only_its_own_question() -> None:
    event = b"libudev\0\xfe\xed\xca\xfe....\0ACTION=change\0SYNTH_UUID=abc-1\0SUBSYSTEM=block\0"
    assert answers(event, "abc-1")
    assert not answers(event, "abc")
    assert not answers(event.replace(b"libudev\0", b"change@/x"), "abc-1")
    assert answers(b"libudev\0x\0SYNTH_UUID=abc-1", "abc-1")


def test_udevd_is_waited_for_and_not_for_ever(tmp_path: Path) -> None:
    queue = tmp_path / "queue"
    clock = iter(range(100))
    assert wait_until_quiet(3, str(queue), pause=lambda _: None, now=lambda: next(clock))
    queue.touch()
    assert not wait_until_quiet(3, str(queue), pause=lambda _: None, now=lambda: next(clock))
    assert wait_until_quiet(99, str(queue), pause=lambda _: queue.unlink(), now=lambda: next(clock))


def test_a_socket_nobody_listens_on_is_no_udevd(tmp_path: Path) -> None:
    assert not udevd_runs(str(tmp_path / "control"))


def test_secrets_are_in_no_outcome(tmp_path: Path) -> None:
    hands = Hands(Answers(), quiet)
    secrets = {"env:X": "hunter2"}
    outcome = hands.do(Run(argv=("x", "--hunter2"), stdin=Secret(reference="env:X")), {}, secrets)
    assert outcome.ok
    assert "hunter2" not in outcome.detail
    outcome = hands.do(WriteFile(path=str(tmp_path / "hunter2"), content="hunter2"), {}, secrets)
    assert outcome.ok
    assert "hunter2" not in outcome.detail


def test_an_outcome_says_what_it_took(tmp_path: Path) -> None:
    hands = Hands(Answers(), quiet)
    outcome = hands.do(Run(argv=("true",)), {}, {})
    assert (outcome.ok, outcome.wrote, outcome.processes) == (True, True, 1)
    assert outcome.seconds > 0
    outcome = hands.do(AppendLine(path=str(tmp_path / "log"), line="x"), {}, {})
    assert (outcome.ok, outcome.wrote, outcome.processes) == (True, False, 0)

"""wipe: which disks are meant, who is asked, and what is shown."""

from __future__ import annotations

import threading

import msgspec
import pytest

from pre_nixos.host.api import Outcome
from pre_nixos.model.identity import Found
from pre_nixos.model.step import Discard
from tests.unit.cli.desk import Ran, command
from tests.unit.flow.test_schedule import old_stack, wanted_pool
from tests.unit.flow.world import World
from tests.unit.toys import disk, machine

PLAIN = {"NO_COLOR": "1", "TERM": "vt100"}


def world() -> World:
    there = machine(Found(disk("a")), Found(disk("b")), *old_stack())
    return World(there, wanted_pool(there, *there.disks))


def digest_of(there: World, *words: str) -> str:
    return str(msgspec.json.decode(command("wipe", "--check", "--json", *words, world=there).out)["content"]["digest"])


def test_the_plan_is_shown_and_nothing_is_done_about_it() -> None:
    there = world()
    ran = command("wipe", "--check", "SERIAL-A", world=there)
    assert ran.status == 3
    assert "What is lost" in ran.out
    assert there.did == []


def test_on_a_pipe_it_needs_a_consent() -> None:
    there = world()
    ran = command("wipe", "SERIAL-A", world=there)
    assert ran.status == 1
    assert f"--consent {digest_of(there, 'SERIAL-A')}" in ran.complaint
    assert there.did == []


@pytest.mark.parametrize("agreed", ["--yes", "--consent"])
def test_agreed_to_it_is_done_and_a_second_time_does_nothing(agreed: str) -> None:
    there = world()
    words = ["--yes"] if agreed == "--yes" else ["--consent", digest_of(there, "SERIAL-A")]
    ran = command("wipe", "SERIAL-A", *words, world=there)
    assert ran.status == 0
    assert there.did == ["deactivate toy.pool:old", "teardown toy.pool:old"]
    assert "after 2 actions" in ran.out
    again = command("wipe", "SERIAL-A", "--yes", world=there)
    assert again.status == 0
    assert "nothing to do" in again.out
    assert len(there.did) == 2


@pytest.mark.parametrize("jobs", ["0", "-1", "many", "1.5"])
def test_so_many_at_a_time_is_a_number(jobs: str) -> None:
    there = world()
    ran = command("wipe", "SERIAL-A", "--yes", f"--jobs={jobs}", world=there)
    assert ran.status == 2
    assert f"{jobs!r} is no number from 1 on" in ran.err
    assert there.did == []


def test_several_disks_are_erased_at_a_time() -> None:
    there = world()
    at_work = threading.Barrier(2, timeout=20)

    def wait_for_the_other() -> Outcome:
        at_work.wait()  # which raises if nobody else comes
        return Outcome(ok=True, wrote=True)

    there.does[Discard] = wait_for_the_other
    ran = command("wipe", "SERIAL-A", "SERIAL-B", "--yes", "--discard", "--jobs", "2", world=there)
    assert ran.status == 0, ran.err
    ends = {each[1:4] for each in ran.err.splitlines() if "discard" in each and each.endswith(" s")}
    assert ends == {"3/4", "4/4"}


def test_a_kernel_name_will_do_where_somebody_sees_what_it_is() -> None:
    there = world()
    ran = command("wipe", "/dev/sda", world=there, terminal=True, said="yes\n", environ=PLAIN)
    assert ran.status == 0
    assert "SERIAL-A" in ran.err
    refused = command("wipe", "/dev/sda", "--yes", world=world())
    assert refused.status == 1
    assert "Call it SERIAL-A" in refused.complaint


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("nobody",), 1, "there is no disk 'nobody'"),
        ((), 2, "DISK"),
        (("SERIAL-A", "--discard", "--overwrite"), 2, "not allowed with"),
        (("SERIAL-A", "--yes", "--consent", "x"), 2, "not both"),
        (("/dev/toy1",), 1, "only whole disks are wiped"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], status: int, said: str) -> None:
    there = world()
    ran: Ran = command("wipe", *words, world=there)
    assert (ran.status, said in ran.complaint) == (status, True), ran.complaint
    assert there.did == []


def test_overwriting_says_that_every_byte_goes() -> None:
    there = world()
    ran = command("wipe", "--check", "--overwrite", "SERIAL-A", "SERIAL-B", world=there)
    assert "every byte" in " ".join(ran.out.split())
    assert "2 disks lose content" in ran.out

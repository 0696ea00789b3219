"""A disk over NVMe/TCP whose target goes away, comes back, or comes back as another: nothing on it is ever lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends.nvme_tcp import is_formatted
from pre_nixos.flow.outcome import ActionBegan, Noted
from pre_nixos.host.questions import Ran, ReadFile, SafeProbe, Verdict
from pre_nixos.lab import fabric, residue
from pre_nixos.lab.choice import Kind
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.model.layer import Disk, Unrecognised
from pre_nixos.model.step import MIB, Node, RequireBlank

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

LAB = Lab(disks=(LabDisk(name="far", size=96 * MIB), LabDisk(name="bystander", size=64 * MIB)))
OTHER = "7c0b8f5e-9a3c-4a38-8a7b-50b86b3f3a02"
HASTE = pn.Patience(tries=3, pause=0.5)
LONG = pn.Patience(tries=40, pause=1.0)


@pytest.fixture(scope="module")
def running(boot_shared: BootGuest) -> Guest:
    guest = boot_shared(LAB, kind=Kind.QEMU)
    guest.dirty(residue.BYSTANDER, "bystander")
    fabric.share(guest, "far")
    fabric.connect(guest)
    return guest


class Far:
    """A disk with an ext4 on it, at the other end of a connection."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.disk = self._found()
        assert self.disk.device is not None
        self.node = f"/dev/{self.disk.device.name}"
        guest.script(f"wipefs -qa {self.node}; mkfs.ext4 -q -F -L precious {self.node}; sync; udevadm settle")
        self.before = guest.hash_disk("far")
        self.bystander = guest.hash_disk("bystander")

    def _found(self) -> Disk:
        return pn.probe(self.guest.host).all_disks.where(transport="nvme-tcp").exactly(1)[0]

    def plan(self) -> pn.Plan:
        machine = pn.probe(self.guest.host)
        return pn.schedule(machine, pn.blank(machine, [self.disk.id]))

    def wipe(self, patience: pn.Patience, do: Callable[[], object], events: list[pn.Event]) -> pn.Report:
        """Plan, and have something happen when the first thing is about to be removed."""
        done: list[object] = []

        def observe(event: pn.Event) -> None:
            events.append(event)
            if isinstance(event, ActionBegan) and not done:
                done.append(event)
                do()

        plan = self.plan()
        return pn.apply(plan, consent=plan.digest, host=self.guest.host, observer=observe, patience=patience)

    def cut(self) -> None:
        fabric.cut(self.guest)

    def back(self) -> None:
        fabric.restore(self.guest)
        fabric.await_state(self.guest, "live")

    def is_as_before(self) -> None:
        assert self.guest.hash_disk("far") == self.before
        assert self.guest.hash_disk("bystander") == self.bystander


@pytest.fixture
def far(running: Guest) -> Generator[Far]:
    there = Far(running)
    yield there
    assert running.hash_disk("bystander") == there.bystander


def test_it_is_wiped_like_any_other_and_no_policy_takes_it_unasked(far: Far) -> None:
    assert far.disk.wwn == f"uuid.{fabric.UUID}"
    far.wipe(HASTE, lambda: None, [])
    assert far.plan().actions == ()
    machine = pn.probe(far.guest.host)
    assert far.disk.id in {each.id for each in machine.disks}
    with pytest.raises(pn.InvalidLayout) as refused:
        pn.propose(machine, "tiered")
    assert far.disk.id not in str(refused.value).partition("The disks of this machine")[0]


def test_a_target_that_comes_back_is_waited_for_and_that_is_written_down(far: Far) -> None:
    events: list[pn.Event] = []
    again = f"ln -s {fabric.SUBSYSTEM} {fabric.PORT}/subsystems/{fabric.NQN}"

    def leave_for_a_while() -> None:
        far.cut()
        far.guest.script(f"(sleep 2; {again}) > /dev/null 2>&1 < /dev/null &")

    far.wipe(LONG, leave_for_a_while, events)
    said = [each.text for each in events if isinstance(each, Noted)]
    assert any("allowed after" in each for each in said), said
    assert "audited" in (far.guest.host.ask(ReadFile(path="/run/pre-nixos/journal")).content or "")
    assert far.plan().actions == ()


def test_a_target_that_stays_away_is_refused_and_everything_is_still_there(far: Far) -> None:
    events: list[pn.Event] = []
    with pytest.raises((pn.Refused, pn.Failed)) as caught:
        far.wipe(HASTE, far.cut, events)
    assert "connecting" in str(caught.value)
    assert any("refused after 3 tries" in each.text for each in events if isinstance(each, Noted))
    far.back()
    far.is_as_before()


def test_nobody_opens_a_disk_whose_path_is_down_or_says_that_it_is_blank(far: Far) -> None:
    far.cut()
    started = time.monotonic()
    machine = pn.probe(far.guest.host)
    assert time.monotonic() - started < 30
    unknown = [each for each in machine.graph.of(Unrecognised) if far.disk.id in machine.graph.disks(each.id)]
    assert ["connecting" in each.what for each in unknown] == [True]
    plan = pn.schedule(machine, pn.blank(machine, [far.disk.id]))
    with pytest.raises(pn.Refused, match="connecting"):
        pn.apply(plan, consent=plan.digest, host=far.guest.host)
    far.back()
    far.is_as_before()


def test_reads_that_fail_meanwhile_are_not_taken_for_an_empty_disk(far: Far) -> None:
    assert far.disk.device is not None
    far.guest.script(
        'for each in /sys/class/nvme/*/fast_io_fail_tmo; do [ "$(cat $each)" = off ] && echo 1 > $each; done'
    )
    far.cut()
    far.guest.script("sleep 2")
    # What misled others: the program finds nothing, and says so with the status it has for an empty disk.
    blkid = far.guest.run(["timeout", "20", "blkid", "-p", far.node], check=False)
    assert is_formatted(Ran(status=blkid.status, stdout=blkid.stdout)) is False
    number = far.disk.device.number
    (content,) = far.guest.host.ask(SafeProbe(numbers=(number,))).devices
    assert content.verdict in {Verdict.UNREADABLE, Verdict.BUSY}
    outcome = far.guest.host.do(RequireBlank(target=Node(layer="far")), {"far": number}, {})
    assert (outcome.ok, outcome.refused, outcome.wrote) == (False, True, False)
    far.back()
    far.is_as_before()
    assert "precious" in far.guest.run(["blkid", "-p", far.node]).stdout


ANOTHER = """
cd {namespace}
echo 0 > enable
echo {uuid} > device_uuid
echo 1 > enable
"""


def test_another_namespace_under_the_same_name_is_left_alone(far: Far) -> None:
    def swap(uuid: str) -> None:
        fabric.cut(far.guest)
        far.guest.script(ANOTHER.format(namespace=f"{fabric.SUBSYSTEM}/namespaces/1", uuid=uuid))
        fabric.restore(far.guest)
        fabric.await_state(far.guest, "live")

    with pytest.raises((pn.Refused, pn.Failed)) as caught:
        far.wipe(HASTE, lambda: swap(OTHER), [])
    assert any(each in str(caught.value) for each in ("another", "no longer the disk it was", "not on this machine"))
    far.is_as_before()
    fabric.disconnect(far.guest)
    far.guest.script(ANOTHER.format(namespace=f"{fabric.SUBSYSTEM}/namespaces/1", uuid=fabric.UUID))
    fabric.connect(far.guest)

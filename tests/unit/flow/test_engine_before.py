"""What is found out before somebody else's program makes anything: what it lacks, and what it would mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pre_nixos.flow.apply import apply
from pre_nixos.flow.outcome import Failed, Refused
from pre_nixos.host.api import Outcome
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import State
from pre_nixos.model.step import MakeDirectory, Node, RequireLink, RequireUnclaimed, Run, WriteFile
from pre_nixos.render.plan import PlanText
from tests.unit.flow.test_engine import Bench, left_behind
from tests.unit.flow.test_schedule import TOYS, old_stack
from tests.unit.flow.world import as_host
from tests.unit.toys import Pool, Use, disk, machine, slot_device

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pre_nixos.host.api import Deed
    from pre_nixos.model.plan import Plan
    from pre_nixos.model.step import Step

TRIALS = {
    "refused": ("echo 'error: the option does not exist' >&2; exit 1", "the option does not exist"),
    "too long": ("exec sleep 60", r"stopped after 0\.5 s"),
}


@pytest.mark.parametrize("case", TRIALS)
def test_what_it_will_not_take_is_found_out_before_anything_is_touched(case: str, tmp_path: Path) -> None:
    trial, said = TRIALS[case]
    bench = Bench(tmp_path, *old_stack(), trial=trial, trial_timeout=0.5)
    asked = "disko was asked about /logs/disko.nix, before anything was touched"
    with pytest.raises(Refused, match=f"(?s){asked}: .*{said}"):
        bench.run()
    assert not bench.touched
    assert bench.world.files["/logs/disko.nix"] == "{ }\n"


@pytest.mark.parametrize("step", [WriteFile, MakeDirectory])
def test_where_its_file_cannot_be_written_nothing_is_touched(step: type, tmp_path: Path) -> None:
    bench = Bench(tmp_path, *old_stack())
    bench.world.does[step] = lambda: Outcome(ok=False, detail="Read-only file system")
    with pytest.raises(Refused, match=r"/logs/disko.nix, before anything was touched: Read-only file system"):
        bench.run()
    assert not bench.touched
    assert not (tmp_path / "tried").exists()


def test_a_key_that_is_not_there_is_missed_before_anything_is_touched(tmp_path: Path) -> None:
    bench = Bench(tmp_path, *old_stack(), reads=("/run/none", "/run/empty", "/run/key"))
    bench.world.files |= {"/run/empty": "", "/run/key": "secret"}
    with pytest.raises(Refused) as refused:
        bench.run()
    assert "to read a key from /run/none: missing." in str(refused.value)
    assert "to read a key from /run/empty: that is empty." in str(refused.value)
    assert "/run/key" not in str(refused.value)
    assert not bench.touched
    bench.world.files |= {"/run/empty": "x", "/run/none": "x"}
    assert bench.run().problem == ""


def test_the_arrays_of_others_may_come_while_it_takes_its_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, *old_stack())
    held_off: list[list[bool]] = []

    def written() -> Outcome:
        held_off.append([*bench.world.held_off])
        return Outcome(ok=True)

    bench.world.does[WriteFile] = written
    bench.run()
    assert not any(held_off[0])
    assert True in bench.world.held_off


def test_it_is_asked_once_however_often_it_runs(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ends=["fail"])
    bench.world.leaves = [left_behind(bench)]
    assert len(bench.run().rounds) == 2
    assert len((tmp_path / "tried").read_text().splitlines()) == 1


def test_what_is_only_to_be_used_needs_no_trial(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run()
    (tmp_path / "tried").unlink()
    bench.world.graph = bench.world.graph.without([each for each in bench.world.graph if each.endswith("/mnt")])
    bench.run()
    assert not (tmp_path / "tried").exists()


def bystander(state: State = State.ACTIVE) -> Pool:
    return Pool(name="other", uuid="u-other", state=state)


FOUND_AT = {
    "a link of a disk": [Found(disk("b", links=("/dev/md/main",)))],
    "a link below a claim": [Found(disk("b", links=("/dev/pool/root",)))],
    "a link that is the disk's": [Found(disk("b", links=("/dev/disk/by-id/a",)))],
}
ADDRESSES = {"disk:any": "/dev/disk/by-id/a"}
CLAIMS = ("/dev/md/main", "/dev/pool", "/dev/disk/by-partlabel/disk-main-r")


@pytest.mark.parametrize("case", FOUND_AT)
def test_what_it_would_take_for_its_own_is_objected_to_at_every_look(case: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path, *old_stack(), claims=CLAIMS, addresses=ADDRESSES)
    plan = bench.plan()
    assert not plan.objections
    bench.world.graft(machine(Found(disk("a")), *old_stack(), *FOUND_AT[case]))
    assert "looks for its own there" in str(bench.plan().objections)
    with pytest.raises(Refused, match="disko looks for its own there, and might write to the wrong one"):
        carried_out(bench, plan)
    assert not bench.touched


def carried_out(bench: Bench, plan: Plan) -> None:
    apply(plan, consent=plan.digest, host=as_host(bench.world), registry=TOYS)


def test_what_comes_between_two_runs_of_it_ends_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ends=["fail"] * 5, claims=CLAIMS)

    def arrives() -> None:
        bench.world.graft(machine(Found(disk("a")), Found(disk("b", links=("/dev/md/main",)))))

    bench.world.leaves = [arrives]
    with pytest.raises(Failed, match="looks for its own there"):
        bench.run()
    assert len(bench.asked) == 1


def test_what_similar_names_have_is_not_its_own(tmp_path: Path) -> None:
    bench = Bench(tmp_path, claims=CLAIMS)
    other = disk(
        "b",
        links=(
            "/dev/md/main2",
            "/dev/pools/root",
            "/dev/disk/by-partlabel/disk-main",
        ),
    )
    bench.world.graft(machine(Found(disk("a")), Found(other)))
    assert bench.run().problem == ""


def test_what_is_mounted_where_it_unmounts_is_objected_to(tmp_path: Path) -> None:
    bench = Bench(tmp_path, unmounts=("/mnt",))
    other = Found(disk("b")), Found(bystander(), on=["8:16"])
    place = Use(at="/mnt/usb", state=State.ACTIVE)
    bench.world.graft(machine(Found(disk("a")), *other, Found(place, on=["8:16"])))
    objections = str(bench.plan().objections)
    assert "disko would unmount it from /mnt/usb" in objections


def test_what_it_would_wake_is_objected_to(tmp_path: Path) -> None:
    bench = Bench(tmp_path, wakes=("toy.pool",))
    for state, objected in ((State.ACTIVE, False), (State.INACTIVE, True)):
        other = Found(disk("b")), Found(bystander(state), on=["8:16"])
        bench.world.graft(machine(Found(disk("a")), *other))
        assert ("disko would activate it" in str(bench.plan().objections)) is objected


def test_it_is_looked_once_more_just_before_it_runs(tmp_path: Path) -> None:
    (disk_,) = Bench(tmp_path).wanted.takes
    addresses = {disk_: "/dev/disk/by-id/a", "disk:elsewhere": "/dev/x"}
    bench = Bench(tmp_path, claims=CLAIMS, unmounts=("/mnt",), addresses=addresses)
    *_, link, unclaimed, run = bench.plan().actions[-1].steps
    assert link == RequireLink(target=Node(layer=disk_), path="/dev/disk/by-id/a")
    assert unclaimed == RequireUnclaimed(paths=CLAIMS, directories=("/mnt",))
    assert isinstance(run, Run)
    bench.world.does[RequireUnclaimed] = lambda: Outcome(ok=False, refused=True, detail="/dev/md/main leads to /dev/x")
    with pytest.raises((Refused, Failed), match="/dev/md/main leads to /dev/x"):
        bench.run()
    assert not (tmp_path / "asked").exists()


def test_a_key_in_what_has_to_go_is_objected_to(tmp_path: Path) -> None:
    device = slot_device(1).number
    stuff = Ref(number=device, content="toystuff")
    use = Found(Use(at="/mnt/old", state=State.ACTIVE), on=[stuff])
    bench = Bench(tmp_path, *old_stack(), use, reads=("/mnt/old/key",))
    assert "read a key from /mnt/old/key, which has to go first" in str(bench.plan().objections)
    assert not Bench(tmp_path, *old_stack(), use, reads=("/mnt/older",)).plan().objections


ARRIVES = Found(disk("b", links=("/dev/md/main",)))


def test_what_comes_while_it_is_asked_is_noticed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, claims=CLAIMS)
    run = bench.world.local.do

    def slowly(work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str]) -> Outcome:
        bench.world.graft(machine(Found(disk("a")), ARRIVES))
        return run(work, places, secrets)

    bench.world.local.do = slowly  # type: ignore[method-assign] # pyright: ignore[reportAttributeAccessIssue] - a slow one
    with pytest.raises(Refused, match="looks for its own there"):
        bench.run()
    assert not bench.touched


def test_what_comes_while_a_person_is_asked_is_noticed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, claims=CLAIMS)

    def yes(plan: Plan) -> bool:
        del plan
        bench.world.graft(machine(Found(disk("a")), ARRIVES))
        return True

    with pytest.raises(Refused, match="looks for its own there"):
        apply(bench.plan(), consent=yes, host=as_host(bench.world), registry=TOYS)
    assert not bench.touched
    assert not (tmp_path / "tried").exists()


def test_what_is_asked_first_is_shown_with_the_steps(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for steps in (True, False):
        lines = PlanText(bench.plan(), width=200).actions(steps=steps)
        text = "\n".join("".join(span.text for span in each) for each in lines)
        assert (f"First, before anything is touched: run env NIX_PATH=nixpkgs=/pkgs {tmp_path}" in text) is steps
    bench.run()
    assert not list(PlanText(bench.plan(), width=200).actions(steps=True))

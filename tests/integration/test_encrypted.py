"""Encrypted disks on a real kernel: made, opened after they were closed, changed, and kept."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

import pre_nixos as pn
from pre_nixos.backends import dmcrypt, filesystems, gpt, mounts
from pre_nixos.flow.documents import dump_plan
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.model.step import RequireBlank, Zero
from tests.integration import carrying

if TYPE_CHECKING:
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

MIB = 1 << 20
FIRST, SECOND = "correct horse battery", "staple\udcff\n"
"""The second is no text, and ends with what a passphrase would lose."""
SECRETS = {"prompt:Passphrase": FIRST, "keyfile:/run/second": SECOND}
carry_out = partial(carrying.carry_out, secrets=SECRETS)


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    return boot_shared(Lab(disks=(LabDisk(name="a", size=512 * MIB),), modules=("dm_crypt",)))


def layout(
    machine: pn.Machine,
    *,
    label: str = "luks",
    keys: tuple[str, ...] = ("prompt:Passphrase",),
    pbkdf: str = "pbkdf2",
    iterations: int = 1000,
    discards: bool | None = None,
    unqueued: bool | None = None,
) -> pn.Wanted:
    disks = machine.disks.exactly(1)
    draft = pn.Draft(machine, take=disks)
    table = draft.add(gpt.Table(), on=list(disks))
    part = draft.add(gpt.Partition(number=1, size=pn.Rest()), on=[table])
    volume = dmcrypt.Luks(
        mapper="crypt root",
        label=label,
        pbkdf=pbkdf,
        pbkdf_iterations=iterations if pbkdf == "pbkdf2" else 4,
        pbkdf_memory=None if pbkdf == "pbkdf2" else 32,
        sector_size=4096,
        keys=keys,
        allow_discards=discards,
        bypass_workqueues=unqueued,
    )
    opened = draft.add(volume, on=[part])
    root = draft.add(filesystems.Filesystem(type="ext4", label="root"), on=[opened])
    draft.add(mounts.Mount(at="/"), on=[root])
    return draft.wanted()


def test_without_its_secret_nothing_begins(guest: Guest) -> None:
    before = guest.hash_disk("a")
    plan = pn.schedule(pn.probe(guest.host), layout(pn.probe(guest.host)))
    with pytest.raises(pn.Refused, match=r"The secret prompt:Passphrase for LUKS 'luks', open as crypt root on disk"):
        pn.apply(plan, consent=plan.digest, host=guest.host)
    assert guest.hash_disk("a") == before


def test_made_once_and_not_again(guest: Guest) -> None:
    # Old filesystems where the new ones will be: encrypted, what lies there is noise, and no reason to stop.
    machine = pn.probe(guest.host)
    wanted = layout(machine)
    report = carry_out(guest, wanted)
    assert len(report.rounds) == 1
    assert report.processes == 3  # luksFormat, open, mkfs
    # With nothing to do, nobody is asked for anything.
    nothing = pn.schedule(pn.probe(guest.host), wanted)
    assert pn.apply(nothing, consent=nothing.digest, host=guest.host).actions == 0
    guest.script("echo kept > /mnt/file")
    plan = dump_plan(report.rounds[0].plan).decode()
    journal = guest.run(["cat", "/run/pre-nixos/journal"]).stdout
    for text in (plan, journal, repr(report)):
        assert FIRST not in text


def test_closed_it_is_opened_and_no_more(guest: Guest) -> None:
    guest.script("umount /mnt; cryptsetup close 'crypt root'; udevadm settle")
    machine = pn.probe(guest.host)
    wanted = layout(machine)
    plan = pn.schedule(machine, wanted, only={pn.Verb.ACTIVATE})
    assert not any(isinstance(step, Zero | RequireBlank) for action in plan.actions for step in action.steps)
    plan = pn.schedule(machine, wanted)
    with pytest.raises(pn.Failed, match="No key available with this passphrase"):
        pn.apply(plan, consent=plan.digest, host=guest.host, secrets={"prompt:Passphrase": "wrong"})
    carry_out(guest, wanted)
    assert guest.run(["cat", "/mnt/file"]).stdout == "kept\n"


def test_open_under_another_name_it_is_mounted_all_the_same(guest: Guest) -> None:
    guest.script("umount /mnt; cryptsetup close 'crypt root'; udevadm settle")
    guest.run(["cryptsetup", "open", "--key-file", "-", guest.node("a") + "1", "luks-rescued"], stdin=FIRST)
    guest.script("udevadm settle")
    wanted = layout(pn.probe(guest.host))
    using = {pn.Verb.ACTIVATE}
    plan = pn.schedule(pn.probe(guest.host), wanted, only=using)
    pn.apply(plan, consent=plan.digest, host=guest.host)
    assert guest.run(["cat", "/mnt/file"]).stdout == "kept\n"
    assert guest.run(["ls", "/dev/mapper"]).stdout.split() == ["control", "luks-rescued"]
    carry_out(guest, wanted)
    assert guest.run(["ls", "/dev/mapper"]).stdout.splitlines() == ["control", r"crypt\x20root"]


def test_another_label_and_another_key_keep_everything(guest: Guest) -> None:
    wanted = layout(pn.probe(guest.host), label="new label", keys=tuple(SECRETS))
    plan = pn.schedule(pn.probe(guest.host), wanted)
    assert [each.verb for each in plan.actions] == [pn.Verb.MODIFY]
    carry_out(guest, wanted)
    assert guest.run(["cat", "/mnt/file"]).stdout == "kept\n"
    guest.script(
        r"printf 'staple\377\n' > /run/second; cryptsetup open --test-passphrase --key-file /run/second "
        + guest.node("a")
        + "1"
    )


def test_how_it_is_open_and_its_key_is_kept_changes_while_it_is_in_use(guest: Guest) -> None:
    options = ("allow_discards", "no_read_workqueue", "no_write_workqueue")
    for discards, unqueued, pbkdf in ((True, True, "argon2id"), (True, False, "pbkdf2"), (False, False, "pbkdf2")):
        wanted = layout(
            pn.probe(guest.host),
            label="new label",
            keys=tuple(SECRETS),
            pbkdf=pbkdf,
            discards=discards,
            unqueued=unqueued,
        )
        assert pn.verify(wanted, guest.host)
        plan = pn.schedule(pn.probe(guest.host), wanted)
        assert [each.verb for each in plan.actions] == [pn.Verb.MODIFY]
        assert not any(plan.losses().values())
        carry_out(guest, wanted)
        table = guest.run(["dmsetup", "table", "crypt root"]).stdout.split()
        assert [each in table for each in options] == [discards, unqueued, unqueued]
    assert guest.run(["cat", "/mnt/file"]).stdout == "kept\n"


def test_another_cost_of_trying_a_key_is_said_and_set(guest: Guest) -> None:
    machine = pn.probe(guest.host)
    wanted = layout(machine, label="new label", keys=tuple(SECRETS), iterations=1200, discards=False, unqueued=False)
    assert [each.text for each in pn.verify(wanted, guest.host)] == [
        "is not as wanted: pbkdf_iterations is 1000, wanted 1200"
    ]
    carry_out(guest, wanted)
    guest.run(["cryptsetup", "open", "--test-passphrase", "--key-file", "-", "/dev/sda1"], stdin=FIRST)
    guest.script("grep -q kept /mnt/file")


def test_another_cipher_would_lose_it_and_needs_its_own_consent(guest: Guest) -> None:
    machine = pn.probe(guest.host)
    draft = pn.Draft(machine, take=machine.disks)
    table = draft.add(gpt.Table(), on=list(machine.disks))
    part = draft.add(gpt.Partition(number=1, size=pn.Rest()), on=[table])
    keys = ("prompt:Passphrase",)
    opened = draft.add(dmcrypt.Luks(mapper="crypt root", cipher="aes-cbc-essiv:sha256", keys=keys), on=[part])
    draft.add(filesystems.Filesystem(type="ext4"), on=[opened])
    plan = pn.schedule(machine, draft.wanted())
    (lost,) = plan.losses().values()
    assert {each.kind for each in lost} >= {"luks", "filesystem"}
    assert "cipher is aes-xts-plain64, wanted aes-cbc-essiv:sha256" in plan.explain(lost[0].id)

"""An installer image as a whole: it boots with systemd and our units, its disks are looked at, a key gets in."""

from __future__ import annotations

import os
import shlex
import time
from typing import TYPE_CHECKING

import pytest

from pre_nixos.lab.description import LabDisk
from tests.integration.booted import SSHD, STORAGE, key_pair, program, starting, status, until_active

if TYPE_CHECKING:
    from pathlib import Path

    from pre_nixos.host.questions import Ran
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

GIB = 1 << 30
SINGLE = {"enable": True, "policy": "single", "policies": {"single": {"least": "300MiB"}}}
LOG = "/var/log/pre-nixos/actions.log"


def identities(guest: Guest) -> str:
    """Everything by which what is on the disks is told apart; a disk in use is never the same to the byte."""
    return guest.run(["lsblk", "--output", "NAME,TYPE,FSTYPE,UUID,PARTUUID,MOUNTPOINTS"]).stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return key_pair(tmp_path_factory.mktemp("keys"))


def test_a_machine_boots_says_what_it_would_do_and_does_it_once_somebody_agreed(
    boot_fresh: BootGuest, tmp_path: Path, keys: tuple[str, str]
) -> None:
    disks = (LabDisk(name="a", size=GIB), LabDisk(name="bystander", size=GIB))
    chosen = SINGLE | {"targets": [disks[0].serial_shown], "rootKeys": [keys[1]], "autoApply": True}
    # The kernel's command line has the last word.
    guest = boot_fresh(starting(chosen, tmp_path, *disks, kernel_line=("pre.plan.only=1",)))
    until_active(guest, "multi-user.target", STORAGE, "pre-nixos-announce.service")
    bystander = guest.hash_disk("bystander")
    blank = guest.hash_disk("a")

    found = status(guest)
    assert found["STATE"] == "planned"
    assert program(guest, "status", check=False).status == 3
    assert guest.hash_disk("a") == blank

    _, *typed = shlex.split(found["DETAIL"].partition("to agree: ")[2])
    program(guest, *typed)
    assert status(guest)["STATE"] == "applied"
    assert "Everything is as wanted" in program(guest, "report").stdout

    made, log = identities(guest), guest.run(["cat", LOG]).stdout
    guest.run(["systemctl", "restart", STORAGE], timeout=120)
    assert status(guest)["STATE"] == "auto-applied"
    assert (identities(guest), guest.run(["cat", LOG]).stdout) == (made, log)
    words = ("--policy", "single", "--least", "300MiB", "--disks", disks[0].serial_shown)
    program(guest, "verify", *words)
    assert guest.hash_disk("bystander") == bystander
    assert '"event": "run-ended"' in guest.run(["journalctl", "--no-pager", "-o", "cat", "-t", "pre-nixos"]).stdout


def test_a_look_that_never_ends_keeps_no_machine_from_starting(boot_fresh: BootGuest, tmp_path: Path) -> None:
    hanging = {f"{STORAGE}.d/hangs.conf": "[Service]\nExecStartPre=/bin/sleep infinity\n"}
    guest = boot_fresh(starting(SINGLE, tmp_path, LabDisk(name="a", size=GIB), units=hanging))
    until_active(guest, "multi-user.target")
    assert guest.run(["systemctl", "is-active", STORAGE], check=False).stdout.strip() == "activating"


def test_a_key_gets_in_and_a_password_does_not(boot_fresh: BootGuest, tmp_path: Path, keys: tuple[str, str]) -> None:
    """As an image does it that is not NixOS: the key is in a file, and a unit installs it."""
    private, public = keys
    guest = boot_fresh(
        starting(SINGLE, tmp_path, LabDisk(name="a", size=GIB), units={"pre-nixos-ssh.service": LETTING_IN})
    )
    until_active(guest, "multi-user.target")
    guest.script(
        f"for each in etc lib usr; do cp -a {SSHD}/$each/. /$each/; done && cp /usr/share/openssh/sshd_config /etc/ssh/"
        " && useradd --system --home-dir /run/sshd --shell /usr/sbin/nologin sshd && ssh-keygen -A"
        " && echo root:correct-horse | chpasswd"
        " && printf 'PermitRootLogin yes\\nPasswordAuthentication yes\\n' > /etc/ssh/sshd_config.d/50-lax.conf"
        " && ln -s /lib/systemd/system/ssh.service /etc/systemd/system/sshd.service"
        " && systemctl daemon-reload && systemctl start sshd"
    )
    guest.run(["tee", "/root/mine"], stdin=private)
    guest.run(["tee", "/root/say"], stdin="#!/bin/sh\necho correct-horse\n")
    guest.script("chmod 600 /root/mine && chmod 700 /root/say")
    assert with_password(guest).status == 0  # or the test would show nothing
    assert with_key(guest).status != 0

    guest.script(f"mkdir -p /run/keys && echo {shlex.quote(public)} > /run/keys/root.pub")
    until_active(guest, "pre-nixos-ssh.service", "sshd.service")
    # It was told to read its configuration, and not waited for.
    deadline = time.monotonic() + 60
    while "Permission denied (publickey)" not in (said := with_password(guest)).stderr:
        assert time.monotonic() < deadline, f"sshd still takes a password: {said}"
    assert with_key(guest).stdout.strip() == "in"


LETTING_IN = """[Unit]
ConditionPathExists=/run/keys/root.pub
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/bin/pre-nixos ssh /run/keys/root.pub
"""
COMMON = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=20"


def with_key(guest: Guest) -> Ran:
    return guest.run(["sh", "-c", f"ssh {COMMON} -i /root/mine -o BatchMode=yes root@127.0.0.1 echo in"], check=False)


def with_password(guest: Guest) -> Ran:
    return guest.run(
        ["sh", "-c", f"ssh {COMMON} -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 root@127.0.0.1 echo in"],
        environment={"SSH_ASKPASS": "/root/say", "SSH_ASKPASS_REQUIRE": "force", "PATH": os.defpath},
        check=False,
    )

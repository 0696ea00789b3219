from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from pre_nixos.host.questions import Command, LookAround, ReadAt, ReadBlockNodes, ReadMounts
from pre_nixos.lab import keeper, residue
from pre_nixos.lab.choice import Kind
from pre_nixos.lab.description import Attachment, Lab, LabDisk, LabError
from pre_nixos.lab.guest import CommandFailed
from pre_nixos.lab.scsi import world_wide_name

if TYPE_CHECKING:
    from pre_nixos.host.questions import BlockNode
    from pre_nixos.lab.guest import Guest
    from tests.integration.conftest import BootGuest

GIB = 1 << 30

DISKS = (
    LabDisk(name="fast", size=2 * GIB, serial="S4EMNX0R1", vendor="ACME", model="SPEEDY 2000"),
    LabDisk(name="slow", size=3 * GIB, serial="WDC0FFEE", rotational=True),
    LabDisk(name="coarse", size=GIB, block_size=4096),
    LabDisk(name="plain", size=GIB, attachment=Attachment.PLAIN),
)


@pytest.fixture(scope="module")
def guest(boot_shared: BootGuest) -> Guest:
    return boot_shared(Lab(disks=DISKS, firmware="uefi"))


@pytest.fixture(scope="module")
def nodes(guest: Guest) -> dict[str, BlockNode]:
    return {node.name: node for node in guest.host.ask(ReadBlockNodes()).nodes}


def test_the_guest_is_root_on_another_kernel(guest: Guest) -> None:
    around = guest.host.ask(LookAround(tools=("mdadm", "no-such-tool")))
    assert around.root
    assert around.firmware == "uefi"
    assert set(around.tools) == {"mdadm"}
    assert guest.run(["uname", "-r"]).stdout.strip() != os.uname().release


@pytest.mark.parametrize("disk", DISKS, ids=lambda disk: disk.name)
def test_disks_are_what_was_asked_for(guest: Guest, nodes: dict[str, BlockNode], disk: LabDisk) -> None:
    node = nodes[guest.kernel_name(disk.name)]
    shown = node.attributes
    assert int(shown["size"]) * 512 == disk.size
    assert shown["queue/rotational"] == str(int(disk.rotational))
    assert shown["queue/logical_block_size"] == str(disk.block_size)
    if disk.attachment is Attachment.SCSI:
        assert (shown["device/vendor"], shown["device/model"]) == (disk.vendor, disk.model)
        assert shown["device/wwid"] == world_wide_name(disk.serial_shown)
        assert any(link.endswith(world_wide_name(disk.serial_shown)[4:]) for link in node.links)
        page = guest.run(["cat", f"/sys/block/{node.name}/device/vpd_pg80"]).stdout
        assert page[4:].strip("\0 ") == disk.serial_shown


def test_disks_are_named_in_the_order_given(guest: Guest) -> None:
    assert [guest.kernel_name(disk.name) for disk in DISKS] == ["sda", "sdb", "sdc", "ubda"]


def test_the_guest_has_its_own_run_tmp_and_var(guest: Guest) -> None:
    with tempfile.NamedTemporaryFile(dir="/tmp") as file:
        assert guest.run(["test", "-e", file.name], check=False).status == 1
    assert guest.run(["ls", "-A", "/mnt", "/var/lib", "/var/tmp"]).stdout.split() == ["/mnt:", "/var/lib:", "/var/tmp:"]
    guest.run(["sh", "-euc", "touch /etc/written /run/written /var/log/written; mkdir /dev/shm/written"])
    assert not os.path.exists("/etc/written")


def test_only_disks_and_artefacts_of_the_host_are_writable(
    guest: Guest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert keeper.available(), "this host's kernel has no Landlock: root in a guest could write to the host"
    outside = tmp_path_factory.mktemp("outside")
    (outside / "file").write_text("mine\n")
    guest.run(["mkdir", "-p", "/mnt/host"])
    guest.run(["mount", "-t", "hostfs", "-o", str(outside), "none", "/mnt/host"])
    try:
        for attempt in (
            "echo theirs > file",
            "echo theirs >> file",
            "rm file",
            "mv file other",
            "touch new",
            "mkdir d",
        ):
            with pytest.raises(CommandFailed):
                guest.run(["sh", "-c", attempt], directory="/mnt/host")
    finally:
        guest.run(["umount", "/mnt/host"])
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("file", "mine\n")]
    guest.run(["sh", "-euc", f"echo hello > {guest.artefacts}/note"])
    note = os.path.join(guest.artefacts, "note")
    with open(note) as file:
        assert file.read() == "hello\n"
    os.unlink(note)


@pytest.mark.parametrize("length", [0, 1, 2000, 3400, 3500, 4096, 60_000])
def test_the_line_carries_any_length_both_ways(guest: Guest, length: int) -> None:
    assert guest.run(["cat"], stdin="ü" * length).stdout == "ü" * length


def test_bytes_of_a_disk_come_through(guest: Guest) -> None:
    guest.run(["sh", "-euc", f"printf '\\377\\0\\n' | dd of={guest.node('coarse')} conv=notrunc,fsync"])
    number = guest.run(["cat", f"/sys/block/{guest.kernel_name('coarse')}/dev"]).stdout.strip()
    assert guest.host.ask(ReadAt(number=number, offset=0, length=4096)).data[:4] == b"\xff\0\n\0"


def test_a_program_that_fails_or_is_late_is_told_apart(guest: Guest) -> None:
    assert guest.host.ask(Command(argv=("false",))).status == 1
    assert guest.run(["no-such-program"], check=False).error == "missing"
    assert guest.run(["sleep", "9"], timeout=0.2, check=False).error == "timeout"
    with pytest.raises(CommandFailed, match="status 3\nwhy"):
        guest.run(["sh", "-c", "echo why; exit 3"])


def test_the_bystander_hashes_alike_until_a_byte_changes(guest: Guest) -> None:
    guest.dirty(residue.BYSTANDER, "slow")
    before = guest.hash_disk("slow")
    guest.run(["sh", "-euc", f"dd if={guest.node('slow')} of=/dev/null bs=1M count=64; sync"])
    assert guest.hash_disk("slow") == before
    guest.run(["sh", "-euc", f"printf x | dd of={guest.node('slow')} bs=1 seek={2 * GIB} conv=notrunc"])
    assert guest.hash_disk("slow") != before


def test_a_mounted_filesystem_is_in_use(guest: Guest) -> None:
    guest.dirty(residue.MOUNTED_FILESYSTEM, "fast")
    assert [(entry.at, entry.type) for entry in guest.host.ask(ReadMounts()).mounts if entry.at == "/mnt/old"] == [
        ("/mnt/old", "ext4")
    ]
    assert guest.run(["umount", "/mnt/old"], check=False).status == 32


@pytest.fixture
def pair(boot_fresh: BootGuest) -> Guest:
    return boot_fresh(Lab(disks=(LabDisk(name="a", size=GIB), LabDisk(name="b", size=GIB))))


def test_the_old_swap_array_is_active_and_comes_back_after_a_power_cut(pair: Guest) -> None:
    pair.dirty(residue.OLD_SWAP_ARRAY, "a", "b")
    nodes = {node.name: node for node in pair.host.ask(ReadBlockNodes()).nodes}
    assert nodes["md127"].slaves == ("sda1", "sdb1")
    (swap,) = (node for node in nodes.values() if node.attributes.get("dm/name") == "swap-swap")
    assert swap.slaves == ("md127",)
    assert pair.host.ask(ReadMounts()).swaps

    pair.run(["sync"])
    pair.power_cut()
    with pytest.raises(LabError, match="switched off"):
        pair.run(["true"])
    pair.boot()
    nodes = {node.name: node for node in pair.host.ask(ReadBlockNodes()).nodes}
    assert nodes["md127"].slaves == ("sda1", "sdb1")
    assert any(node.attributes.get("dm/name") == "swap-swap" for node in nodes.values())
    assert not pair.host.ask(ReadMounts()).swaps


def test_a_power_cut_ends_what_runs_and_keeps_what_was_flushed(pair: Guest) -> None:
    pair.run(["sh", "-euc", f"printf kept | dd of={pair.node('a')} conv=fsync"])
    log = os.path.join(pair.artefacts, "endless.log")
    process = pair.start(["sh", "-c", "while :; do date; sleep 1; done"], log=log)
    pair.run(["kill", "-0", str(process)])
    pair.power_cut()
    pair.boot()
    assert pair.run(["head", "-c", "4", pair.node("a")]).stdout == "kept"
    os.unlink(log)


@pytest.mark.parametrize(
    ("disk", "complaint"),
    [
        (LabDisk(name="n", size=GIB, attachment=Attachment.NVME), "no nvme here"),
        (LabDisk(name="r", size=GIB, removable=True), "nothing is removable"),
        (LabDisk(name="w", size=GIB, wwn="naa.5000c500a1b2c3d4"), "its WWN would be naa.6001405"),
        (LabDisk(name="s", size=GIB + 512), "not a multiple"),
    ],
)
def test_what_the_guest_cannot_be_is_refused(boot_fresh: BootGuest, disk: LabDisk, complaint: str) -> None:
    with pytest.raises(LabError, match=complaint):
        boot_fresh(Lab(disks=(disk,)), Kind.UML)


AS_ANYBODY = """
import os, sys
from pre_nixos.lab.description import Lab, LabDisk
from pre_nixos.lab.choice import Kind, boot
with boot(Lab(disks=(LabDisk(name="a", size=1 << 30),)), artefacts=sys.argv[1], kind=Kind(sys.argv[2])) as guest:
    print(os.getuid(), guest.run(["id", "-u"]).stdout.strip(), guest.kernel_name("a"))
"""


@pytest.mark.parametrize("kind", Kind)
def test_no_root_is_needed_on_the_host(kind: Kind) -> None:
    """Anybody who can read the checkout can boot; where this runs as root, somebody else does it."""
    user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"] * (os.getuid() == 0)
    own = tempfile.mkdtemp(prefix="pre-nixos-anybody-")
    try:
        if become:
            os.chown(own, user.pw_uid, user.pw_gid)
        # An interpreter in root's home is of no use to others: the system's, of the same version, then.
        importable = [path for path in sys.path if path and not path.startswith(sys.base_prefix)]
        candidates = (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}")
        python = next(
            path for path in candidates if _works([*become, path, "-c", "import os, sys; os.stat(sys.executable)"])
        )
        done = subprocess.run(
            [*become, python, "-c", AS_ANYBODY, os.path.join(own, "artefacts"), kind],
            env={"PATH": os.environ["PATH"], "TMPDIR": own, "PYTHONPATH": os.pathsep.join(importable)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.stderr, done.stdout.split()) == ("", [str(user.pw_uid), "0", "sda"])
    finally:
        shutil.rmtree(own)


def _works(argv: list[str]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 0
    except OSError:
        return False

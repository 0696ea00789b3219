"""The first process of a guest, and its agent.

Started by the guest's kernel, or by its initramfs, with the host's tree as a read-only root. It puts a throw-away layer
over that tree, gives the guest its own /dev, /run, /tmp and /var, starts udevd, attaches the disks and then answers on
the serial port.
Run as a script, with nothing but the standard library on the path until the settings are read: so imports of our own
stand where they are needed.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pre_nixos.lab.wire import BootSettings

_libc = ctypes.CDLL(None, use_errno=True)
_MS_RDONLY = 1
_MS_BIND = 4096
_MS_MOVE = 8192
_POWER_OFF = 0x4321FEDC
_NR_FINIT_MODULE = 313
_PATIENCE = 30.0
_SYSTEMD = "/lib/systemd/systemd"
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
EMPTY = ("run", "tmp", "var", "root", "home")
"""Directories that start empty in the guest, whatever the host has there."""


class Stages:
    """Measures what the boot's time goes into."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = 0.0

    def end(self, stage: str) -> None:
        """Say that a stage is over."""
        with open("/proc/uptime") as file:
            now = float(file.read().split()[0])
        self.seconds[stage] = round(now - self._since, 3)
        self._since = now


def mount(source: str, at: str, kind: str, flags: int = 0, data: str = "") -> None:
    """Mount a filesystem without starting a process, which takes 20 ms here."""
    if _libc.mount(source.encode(), at.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} (mounting {kind} from {source!r}, {data!r})", at)


def build_root(settings: BootSettings) -> None:
    """Change into a root that looks like the host's and can be written without the host noticing."""
    release = os.uname().release
    own_modules = f"/usr/lib/uml/modules/{release}"
    if os.path.isdir(own_modules):
        _load(f"{own_modules}/kernel/fs/overlayfs/overlay.ko")
    mount("lab", "/run", "tmpfs")
    for name in ("upper", "work", "root"):
        os.mkdir(f"/run/{name}")
    # Systems are mounted at /mnt, so it must be empty and yet no mount itself: an opaque directory of the upper layer.
    os.mkdir("/run/upper/mnt")
    os.setxattr("/run/upper/mnt", "trusted.overlay.opaque", b"y")
    mount("lab", "/run/root", "overlay", 0, "lowerdir=/,upperdir=/run/upper,workdir=/run/work")
    for name in EMPTY:
        os.makedirs(f"/run/root/{name}", exist_ok=True)
        mount("lab", f"/run/root/{name}", "tmpfs", 0, "mode=755")
    for path in settings.visible:
        os.makedirs(f"/run/root{path}", exist_ok=True)
        mount(path, f"/run/root{path}", "none", _MS_BIND)
    os.chdir("/run/root")
    for name, kind in (("proc", "proc"), ("sys", "sysfs"), ("dev", "devtmpfs")):
        mount("lab", name, kind)
    mount("/run/root", "/", "none", _MS_MOVE)
    os.chroot(".")

    for path, kind in (("/dev/pts", "devpts"), ("/dev/shm", "tmpfs"), ("/sys/kernel/security", "securityfs")):  # noqa: S108 - the guest's own
        os.makedirs(path, exist_ok=True)
        mount("lab", path, kind)
    for path in ("/var/tmp", "/var/lib", "/var/log", "/var/cache", "/run/lock"):  # noqa: S108 - the guest's own
        os.makedirs(path)
    os.chmod("/root", 0o700)
    os.chmod("/tmp", 0o1777)  # noqa: S103, S108 - as everywhere
    os.chmod("/var/tmp", 0o1777)  # noqa: S103, S108 - as everywhere
    os.symlink("/run", "/var/run")
    os.symlink("/run/lock", "/var/lock")
    os.symlink("/proc/self/fd", "/dev/fd")
    os.makedirs("/usr/lib/modules", exist_ok=True)
    if not os.path.exists(f"/usr/lib/modules/{release}"):
        os.symlink(own_modules, f"/usr/lib/modules/{release}")


def hide_host() -> None:
    """Take away the host's own storage configuration, which has no business in the guest."""
    for path in ("/etc/fstab", "/etc/crypttab", "/etc/mdadm/mdadm.conf", "/etc/mdadm.conf"):
        if os.path.exists(path):
            _write(path, "")
    _drop("/etc/lvm/devices")


def add_shares(settings: BootSettings, share: str) -> None:
    """Mount what the guest shares with the host, and pretend to the firmware asked for."""
    from pre_nixos.lab.wire import DISKS, Share

    os.makedirs(settings.artefacts, exist_ok=True)
    if share == Share.HOSTFS:
        os.makedirs(DISKS)
        mount("lab", DISKS, "hostfs", 0, settings.images)
        mount("lab", settings.artefacts, "hostfs", 0, settings.artefacts)
    else:
        mount("artefacts", settings.artefacts, "9p", 0, "trans=virtio,version=9p2000.L,msize=262144")
    if settings.firmware == "uefi":
        # What tools look at to tell; there are no variables behind it.
        mount("lab", "/sys/firmware", "tmpfs")
        os.makedirs("/sys/firmware/efi/efivars")
        _write("/sys/firmware/efi/fw_platform_size", "64\n")


def bring_up(settings: BootSettings, stages: Stages) -> dict[str, str]:
    """Load modules, attach the disks, start udevd and wait until it has seen them all."""
    from pre_nixos.lab import nvme, scsi
    from pre_nixos.lab.wire import DISKS

    modules = ["dm_mod", "md_mod", "loop", *settings.modules]
    if settings.scsi:
        modules += ["configfs", *scsi.MODULES]
    if settings.wwns:
        nvme.believe_qemu(f"/lib/modules/{os.uname().release}/kernel/drivers/nvme/host/nvme.ko")
    _must("modprobe", "-a", "-q", *modules)
    stages.end("modules")
    nodes: dict[str, str] = {}
    if settings.scsi:
        mount("lab", "/sys/kernel/config", "configfs")
        nodes = scsi.attach(settings.scsi, DISKS)
    nodes |= find_disks(settings.places)
    for name, rotational in settings.rotational.items():
        _write(f"/sys/block/{nodes[name]}/queue/rotational", str(int(rotational)))
    nvme.check(nodes, settings.wwns)
    _wait_for(settings.line)
    stages.end("disks")
    # Only now: it would look at everything the modules bring, one after the other, before it came to the disks.
    _must("/lib/systemd/systemd-udevd", "--daemon", "--resolve-names=never")
    stages.end("udevd")
    _must("udevadm", "trigger", "--action=add", "--subsystem-match=block")
    _must("udevadm", "settle", "--timeout=30")
    stages.end("settle")
    return nodes


def find_disks(places: dict[str, str]) -> dict[str, str]:
    """Wait until there is a disk in each of these places, and tell which."""
    import glob

    found: dict[str, str] = {}
    deadline = time.monotonic() + _PATIENCE
    while len(found) < len(places):
        for name in places.keys() - found.keys():
            nodes = [os.path.basename(path) for path in glob.glob(f"/sys/devices/{places[name]}")]
            if len(nodes) == 1:
                found[name] = nodes[0]
        if time.monotonic() > deadline:
            late = ", ".join(sorted(places.keys() - found.keys()))
            raise TimeoutError(f"no node appeared within {_PATIENCE:g} s for disk {late}")
        time.sleep(0.02)
    return found


def main(settings_path: str, share: str) -> NoReturn:
    """Be the guest's first process."""
    stages = Stages()
    mount("lab", "/proc", "proc")
    stages.end("kernel")
    import json

    if share == "hostfs":
        # Mounted, because the guest's own /dev is already over the host's, and the directory may lie there.
        mount("lab", "/run", "hostfs", _MS_RDONLY, os.path.dirname(settings_path))
        settings_path = f"/run/{os.path.basename(settings_path)}"
    with open(settings_path, "rb") as file:
        text = file.read()
    if share == "hostfs":
        _libc.umount2(b"/run", 0)
    sys.path[:0] = json.loads(text)["python_path"]

    import msgspec

    from pre_nixos.lab.wire import BootReport, BootSettings

    settings = msgspec.json.decode(text, type=BootSettings)
    stages.end("imports")
    build_root(settings)
    hide_host()
    add_shares(settings, share)
    _write("/proc/sys/kernel/hostname", settings.hostname)
    # The disks are files of the host, and writing to one takes memory: none could ever be freed by swapping to them.
    _write("/proc/sys/vm/swappiness", "0")
    os.environ.clear()
    os.environ.update(
        PATH=_PATH, HOME="/root", LC_ALL="C.UTF-8", TERM="dumb", PYTHONPATH=os.pathsep.join(settings.python_path)
    )
    stages.end("root")
    report = BootReport(nodes=bring_up(settings, stages), seconds=stages.seconds)
    if settings.systemd:
        prepare_systemd()
    write_files(settings.files)
    child = os.fork()
    if child == 0:
        from pre_nixos.lab.errands import serve_lab

        if settings.systemd:
            _wait_for("/run/systemd/private")
        serve_lab(settings.line, report)
        if settings.systemd:
            power_off()
        os._exit(0)
    if settings.systemd:
        surroundings = {"PATH": _PATH, "TERM": "dumb"}
        os.execle(_SYSTEMD, _SYSTEMD, "--unit=multi-user.target", surroundings)  # noqa: S606 - a program, not a line
    bury_until(child)


def bury_until(agent: int) -> NoReturn:
    """Do what a first process has to do, until the agent ends."""
    while True:
        ended, status = os.wait()
        if ended == agent:
            print(f"lab: the agent ended with status {status}", flush=True)  # noqa: T201 - the console is the log
            power_off()


def write_files(files: dict[str, str]) -> None:
    """Write files; what begins as a script may be run."""
    for path, content in files.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _write(path, content)
        os.chmod(path, 0o755 if content.startswith("#!") else 0o644)


def prepare_systemd() -> None:
    """Make way for systemd: its own udevd, and no unit but those that come with Debian's packages."""
    import shutil

    _must("udevadm", "control", "--exit", "--timeout=30")
    shutil.rmtree("/etc/systemd/system")
    os.mkdir("/etc/systemd/system")
    # By these it would tell that it is in a container, as this machine may be.
    for path in ("/.dockerenv", "/run/.containerenv"):
        if os.path.exists(path):
            os.unlink(path)


def power_off() -> NoReturn:
    """Switch the guest off."""
    os.sync()
    _libc.reboot(ctypes.c_int(_POWER_OFF))
    raise SystemExit(1)


def _load(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    if _libc.syscall(_NR_FINIT_MODULE, descriptor, b"", 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel refused the module", path)
    os.close(descriptor)


def _must(*argv: str) -> None:
    process = os.posix_spawnp(argv[0], argv, os.environ)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with status {status}")


def _wait_for(path: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not appear within {_PATIENCE:g} s")
        time.sleep(0.01)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _drop(directory: str) -> None:
    if os.path.isdir(directory):
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2])
    except BaseException:  # noqa: BLE001 - whatever it is, it goes to the console, and the machine goes off
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        time.sleep(0.1)
        power_off()

"""The first process of a guest, and its agent.

Started by the guest's kernel with the host's tree as a read-only root. It puts a throw-away layer over that tree, gives
the guest its own /dev, /run, /tmp and /var, starts udevd, attaches the disks and then answers on the serial port.
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
    _load(f"/usr/lib/uml/modules/{release}/kernel/fs/overlayfs/overlay.ko")
    mount("lab", "/run", "tmpfs")
    for name in ("upper", "work", "root"):
        os.mkdir(f"/run/{name}")
    # Systems are mounted at /mnt, so it must be empty and yet no mount itself: an opaque directory of the upper layer.
    os.mkdir("/run/upper/mnt")
    os.setxattr("/run/upper/mnt", "trusted.overlay.opaque", b"y")
    mount("lab", "/run/root", "overlay", 0, "lowerdir=/,upperdir=/run/upper,workdir=/run/work")
    for name in EMPTY:
        os.makedirs(f"/run/root/{name}", exist_ok=True)
        mount("lab", f"/run/root/{name}", "tmpfs")
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
    os.chmod("/tmp", 0o1777)  # noqa: S103, S108 - as everywhere
    os.chmod("/var/tmp", 0o1777)  # noqa: S103, S108 - as everywhere
    os.symlink("/run", "/var/run")
    os.symlink("/run/lock", "/var/lock")
    os.symlink("/proc/self/fd", "/dev/fd")
    os.makedirs("/usr/lib/modules", exist_ok=True)
    if not os.path.exists(f"/usr/lib/modules/{release}"):
        os.symlink(f"/usr/lib/uml/modules/{release}", f"/usr/lib/modules/{release}")


def hide_host() -> None:
    """Take away the host's own storage configuration, which has no business in the guest."""
    for path in ("/etc/fstab", "/etc/crypttab", "/etc/mdadm/mdadm.conf", "/etc/mdadm.conf"):
        if os.path.exists(path):
            _write(path, "")
    _drop("/etc/lvm/devices")


def add_shares(settings: BootSettings) -> None:
    """Mount what the guest shares with the host, and pretend to the firmware asked for."""
    from pre_nixos.lab.wire import DISKS

    os.makedirs(DISKS)
    mount("lab", DISKS, "hostfs", 0, settings.images)
    os.makedirs(settings.artefacts, exist_ok=True)
    mount("lab", settings.artefacts, "hostfs", 0, settings.artefacts)
    if settings.firmware == "uefi":
        # What tools look at to tell; there are no variables behind it.
        mount("lab", "/sys/firmware", "tmpfs")
        os.makedirs("/sys/firmware/efi/efivars")
        _write("/sys/firmware/efi/fw_platform_size", "64\n")


def bring_up(settings: BootSettings, stages: Stages) -> dict[str, str]:
    """Start udevd, load modules, attach the disks and wait until udev has seen them all."""
    from pre_nixos.lab import scsi
    from pre_nixos.lab.wire import DISKS

    _must("/lib/systemd/systemd-udevd", "--daemon", "--resolve-names=never")
    stages.end("udevd")
    modules = ["dm_mod", "md_mod", "loop", *settings.modules]
    if settings.scsi:
        modules += ["configfs", *scsi.MODULES]
    _must("modprobe", "-a", "-q", *modules)
    stages.end("modules")
    nodes: dict[str, str] = {}
    if settings.scsi:
        mount("lab", "/sys/kernel/config", "configfs")
        nodes = scsi.attach(settings.scsi, DISKS)
    stages.end("disks")
    _must("udevadm", "trigger", "--action=add", "--subsystem-match=block", "--sysname-match=ubd*")
    _must("udevadm", "settle", "--timeout=30")
    stages.end("settle")
    return nodes


def main(settings_path: str) -> NoReturn:
    """Be the guest's first process."""
    stages = Stages()
    mount("lab", "/proc", "proc")
    stages.end("kernel")
    import json

    # Mounted, because the guest's own /dev is already over the host's, and the directory may lie there.
    mount("lab", "/run", "hostfs", _MS_RDONLY, os.path.dirname(settings_path))
    with open(f"/run/{os.path.basename(settings_path)}", "rb") as file:
        text = file.read()
    _libc.umount2(b"/run", 0)
    sys.path[:0] = json.loads(text)["python_path"]

    import msgspec

    from pre_nixos.lab.wire import BootReport, BootSettings

    settings = msgspec.json.decode(text, type=BootSettings)
    stages.end("imports")
    build_root(settings)
    hide_host()
    add_shares(settings)
    _write("/proc/sys/kernel/hostname", settings.hostname)
    # The disks are files of the host, and writing to one takes memory: none could ever be freed by swapping to them.
    _write("/proc/sys/vm/swappiness", "0")
    os.environ.clear()
    os.environ.update(
        PATH=_PATH, HOME="/root", LC_ALL="C.UTF-8", TERM="dumb", PYTHONPATH=os.pathsep.join(settings.python_path)
    )
    stages.end("root")
    report = BootReport(nodes=bring_up(settings, stages), seconds=stages.seconds)
    child = os.fork()
    if child == 0:
        from pre_nixos.lab.errands import serve_lab

        serve_lab(settings.line, report)
        os._exit(0)
    while True:
        ended, status = os.wait()
        if ended == child:
            print(f"lab: the agent ended with status {status}", flush=True)  # noqa: T201 - the console is the log
            power_off()


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


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _drop(directory: str) -> None:
    if os.path.isdir(directory):
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BaseException:  # noqa: BLE001 - whatever it is, it goes to the console, and the machine goes off
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        time.sleep(0.1)
        power_off()

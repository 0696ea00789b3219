"""A running virtual machine, whatever runs it."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NoReturn, Self

import msgspec

from pre_nixos.host.agent import ChannelError, RemoteHost
from pre_nixos.host.questions import Ran
from pre_nixos.lab import inside
from pre_nixos.lab.description import Attachment, LabDisk, LabError
from pre_nixos.lab.image import content_hash, make_image
from pre_nixos.lab.wire import BootReport, BootSettings, Execute, Nothing

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from pre_nixos.lab.description import Lab
    from pre_nixos.lab.kept import Kept
    from pre_nixos.lab.residue import Recipe

TAIL = 30
"""Lines of the console an error quotes."""

PRELUDE = """
udevadm() {
    command udevadm "$@" || { [ "$1" = settle ] && command udevadm "$@"; }
}
noise() {
    python3 -c 'import random, sys
left, same = int(sys.argv[1]), random.Random(1)
while left:
    left -= sys.stdout.buffer.write(same.randbytes(min(left, 1 << 20)))' "$1"
}
"""
"""What scripts in a guest begin with.

udevd is asked a second time whether it has settled. Once in a few ten thousand times it lets go of who asks before it
answers. A udevd that is gone does not answer the second time either.

`noise` gives as many bytes as are asked for, the same every time: once in a few hundred times a kernel that knows the
tables of old systems takes random bytes for one.
"""

_REMOVAL = {
    Attachment.SCSI: "device/delete",
    Attachment.USB: "device/delete",
    Attachment.NVME: "device/device/remove",
}
"""What takes a disk out of the running machine, from its directory in sysfs."""


class CommandFailed(AssertionError):
    """A program in the guest did not end well; the message has its output."""


class Guest(ABC):
    """One virtual machine. A context manager: leaving it cuts the power and drops the disks.

    If it is left by an exception, or after `keep`, the console, the kernel's log, udev's database and the state of the
    storage stack are in the artefacts directory.
    """

    window = 0
    """How many unread bytes the agent's line takes; 0 for any number."""

    def __init__(self, lab: Lab, *, artefacts: str, visible: Sequence[str] = ()) -> None:
        self.lab = lab
        self.artefacts = os.path.abspath(artefacts)
        """A directory of the host, writable from the guest at the same path."""
        self.visible = tuple(visible)
        self.timings: dict[str, float] = {}
        """Seconds of the last boot, by stage; `boot` is all of it, seen from the host."""
        self._directory = tempfile.mkdtemp(prefix="pre-nixos-lab-")
        self._process: Kept | None = None
        self._line: socket.socket | None = None
        self._host: RemoteHost | None = None
        self._report = BootReport(seconds={}, nodes={})
        self._kept = False
        os.makedirs(self.artefacts, exist_ok=True)
        os.mkdir(self.images)
        for disk in lab.disks:
            make_image(self.image(disk.name), disk.size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            self.keep()
        self.close()

    # What a kind of guest provides.

    @abstractmethod
    def _launch(self) -> tuple[Kept | None, socket.socket]:
        """Start the machine; answer with its process, if there is one to end, and our end of the agent's line."""

    # The machine.

    def boot(self, timeout: float = 60.0) -> None:
        """Start the machine and wait until its agent answers."""
        if self._host is not None:
            raise LabError("the guest is running already: power_cut or power_off first")
        started = time.monotonic()
        self._process, self._line = self._launch()
        host = RemoteHost(self._line, self._line, name=f"guest {os.path.basename(self.artefacts)}", window=self.window)
        try:
            host.greet(timeout)
            self._report = host.call("report", Nothing(), BootReport)
        except ChannelError as error:
            self._cut()
            self._fail(f"the guest did not come up: {error}", error)
        self._host = host
        self.timings = {**self._report.seconds, "boot": round(time.monotonic() - started, 3)}

    def power_cut(self) -> None:
        """Stop as if the plug were pulled: what the guest had not flushed to its disks is lost."""
        self._host = None
        self._cut()

    def power_off(self) -> None:
        """Flush everything, then stop; nothing is unmounted or stopped first."""
        self.run(["sync"])
        self.power_cut()

    def _settings(self, line: str, modules: Sequence[str]) -> BootSettings:
        """Give what the first process of any kind of guest needs to know."""
        return BootSettings(
            python_path=tuple(path for path in sys.path if path),
            line=line,
            scsi=(),
            images=self.images,
            artefacts=self.artefacts,
            visible=paths_to_show(self.visible),
            modules=tuple(modules),
            firmware=self.lab.firmware,
            systemd=self.lab.systemd,
            files=self.lab.files,
        )

    def _write(self, settings: BootSettings) -> str:
        """Write that down, and say where."""
        path = os.path.join(self._directory, "boot.json")
        with open(path, "wb") as file:
            file.write(msgspec.json.encode(settings))
        return path

    def _cut(self) -> None:
        """Stop the machine at once and let go of the line; nothing happens if it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.end()
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def close(self) -> None:
        """Stop the machine and delete its disks."""
        self.power_cut()
        if not self._kept:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.console_path)
            if not os.listdir(self.artefacts):
                os.rmdir(self.artefacts)
        shutil.rmtree(self._directory, ignore_errors=True)

    # Working with it.

    @property
    def host(self) -> RemoteHost:
        """The guest as a `Host`."""
        if self._host is None:
            raise LabError("the guest is switched off")
        return self._host

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        directory: str = "/",
        timeout: float = 60.0,
        check: bool = True,
    ) -> Ran:
        """Run a program as root in the guest; unless told not to check, a failure is an error with its output."""
        wish = Execute(
            argv=tuple(argv), stdin=stdin, environment=dict(environment or {}), directory=directory, timeout=timeout
        )
        ran = self._execute(wish, timeout)
        if check and (ran.status != 0 or ran.error):
            how = ran.error or f"status {ran.status}"
            raise CommandFailed(f"in the guest, {shlex.join(argv)}: {how}\n{ran.stdout}{ran.stderr}".rstrip())
        return ran

    def start(self, argv: Sequence[str], *, log: str, environment: Mapping[str, str] | None = None) -> int:
        """Start a program as root in the guest and do not wait; its output goes to `log`. Gives its process id."""
        wish = Execute(argv=tuple(argv), environment=dict(environment or {}), log=log)
        ran = self._execute(wish, 10.0)
        if ran.error:
            raise CommandFailed(f"in the guest, {shlex.join(argv)}: {ran.error}")
        return ran.status

    def script(
        self, text: str, *words: str, environment: Mapping[str, str] | None = None, timeout: float = 120.0
    ) -> Ran:
        """Run a shell script in the guest, with the words in $1, $2 and so on; it stops at the first that fails."""
        argv = ["sh", "-eu", "-s", "--", *words]
        return self.run(argv, stdin=PRELUDE + text, environment=environment, timeout=timeout)

    def dirty(self, recipe: Recipe, *disks: str) -> None:
        """Leave on these disks what a recipe describes; the script finds their paths in $1, $2 and so on."""
        if len(disks) != recipe.disks:
            raise LabError(f"the recipe {recipe.name!r} takes {recipe.disks} disks, not {len(disks)}")
        nodes = [self.node(disk) for disk in disks]
        self.script(recipe.script, *nodes, timeout=recipe.timeout)

    # Its disks.

    def node(self, disk: str) -> str:
        """Tell where the guest has a disk, such as `/dev/sda`."""
        return f"/dev/{self.kernel_name(disk)}"

    def kernel_name(self, disk: str) -> str:
        """Tell the guest's kernel name of a disk, such as `sda`."""
        self.disk(disk)
        try:
            return self._report.nodes[disk]
        except KeyError:
            raise LabError(f"the guest is off, or has no node for disk {disk!r}") from None

    def disk(self, name: str) -> LabDisk:
        """Find a disk's description."""
        for disk in self.lab.disks:
            if disk.name == name:
                return disk
        raise LabError(f"this lab has no disk {name!r}; it has {', '.join(d.name for d in self.lab.disks) or 'none'}")

    @property
    def images(self) -> str:
        """Directory of the disk images on the host."""
        return os.path.join(self._directory, "disks")

    def image(self, disk: str) -> str:
        """Path of a disk's image on the host."""
        return os.path.join(self.images, f"{disk}.img")

    def pull(self, disk: str) -> None:
        """Take a disk out while the guest runs; until the next boot it has none of this name."""
        attachment = self.disk(disk).attachment
        if attachment not in _REMOVAL:
            raise LabError(f"disk {disk!r}: a plain disk cannot be pulled")
        path = f"/sys/block/{self.kernel_name(disk)}/{_REMOVAL[attachment]}"
        self.script(f'echo 1 > "$(readlink -f {path})"; udevadm settle --timeout=30')

    def hash_disk(self, disk: str) -> str:
        """Hash every byte of a disk, after the guest has flushed what it holds for it."""
        if self._host is not None:
            self.run(["sh", "-euc", f"sync; blockdev --flushbufs {self.node(disk)}"])
        return content_hash(self.image(disk))

    # What is left of it.

    @property
    def console_path(self) -> str:
        """The file with what the guest printed, over all its boots."""
        return os.path.join(self.artefacts, "console.log")

    def console(self, lines: int = TAIL) -> str:
        """Give the last lines the guest printed."""
        try:
            with open(self.console_path, errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except OSError:
            return ""

    def keep(self) -> str:
        """Leave evidence in the artefacts directory, and say where that is; what cannot be collected is left out."""
        self._kept = True
        if self._host is not None:
            script = "; ".join(f"({command}) > {shlex.quote(self.artefacts)}/{name} 2>&1" for name, command in EVIDENCE)
            with contextlib.suppress(LabError):
                self.run(["timeout", "30", "sh", "-c", script], timeout=40, check=False)
        return self.artefacts

    def _execute(self, wish: Execute, timeout: float) -> Ran:
        try:
            return self.host.call("exec", wish, Ran, timeout + 20.0)
        except ChannelError as error:
            self._fail(f"the guest was lost while it ran {shlex.join(wish.argv)}: {error}", error)

    def _fail(self, what: str, cause: Exception) -> NoReturn:
        self._kept = True
        raise LabError(f"{what}\nThe end of {self.console_path}:\n{self.console()}") from cause


def paths_to_show(more: Sequence[str]) -> tuple[str, ...]:
    """Paths of the interpreter, of everything importable, and what else was asked for, where the guest hides them."""
    real = os.path.realpath(sys.executable)
    wanted = {sys.prefix, sys.base_prefix, os.path.dirname(real), *sys.path, *more}
    hidden = sorted(
        path
        for path in {os.path.abspath(path) for path in wanted if path}
        if os.path.isdir(path) and path.split("/")[1] in inside.EMPTY
    )
    return tuple(path for path in hidden if not any(path.startswith(f"{outer}/") for outer in hidden))


EVIDENCE: tuple[tuple[str, str], ...] = (
    ("dmesg.txt", "dmesg"),
    ("mdstat.txt", "cat /proc/mdstat /proc/mounts /proc/swaps"),
    ("udev.txt", "udevadm info --export-db"),
    ("lsblk.txt", "lsblk -O --json"),
    ("dmsetup.txt", "dmsetup info -c; dmsetup table"),
    ("processes.txt", "ps axww"),
)
"""Files of evidence and the commands that fill them, what cannot block first."""

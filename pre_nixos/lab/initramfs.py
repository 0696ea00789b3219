"""The first thing a QEMU guest runs: it loads what leads to the host's tree, and goes over to it."""

from __future__ import annotations

import lzma
import os
import shlex
import shutil
import struct
from typing import TYPE_CHECKING

from pre_nixos.lab import requirements
from pre_nixos.lab.description import LabError
from pre_nixos.lab.kernel import load_order, unzstd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.lab.kernel import Kernel

MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
"""What is needed before there is a root; the rest is loaded from there."""
ROOT = "root"
"""Tag of the host's tree."""
OPTIONS = "trans=virtio,version=9p2000.L,msize=262144"
_DIRECTORY, _FILE, _DEVICE = 0o040755, 0o100755, 0o020600


def write_initramfs(path: str, kernel: Kernel, command: Sequence[str]) -> None:
    """Write an initramfs that ends by becoming this command on the host's tree."""
    modules = load_order(kernel, MODULES)
    with open(path, "wb") as file:
        archive = bytearray()
        for directory in ("dev", "proc", "bin", "modules", "root"):
            archive += entry(directory, _DIRECTORY)
        archive += entry("dev/console", _DEVICE, device=(5, 1))
        archive += entry("bin/busybox", _FILE, _read(static_busybox()))
        for number, module in enumerate(modules):
            archive += entry(f"modules/{number}.ko", _FILE, _module(f"{kernel.modules}/{module}"))
        archive += entry("init", _FILE, init_script(len(modules), command).encode())
        archive += entry("TRAILER!!!", 0)
        file.write(archive)


def init_script(modules: int, command: Sequence[str]) -> str:
    """Write the first process: a few commands, and the power goes off if one of them fails."""
    return "\n".join(
        [
            "#!/bin/busybox sh",
            "b=/bin/busybox",
            'lost() { echo "lab: $1 failed" > /dev/console; $b poweroff -f; }',
            *(f"$b insmod /modules/{number}.ko || lost 'loading module {number}'" for number in range(modules)),
            f"$b mount -t 9p -o ro,cache=loose,{OPTIONS} {ROOT} /root || lost 'mounting the tree of the host'",
            f"exec $b switch_root /root {shlex.join(command)}",
            "",
        ]
    )


def entry(name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """Make one entry of an archive as the kernel unpacks it (cpio, "newc")."""
    encoded = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(header + encoded) + _padded(content)


def static_busybox() -> str:
    """Find a busybox that needs no libraries."""
    found = shutil.which("busybox", path=requirements.PATH)
    if found is None or _has_interpreter(_read(found)[:4096]):
        line = requirements.install_line(["busybox"])
        raise LabError(f"the lab needs a busybox that is linked statically; run: {line}")
    return found


def _has_interpreter(head: bytes) -> bool:
    """Tell whether a 64-bit ELF file asks for a dynamic loader."""
    if head[:5] != b"\x7fELF\x02":
        return True
    (start,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    return any(struct.unpack_from("<I", head, start + number * size)[0] == 3 for number in range(count))


def _module(path: str) -> bytes:
    content = _read(path)
    if path.endswith(".xz"):
        return lzma.decompress(content)
    return unzstd(content) if path.endswith(".zst") else content


def _read(path: str) -> bytes:
    with open(os.path.realpath(path), "rb") as file:
        return file.read()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)

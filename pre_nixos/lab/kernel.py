"""Debian's stock kernel as QEMU starts it fastest: unpacked, which takes us a second and an emulated processor five."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import re
import struct
import subprocess
import tempfile
from typing import TYPE_CHECKING

from pre_nixos.lab import requirements
from pre_nixos.lab.description import LabError
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = re.compile(r"vmlinuz-(.+)")
_ZSTD = b"\x28\xb5\x2f\xfd"


class Kernel(Data):
    """An installed kernel."""

    release: str
    """What `uname -r` says when it runs."""
    image: str
    modules: str
    """Directory of its modules."""


def find_kernel(boot: str = "/boot", modules: str = "/lib/modules", needs: Sequence[str] = ()) -> Kernel:
    """Find the newest installed kernel that we may read and that has these modules.

    Raises LabError with the package to install if there is none.
    """
    unfit: list[str] = []
    for release in sorted(_releases(boot), key=_version, reverse=True):
        kernel = Kernel(release=release, image=f"{boot}/vmlinuz-{release}", modules=f"{modules}/{release}")
        there = _all_modules(kernel)
        lacking = [name for name in needs if name not in there]
        if not os.access(kernel.image, os.R_OK):
            unfit.append(f"{kernel.image} may not be read by this user")
        elif lacking:
            unfit.append(f"{release} has no {', '.join(lacking)}")
        else:
            return kernel
    why = f" ({'; '.join(unfit)})" if unfit else ""
    line = requirements.install_line([requirements.STOCK_KERNEL])
    raise LabError(f"the lab needs Debian's stock kernel in {boot} and {modules}{why}; run: {line}")


def load_order(kernel: Kernel, modules: Sequence[str]) -> list[str]:
    """Name the files to load for these modules to work, in order; what is built in is left out."""
    needs = _dependencies(kernel)
    files = {_module_name(path): path for path in needs}
    order: list[str] = []
    for module in modules:
        if module in files:
            # modprobe's list of what a module needs begins with what depends on the rest of it.
            order += [*reversed(needs[files[module]]), files[module]]
        elif module not in _all_modules(kernel):
            raise LabError(f"kernel {kernel.release} has no module {module}")
    return list(dict.fromkeys(order))


def unpacked(kernel: Kernel, places: Sequence[str]) -> str:
    """Give the path of the kernel unpacked, from the first of these directories that can be written.

    It is kept there under its release and a hash of what it was made of. What cannot be unpacked is used as it is.
    """
    with open(kernel.image, "rb") as file:
        packed = file.read()
    name = f"vmlinux-{kernel.release}-{hashlib.sha256(packed).hexdigest()[:16]}"
    for place in places:
        path = os.path.join(place, name)
        if os.path.exists(path):
            return path
    content = unpack(packed)
    if not content:
        return kernel.image
    for place in places:
        try:
            return _put(content, os.path.join(place, name))
        except OSError:
            continue
    raise LabError(f"the unpacked kernel ({len(content)} bytes) could not be written below any of {', '.join(places)}")


def unpack(packed: bytes) -> bytes:
    """Unpack a kernel; nothing if it is not of a kind we know. Its header says where the packed part is."""
    if packed[0x202:0x206] != b"HdrS":
        return b""
    setup = packed[0x1F1] or 4
    offset, length = struct.unpack_from("<II", packed, 0x248)
    start = (setup + 1) * 512 + offset
    payload = packed[start : start + length]
    try:
        if payload.startswith(b"\xfd7zXZ"):
            content = lzma.LZMADecompressor().decompress(payload)
        elif payload.startswith(b"\x1f\x8b"):
            content = gzip.decompress(payload[:-4])
        elif payload.startswith(_ZSTD):
            content = unzstd(payload[:-4])
        else:
            return b""
    except (OSError, lzma.LZMAError, subprocess.SubprocessError):
        return b""
    return content if content.startswith(b"\x7fELF") else b""


def unzstd(packed: bytes) -> bytes:
    """Unpack what was packed with zstd, by that program."""
    command, environment = ["zstd", "-dcq"], {"PATH": requirements.PATH}
    return subprocess.run(command, input=packed, capture_output=True, timeout=60, check=True, env=environment).stdout


def caches() -> list[str]:
    """Name the directories where the lab keeps what it made once: this checkout's, then the user's."""
    places: list[str] = []
    checkout = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if os.path.exists(os.path.join(checkout, "pyproject.toml")):
        places.append(os.path.join(checkout, ".cache", "lab"))
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return [*places, os.path.join(home, "pre-nixos", "lab")]


def _releases(boot: str) -> list[str]:
    try:
        return [found[1] for name in os.listdir(boot) if (found := _NAME.fullmatch(name))]
    except OSError:
        return []


def _version(release: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", release)]


def _dependencies(kernel: Kernel) -> dict[str, list[str]]:
    try:
        with open(f"{kernel.modules}/modules.dep") as file:
            lines = [line.partition(":") for line in file]
    except OSError:
        return {}
    return {path: needs.split() for path, _, needs in lines}


def _all_modules(kernel: Kernel) -> set[str]:
    """Name what a kernel has as a module, or built in."""
    found = {_module_name(path) for path in _dependencies(kernel)}
    try:
        with open(f"{kernel.modules}/modules.builtin") as file:
            return found | {_module_name(line.strip()) for line in file}
    except OSError:
        return found


def _module_name(path: str) -> str:
    return os.path.basename(path).partition(".ko")[0].replace("-", "_")


def _put(content: bytes, path: str) -> str:
    """Write a file so that nobody ever sees half of it, however many write it at once."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}-")
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return path

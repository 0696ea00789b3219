"""What libblkid finds on a device, by ctypes: no Python binding of it is published.

Part of the child that reads devices (see `devicereader`), so nothing here imports more than the standard library.
"""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False  # as type checkers know it; see devicereader
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    Found: TypeAlias = dict[str, str]
    """libblkid's values for one magic, by its own names."""

LIBRARY = "libblkid.so.1"
MOST = 64
"""More signatures than this on one device are nonsense, or a loop."""

# What the superblocks chain shall tell: label, UUID, type, secondary type, usage, version, magic, wrong checksums too,
# and what more there is about a filesystem (ignored by a library that does not know the flag yet).
_SUPERBLOCKS = 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 11
_BAD_CHECKSUMS = 1 << 10
_FORCE_GPT = 1 << 1
_MAGIC = 1 << 3

_ONLY = 2
_READS_MUCH = (b"zfs_member", b"xfs_external_log")
"""Detectors that read 256 KiB at a time, at both ends. What they have read, dozens of others need not read again."""

_pointer = ctypes.c_void_p


class _Library:
    """libblkid with the types of the functions that are used here."""

    def __init__(self) -> None:
        self._loaded = ctypes.CDLL(LIBRARY, use_errno=True)
        self.reads_much = (ctypes.c_char_p * (len(_READS_MUCH) + 1))(*_READS_MUCH, None)
        number = ctypes.c_int
        size = ctypes.c_uint64
        out_text = ctypes.POINTER(ctypes.c_char_p)
        out_size = ctypes.POINTER(ctypes.c_size_t)
        self.new_probe = self._function("blkid_new_probe", _pointer)
        self.free_probe = self._function("blkid_free_probe", None, _pointer)
        self.reset = self._function("blkid_reset_probe", None, _pointer)
        self.set_device = self._function(
            "blkid_probe_set_device", number, _pointer, number, ctypes.c_int64, ctypes.c_int64
        )
        self.enable_superblocks = self._function("blkid_probe_enable_superblocks", number, _pointer, number)
        self.superblocks_flags = self._function("blkid_probe_set_superblocks_flags", number, _pointer, number)
        self.superblocks_only = self._function(
            "blkid_probe_filter_superblocks_type", number, _pointer, number, ctypes.POINTER(ctypes.c_char_p)
        )
        self.superblocks_all = self._function("blkid_probe_reset_superblocks_filter", number, _pointer)
        self.enable_partitions = self._function("blkid_probe_enable_partitions", number, _pointer, number)
        self.partitions_flags = self._function("blkid_probe_set_partitions_flags", number, _pointer, number)
        self.safe = self._function("blkid_do_safeprobe", number, _pointer)
        self.step = self._function("blkid_do_probe", number, _pointer)
        self.hide = self._function("blkid_probe_hide_range", number, _pointer, size, size)
        self.back = self._function("blkid_probe_step_back", number, _pointer)
        self.count = self._function("blkid_probe_numof_values", number, _pointer)
        self.value = self._function(
            "blkid_probe_get_value", number, _pointer, number, out_text, ctypes.POINTER(_pointer), out_size
        )

    def _function(self, name: str, answer: type | None, *arguments: type) -> Callable[..., Any]:
        function = getattr(self._loaded, name)
        function.restype = answer
        function.argtypes = arguments
        return function  # type: ignore[no-any-return]  # getattr on a library gives its function type


_loaded: list[_Library] = []


def _library() -> _Library:
    if not _loaded:
        _loaded.append(_Library())
    return _loaded[0]


def load() -> None:
    """Load the library, once; it raises OSError where there is none."""
    _library()


class Probe:
    """One look at one open device."""

    def __init__(self, descriptor: int) -> None:
        self._blkid = _library()
        self._probe = self._blkid.new_probe()
        if not self._probe:
            raise MemoryError
        if self._blkid.set_device(self._probe, descriptor, 0, 0) != 0:
            self.close()
            raise OSError(ctypes.get_errno(), "libblkid does not take the device")
        self._blkid.enable_superblocks(self._probe, 1)
        self._read_much()
        self._blkid.enable_partitions(self._probe, 1)

    def close(self) -> None:
        """Give back what libblkid holds."""
        self._blkid.free_probe(self._probe)
        self._probe = None

    def _read_much(self) -> None:
        """Have the ends read at once, and kept, which would be read a sector here and a sector there.

        What is found is told when all detectors look; what cannot be read is read again by each that needs it.
        """
        if self._blkid.superblocks_only(self._probe, _ONLY, self._blkid.reads_much) == 0:
            self._blkid.step(self._probe)
        self._blkid.superblocks_all(self._probe)

    def verdict(self) -> tuple[int, Found]:
        """Give what libblkid itself makes of the device.

        The number is 0 for something found, 1 for nothing, -2 for several things that contradict each other, other
        negative numbers for an error, such as -5 if the device cannot be read.
        """
        self._flags(_SUPERBLOCKS, _MAGIC)
        answer = int(self._blkid.safe(self._probe))
        return answer, self._values() if answer == 0 else {}

    def signatures(self) -> tuple[list[Found], int]:
        """List every magic, also those another one hides, and the error that kept some from being looked for, or 0.

        First what each detector finds. Then once more, each magic found being hidden from the next look (in memory
        only), which shows what the same detector finds elsewhere, such as a second md superblock, and a GPT without
        its protective MBR. Another copy of what was seen before is not listed again.
        """
        found: list[Found] = []
        error = 0
        for again in (False, True):
            self._flags(_SUPERBLOCKS | _BAD_CHECKSUMS, _MAGIC | (_FORCE_GPT if again else 0))
            for _ in range(MOST):
                answer = int(self._blkid.step(self._probe))
                if answer == 1:
                    break
                if answer < 0:
                    error = answer
                    continue
                values = self._values()
                if not any(_same(values, other) for other in found):
                    found.append(values)
                if again:
                    self._hide(values)
        return [values for values in found if not _protects(values, found)], error

    def _hide(self, values: Found) -> None:
        for chain in ("SB", "PT"):
            if f"{chain}MAGIC" in values and f"{chain}MAGIC_OFFSET" in values:
                offset = int(values[f"{chain}MAGIC_OFFSET"])
                self._blkid.hide(self._probe, offset, int(values[f"{chain}MAGIC_LENGTH"]))
                self._blkid.back(self._probe)

    def _flags(self, superblocks: int, partitions: int) -> None:
        self._blkid.superblocks_flags(self._probe, superblocks)
        self._blkid.partitions_flags(self._probe, partitions)
        self._blkid.reset(self._probe)

    def _values(self) -> Found:
        values: Found = {}
        for index in range(int(self._blkid.count(self._probe))):
            name = ctypes.c_char_p()
            data = _pointer()
            size = ctypes.c_size_t()
            if self._blkid.value(self._probe, index, name, data, size) != 0:
                continue
            key = (name.value or b"").decode()
            raw = ctypes.string_at(data, size.value)
            if key in ("SBMAGIC", "PTMAGIC"):
                values[key] = raw.hex()
                values[f"{key}_LENGTH"] = str(len(raw))
            else:
                values[key] = raw.rstrip(b"\0").decode("utf-8", "backslashreplace")
        return values


def _same(one: Found, other: Found) -> bool:
    """Tell whether two finds are copies of one thing."""
    return all(one.get(key) == other.get(key) for key in ("TYPE", "PTTYPE", "UUID", "PTUUID"))


def _protects(values: Found, found: list[Found]) -> bool:
    """Tell whether this is the protective MBR of a GPT that was found, and so part of it."""
    return values.get("PTTYPE") == "PMBR" and any(other.get("PTTYPE") == "gpt" for other in found)

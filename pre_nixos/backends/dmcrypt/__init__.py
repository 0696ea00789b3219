"""Encrypted devices: LUKS volumes, open or closed, and plain dm-crypt mappings."""

from pre_nixos.backends.dmcrypt.activate import open_anew, open_volume
from pre_nixos.backends.dmcrypt.deactivate import close, close_plain
from pre_nixos.backends.dmcrypt.disguise import without_salts
from pre_nixos.backends.dmcrypt.disko import read_luks, write_luks, write_plain
from pre_nixos.backends.dmcrypt.format import make, make_plain
from pre_nixos.backends.dmcrypt.kinds import Forgotten, Luks, Plain
from pre_nixos.backends.dmcrypt.modify import change, change_plain
from pre_nixos.backends.dmcrypt.nixos import opened_at_boot, opened_for_its_content
from pre_nixos.backends.dmcrypt.objections import object_to, refuse_arguments
from pre_nixos.backends.dmcrypt.probe import find
from pre_nixos.backends.dmcrypt.teardown import HEADERS, erase, erase_plain
from pre_nixos.plugin import Backend, hooks, implements


@implements(hooks.backend)
def backend() -> Backend:
    """Own LUKS volumes and plain mappings."""
    return Backend(kinds=[Luks, Plain], tools=["cryptsetup", "dmsetup"], disko_types=["luks"])


__all__ = [
    "HEADERS",
    "Forgotten",
    "Luks",
    "Plain",
    "backend",
    "change",
    "change_plain",
    "close",
    "close_plain",
    "erase",
    "erase_plain",
    "find",
    "make",
    "make_plain",
    "object_to",
    "open_anew",
    "open_volume",
    "opened_at_boot",
    "opened_for_its_content",
    "read_luks",
    "refuse_arguments",
    "without_salts",
    "write_luks",
    "write_plain",
]

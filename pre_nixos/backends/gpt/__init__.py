"""GUID partition tables and their partitions."""

from pre_nixos.backends.gpt.disguise import with_other_guids
from pre_nixos.backends.gpt.disko import read_table, write_table
from pre_nixos.backends.gpt.format import landing_zones, make, where_no_partitions_show
from pre_nixos.backends.gpt.kinds import Partition, Table
from pre_nixos.backends.gpt.modify import change
from pre_nixos.backends.gpt.nixos import for_bios, for_the_boot_loader, only_a_table
from pre_nixos.backends.gpt.objections import object_to, what_a_change_would_overwrite
from pre_nixos.backends.gpt.older import read_older_table
from pre_nixos.backends.gpt.probe import find, in_kernel, scheme, type_of
from pre_nixos.backends.gpt.teardown import removal, remove
from pre_nixos.backends.gpt.types import ESP, SCRATCH
from pre_nixos.plugin import Backend, hooks, implements


@implements(hooks.backend)
def backend() -> Backend:
    """Own GPTs. They are written by libparted, in this process, so no program is needed."""
    return Backend(kinds=[Table, Partition], disko_types=["gpt", "table"])


__all__ = [
    "ESP",
    "SCRATCH",
    "Partition",
    "Table",
    "backend",
    "change",
    "find",
    "for_bios",
    "for_the_boot_loader",
    "in_kernel",
    "landing_zones",
    "make",
    "object_to",
    "only_a_table",
    "read_older_table",
    "read_table",
    "removal",
    "remove",
    "scheme",
    "type_of",
    "what_a_change_would_overwrite",
    "where_no_partitions_show",
    "with_other_guids",
    "write_table",
]

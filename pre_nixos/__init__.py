"""Take a machine's disks from whatever is on them to exactly what was asked for, safely, and prove it.

    machine = pre_nixos.probe()
    wanted = pre_nixos.propose(machine, "tiered", {"careful": True})
    plan = pre_nixos.schedule(machine, wanted)
    report = pre_nixos.apply(plan, consent=plan.digest)
    assert not pre_nixos.verify(wanted)

This is the callers' door. Nothing behind it is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pre_nixos.flow.apply import apply
    from pre_nixos.flow.blank import blank
    from pre_nixos.flow.documents import dump_machine, dump_plan, json_schema, load_machine, load_plan
    from pre_nixos.flow.outcome import Event, Failed, Refused, Report
    from pre_nixos.flow.patience import Patience
    from pre_nixos.flow.probe import probe
    from pre_nixos.flow.propose import propose
    from pre_nixos.flow.restraint import released
    from pre_nixos.flow.schedule import schedule
    from pre_nixos.flow.secrets import Asked
    from pre_nixos.flow.verify import verify
    from pre_nixos.layouts.wanted import check_layout, disks_of_layout, read_layout
    from pre_nixos.layouts.write import WrittenLayout, write_layout
    from pre_nixos.model.action import Action, Verb
    from pre_nixos.model.codec import Unreadable
    from pre_nixos.model.device import BlockDevice
    from pre_nixos.model.draft import Draft, Erasure, Handle, InvalidLayout, Wanted
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Disk, Layer
    from pre_nixos.model.machine import Disks, Machine, NoSuchDisks
    from pre_nixos.model.plan import Plan
    from pre_nixos.model.size import Exact, Rest, Share
    from pre_nixos.render.nixos import WrittenModule, write_module
    from pre_nixos.render.plan import describe_plan

_HOMES = {
    "flow.apply": ("apply",),
    "flow.blank": ("blank",),
    "flow.documents": ("dump_machine", "dump_plan", "json_schema", "load_machine", "load_plan"),
    "flow.outcome": ("Event", "Failed", "Refused", "Report"),
    "flow.patience": ("Patience",),
    "flow.probe": ("probe",),
    "flow.propose": ("propose",),
    "flow.restraint": ("released",),
    "flow.schedule": ("schedule",),
    "flow.secrets": ("Asked",),
    "flow.verify": ("verify",),
    "layouts.wanted": ("check_layout", "disks_of_layout", "read_layout"),
    "layouts.write": ("WrittenLayout", "write_layout"),
    "model.action": ("Action", "Verb"),
    "model.codec": ("Unreadable",),
    "model.device": ("BlockDevice",),
    "model.draft": ("Draft", "Erasure", "Handle", "InvalidLayout", "Wanted"),
    "model.graph": ("DeviceGraph",),
    "model.layer": ("Disk", "Layer"),
    "model.machine": ("Disks", "Machine", "NoSuchDisks"),
    "model.plan": ("Plan",),
    "model.size": ("Exact", "Rest", "Share"),
    "render.nixos": ("WrittenModule", "write_module"),
    "render.plan": ("describe_plan",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Action",
    "Asked",
    "BlockDevice",
    "DeviceGraph",
    "Disk",
    "Disks",
    "Draft",
    "Erasure",
    "Event",
    "Exact",
    "Failed",
    "Handle",
    "InvalidLayout",
    "Layer",
    "Machine",
    "NoSuchDisks",
    "Patience",
    "Plan",
    "Refused",
    "Report",
    "Rest",
    "Share",
    "Unreadable",
    "Verb",
    "Wanted",
    "WrittenLayout",
    "WrittenModule",
    "apply",
    "blank",
    "check_layout",
    "describe_plan",
    "disks_of_layout",
    "dump_machine",
    "dump_plan",
    "json_schema",
    "load_machine",
    "load_plan",
    "probe",
    "propose",
    "read_layout",
    "released",
    "schedule",
    "verify",
    "write_layout",
    "write_module",
]


def __getattr__(name: str) -> object:
    """Fetch what is asked for, the first time it is."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

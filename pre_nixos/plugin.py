"""The door for authors of plugins: everything a backend or a policy needs, and nothing else.

The built-in backends come in through it too.
"""

from pre_nixos.hooks import specs as hooks
from pre_nixos.hooks.marks import for_kind, implements
from pre_nixos.hooks.specs import Backend, Options, Policy
from pre_nixos.host.api import Reader
from pre_nixos.host.questions import (
    BlockNode,
    Command,
    Content,
    ListDirectory,
    MountEntry,
    ReadAt,
    ReadFile,
    ReadMounts,
    Signature,
    Verdict,
)
from pre_nixos.host.survey import Survey, survey
from pre_nixos.model.action import Action, Objection, Replace, Verb
from pre_nixos.model.data import Data
from pre_nixos.model.device import BlockDevice
from pre_nixos.model.draft import Draft, Handle, InvalidLayout, Wanted
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.identity import Found, Ref
from pre_nixos.model.layer import (
    Disk,
    Fact,
    Health,
    How,
    Layer,
    Mismatch,
    Name,
    Passing,
    State,
    Unrecognised,
    kind_of,
)
from pre_nixos.model.machine import Disks, Machine, NoSuchDisks
from pre_nixos.model.plan import Plan
from pre_nixos.model.size import Exact, Rest, Share, Size, as_size, exact_bytes, human, parse_bytes, parse_size
from pre_nixos.model.step import (
    MIB,
    WINDOW,
    Attach,
    Await,
    Detach,
    MakeDirectory,
    Node,
    Range,
    RequireBlank,
    RequireClear,
    RequireFree,
    Run,
    Secret,
    SetAttribute,
    Step,
    SwapOff,
    SwapOn,
    TableEntry,
    WriteFile,
    WriteTable,
    Zero,
)

HEAD = Range(start=0, length=WINDOW)
TAIL = Range(start=-WINDOW, length=WINDOW)
WINDOWS = (HEAD, TAIL)
"""Where anything on a device is looked for: clear these, and it is blank."""

__all__ = [
    "HEAD",
    "MIB",
    "TAIL",
    "WINDOW",
    "WINDOWS",
    "Action",
    "Attach",
    "Await",
    "Backend",
    "BlockDevice",
    "BlockNode",
    "Command",
    "Content",
    "Data",
    "Detach",
    "DeviceGraph",
    "Disk",
    "Disks",
    "Draft",
    "Exact",
    "Fact",
    "Found",
    "Handle",
    "Health",
    "How",
    "InvalidLayout",
    "Layer",
    "ListDirectory",
    "Machine",
    "MakeDirectory",
    "Mismatch",
    "MountEntry",
    "Name",
    "NoSuchDisks",
    "Node",
    "Objection",
    "Options",
    "Passing",
    "Plan",
    "Policy",
    "Range",
    "ReadAt",
    "ReadFile",
    "ReadMounts",
    "Reader",
    "Ref",
    "Replace",
    "RequireBlank",
    "RequireClear",
    "RequireFree",
    "Rest",
    "Run",
    "Secret",
    "SetAttribute",
    "Share",
    "Signature",
    "Size",
    "State",
    "Step",
    "Survey",
    "SwapOff",
    "SwapOn",
    "TableEntry",
    "Unrecognised",
    "Verb",
    "Verdict",
    "Wanted",
    "WriteFile",
    "WriteTable",
    "Zero",
    "as_size",
    "exact_bytes",
    "for_kind",
    "hooks",
    "human",
    "implements",
    "kind_of",
    "parse_bytes",
    "parse_size",
    "survey",
]

"""Steps: the closed instruction set every plan is written in.

A step is data. Backends put steps into actions, the plan shows them, and one executor runs them; there is no other
way to change a machine. A device is never named by the kernel's name for it, which may differ tomorrow and does not
exist for what is still to be made: it is named by the id of the layer that offers it, as a `Node`.
"""

from __future__ import annotations

from typing import TypeAlias

from pre_nixos.model.data import Data

MIB = 1024 * 1024
WINDOW = 16 * MIB
"""How far into the head and the tail of a device anything is looked for, zeroed and read back."""


class Node(Data, tag="node", tag_field="is"):
    """The device a layer offers, found from sysfs parentage at the moment a step needs it."""

    layer: str


SCHEMES = ("file", "keyfile", "env", "fd", "prompt")
"""How a reference to a secret begins: a file without its last line break, a file to the byte, a variable of the
environment, an open descriptor, or a person who is asked."""


class Secret(Data, tag="secret", tag_field="is"):
    """A reference to a secret (`file:`, `keyfile:`, `env:`, `fd:`, `prompt:`), never the secret itself."""

    reference: str
    new: bool = False
    """Whether something is to be locked with it from now on: a person is then asked for it twice."""


class Range(Data):
    """Bytes of a device; a negative start counts from its end."""

    start: int
    length: int


HEAD = Range(start=0, length=WINDOW)
TAIL = Range(start=-WINDOW, length=WINDOW)
WINDOWS = (HEAD, TAIL)
"""Where anything on a device is looked for: clear these, and it is blank."""


class TableEntry(Data):
    """One partition, in bytes from the start of the disk."""

    number: int
    start: int
    length: int
    type: str
    """A partition type GUID for GPT."""
    name: str = ""
    uuid: str | None = None
    """Asked for, never invented: None leaves it to the tool."""
    attributes: int = 0


class Run(Data, tag="run", tag_field="step"):
    """Start one program: no shell, a clean environment, a closed or given stdin, a limit on its time."""

    argv: tuple[str | Node | Secret, ...]
    """A secret among the words becomes the path of a file in memory that only this program has open."""
    stdin: str | Secret | None = None
    timeout: float = 300.0
    aloud: bool = False
    """Whether what it says is told while it runs: it does many things, and takes long."""
    ends: Node | None = None
    """The device among the words that it is to bring to an end: once that is gone its work is done, whatever its
    status."""

    def __post_init__(self) -> None:
        """A command line is words. Raises TypeError for one that is a single string, which is no word list."""
        if isinstance(self.argv, str):
            raise TypeError(f"argv is a tuple of words, and never one string: write argv={tuple(self.argv.split())!r}")


class WriteTable(Data, tag="write-table", tag_field="step"):
    """Make the disk's GPT say exactly this, and the kernel agree.

    Partitions that vanish or move leave the kernel first, and if one is busy nothing is written at all.
    """

    target: Node
    entries: tuple[TableEntry, ...] = ()


class Zero(Data, tag="zero", tag_field="step"):
    """Write zeros, then read them back."""

    target: Node
    ranges: tuple[Range, ...]
    added: bool = False
    """Whether the ranges are what the device has just grown by: nobody who uses it reaches there yet, so they may."""


class Discard(Data, tag="discard", tag_field="step"):
    """Tell the device that nothing on it is needed any more."""

    target: Node


class RequireBlank(Data, tag="require-blank", tag_field="step"):
    """Refuse unless the device is proven blank."""

    target: Node


class RequireFree(Data, tag="require-free", tag_field="step"):
    """Refuse unless nothing uses the device: no holder, no loop, no open file, and it opens exclusively."""

    target: Node
    passing: tuple[str, ...] = ()
    """Programs that may have it open for a moment more: they leave by themselves once what they served has ended."""


class RequireClear(Data, tag="require-clear", tag_field="step"):
    """Refuse unless these ranges read back as zeros."""

    target: Node
    ranges: tuple[Range, ...]


class RequireSize(Data, tag="require-size", tag_field="step"):
    """Refuse unless the device has this many bytes: where it ends now is what the steps after it go by."""

    target: Node
    size: int


class RequireRoom(Data, tag="require-room", tag_field="step"):
    """Refuse unless a file of so many bytes has room in the place of the one at this path, before that goes."""

    path: str
    size: int


class RequireLink(Data, tag="require-link", tag_field="step"):
    """Refuse unless this path leads to the device, for somebody else who finds it by nothing else."""

    target: Node
    path: str


class RequireUnclaimed(Data, tag="require-unclaimed", tag_field="step"):
    """Refuse if a device is where somebody else will take it for theirs, or anything is mounted where they unmount."""

    paths: tuple[str, ...] = ()
    """Paths below /dev, each with all that is below it."""
    directories: tuple[str, ...] = ()
    """Directories, each with all that is below it."""
    apart: tuple[str, ...] = ()
    """Where something may be mounted all the same."""


class Await(Data, tag="await", tag_field="step"):
    """Wait, for so long, until the device is there (and udev has finished with it) or is gone."""

    target: Node
    present: bool = True
    timeout: float = 30.0


class SetAttribute(Data, tag="set-attribute", tag_field="step"):
    """Write a value into a sysfs attribute of the device, such as `md/sync_max`."""

    target: Node
    attribute: str
    value: str
    instead_of: tuple[str, ...] = ()
    """What it must read as for anything to be written, for what changes by itself between plan and step; with nothing
    here it is written in any case."""


class WriteFile(Data, tag="write-file", tag_field="step"):
    """Write a file whole, atomically."""

    path: str
    content: str
    mode: int = 0o644


class MakeDirectory(Data, tag="make-directory", tag_field="step"):
    """Make a directory and its parents if it is not there; with a mode given, see to it that it has that mode."""

    path: str
    mode: int | None = None


class Attach(Data, tag="attach", tag_field="step"):
    """Mount the filesystem on the device at a directory, or change the options it is mounted with there."""

    target: Node | None = None
    """None for a filesystem that is on no device."""
    at: str
    type: str
    options: tuple[str, ...] = ()
    directory: str = ""
    """A directory of the filesystem, made if it is not there, that is mounted in place of all of it."""
    remount: bool = False
    """Whether it is mounted already, and only gets these options beside those it has."""


class Detach(Data, tag="detach", tag_field="step"):
    """Unmount what is mounted at a directory, provided it is the device named."""

    target: Node | None = None
    """None for a filesystem that is on no device."""
    at: str


class NewSubvolume(Data):
    """One subvolume to be made."""

    path: str
    """From the top of the filesystem."""
    origin: str | None = None
    """The path of the subvolume it is a snapshot of; None for an empty one of its own."""
    read_only: bool = False


class MakeSubvolumes(Data, tag="make-subvolumes", tag_field="step"):
    """Make subvolumes of the btrfs on the device, in this order, where nobody but us sees it mounted.

    Directories above them are made as needed; a subvolume that is there already is left as it is.
    """

    target: Node
    subvolumes: tuple[NewSubvolume, ...]


class Grow(Data, tag="grow", tag_field="step"):
    """Let what is on the device take all of it, in use or not; swap goes out of use for that moment."""

    target: Node
    type: str


class SwapOn(Data, tag="swap-on", tag_field="step"):
    """Use the device as swap."""

    target: Node
    priority: int | None = None
    discard: bool = False
    policy: str = ""
    """When to discard: `once`, all of it at the beginning, or `pages`, as they become free; empty for both."""


class SwapToFile(Data, tag="swap-to-file", tag_field="step"):
    """Use a file as swap; make it, of so many bytes, if it is not there."""

    path: str
    size: int
    priority: int | None = None


class SwapOff(Data, tag="swap-off", tag_field="step"):
    """Stop using the device as swap."""

    target: Node


Step: TypeAlias = (
    Run
    | WriteTable
    | Zero
    | Discard
    | RequireBlank
    | RequireFree
    | RequireClear
    | RequireSize
    | RequireRoom
    | RequireLink
    | RequireUnclaimed
    | Await
    | SetAttribute
    | WriteFile
    | MakeDirectory
    | Attach
    | Detach
    | MakeSubvolumes
    | Grow
    | SwapOn
    | SwapToFile
    | SwapOff
)


def secrets_in(step: Step) -> tuple[Secret, ...]:
    """Give the secrets a step needs."""
    if not isinstance(step, Run):
        return ()
    return tuple(each for each in (step.stdin, *step.argv) if isinstance(each, Secret))


def programs_in(step: Step) -> tuple[str, ...]:
    """Name the programs a step starts, also the one that is started with more in its environment."""
    if not isinstance(step, Run):
        return ()
    first, *words = (str(each) for each in step.argv)
    further = next((each for each in words if "=" not in each), None) if first == "env" else None
    return (first,) if further is None else (first, further)


def nodes_in(step: Step) -> tuple[str, ...]:
    """Name the layers whose devices a step needs."""
    if isinstance(step, Run):
        return tuple(each.layer for each in step.argv if isinstance(each, Node))
    target = getattr(step, "target", None)
    return (target.layer,) if isinstance(target, Node) else ()

"""Everything that may be asked of a machine, and what it answers: a closed set, all of it data.

Because questions and answers are data, one machine's answers can be recorded and replayed, and the same questions can
be asked of this host, of a guest in the lab or of a machine at the other end of a pipe.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar, get_args

from pre_nixos.model.data import Data

A = TypeVar("A")


class Question(Data, Generic[A], tag_field="ask"):
    """A question whose answer is an `A`."""


class Ran(Data):
    """What a program did."""

    status: int
    """Exit status; negative for a signal; -1 with `error` set if it did not run to its end."""
    stdout: str = ""
    stderr: str = ""
    error: str = ""
    """Empty, or why there is no status: `missing`, `timeout`, or the system's words."""


class Command(Question[Ran], tag="command"):
    """Run a program that changes nothing."""

    argv: tuple[str, ...]
    timeout: float = 60.0


class Text(Data):
    """The content of a small file; None and an error if it cannot be read."""

    content: str | None = None
    error: str = ""


class ReadFile(Question[Text], tag="read-file"):
    """Read a small text file."""

    path: str


class Names(Data):
    """The entries of a directory, sorted; an error if it cannot be listed."""

    names: tuple[str, ...] = ()
    error: str = ""


class ListDirectory(Question[Names], tag="list-directory"):
    """List a directory."""

    path: str


class Bytes(Data):
    """Bytes of a device, fewer than asked for only with an error."""

    data: bytes = b""
    error: str = ""


class ReadAt(Question[Bytes], tag="read-at"):
    """Read bytes of a block device, past its page cache."""

    number: str
    """`major:minor`."""
    offset: int
    length: int


class Verdict(StrEnum):
    """What is known of a device's content."""

    BLANK = "blank"
    KNOWN = "known"
    DATA = "data"
    """Readable bytes that nothing claims."""
    AMBIGUOUS = "ambiguous"
    UNREADABLE = "unreadable"
    BUSY = "busy"
    """Suspended, or a reader of it never came back."""
    GONE = "gone"


class Signature(Data):
    """One magic found on a device."""

    type: str
    """libblkid's name for it: `ext4`, `LVM2_member`, `linux_raid_member`, `gpt`, `dos`, `PMBR`."""
    usage: str = ""
    """`filesystem`, `raid`, `crypto`, `other`, or `table` for a partition table."""
    offset: int = 0
    length: int = 0
    uuid: str = ""
    label: str = ""
    version: str = ""
    hidden: bool = False
    """Whether it lies inside something else found on the device, such as ext4 inside the member of an array."""
    detail: dict[str, str] = {}
    """Whatever else libblkid said of it, by its own names."""


class Content(Data):
    """What one device holds."""

    number: str
    verdict: Verdict
    size: int = 0
    signatures: tuple[Signature, ...] = ()
    error: str = ""


class Contents(Data):
    """What several devices hold, in the order they were asked for."""

    devices: tuple[Content, ...]


class SafeProbe(Question[Contents], tag="safe-probe"):
    """Look for signatures, all of them, also those another one hides; read the windows where there are none."""

    numbers: tuple[str, ...]
    windows: bool = True
    """Read the first and last 16 MiB of a device without signatures, to tell blank from data."""
    timeout: float = 30.0


class Opened(Data):
    """Whether an exclusive, read-only open succeeded."""

    free: bool
    error: str = ""


class OpenExclusive(Question[Opened], tag="open-exclusive"):
    """Try to open the device exclusively, read-only, and close it again."""

    number: str


class User(Data):
    """Something that uses a device."""

    how: str
    """`holder`, `mount`, `swap`, `loop`, `export`, `open` (the device itself), `file` (something on a filesystem on
    it), `exclusive` (in use, by whom cannot be told)."""
    what: str
    """A device's name, a mount point, a process."""
    pid: int | None = None


class Users(Data):
    """Everything found that uses a device."""

    users: tuple[User, ...] = ()


class WhoUses(Question[Users], tag="who-uses"):
    """Ask who uses this device, and, for a whole disk, its partitions.

    Holders, mounts in every mount namespace, swap, loop devices, exports, open files.
    """

    number: str


class BlockNode(Data):
    """One directory of /sys/class/block, read whole: only what is asked for in `ATTRIBUTES` below."""

    name: str
    number: str
    parent: str = ""
    """The whole disk's name, for a partition."""
    attributes: dict[str, str] = {}
    """sysfs attributes by their path below the node, stripped: `size`, `queue/rotational`, `dm/uuid`, `md/level`."""
    holders: tuple[str, ...] = ()
    slaves: tuple[str, ...] = ()
    udev: dict[str, str] = {}
    """Properties of udev's database: hints, never evidence."""
    links: tuple[str, ...] = ()
    """Paths below /dev that udev made for it, sorted."""
    path: str = ""
    """The real path of its sysfs directory."""


class BlockNodes(Data):
    """Every block device the kernel shows, by name."""

    nodes: tuple[BlockNode, ...]


class ReadBlockNodes(Question[BlockNodes], tag="block-nodes"):
    """Read the whole block device tree from sysfs: quick, and it cannot block on a device."""


class MountEntry(Data):
    """One line of a mountinfo."""

    device: str
    """`major:minor`; empty for a mount of no block device, such as a tmpfs."""
    root: str
    at: str
    type: str
    source: str
    options: tuple[str, ...] = ()
    namespace: str = ""
    """Empty for our own mount namespace, else its inode number and a process in it: `4026532281 (pid 812 sshd)`."""
    mode: int | None = None
    """Permissions of the directory it shows, where the kernel knows them by heart and everybody sees it."""
    size: int | None = None
    """Bytes of the filesystem, where its superblock does not tell while it is mounted, and everybody sees it."""


class MountTable(Data):
    """All mounts of block devices, in all mount namespaces that differ from ours only where they do."""

    mounts: tuple[MountEntry, ...] = ()
    swaps: tuple[str, ...] = ()
    """Paths as /proc/swaps has them."""


class ReadMounts(Question[MountTable], tag="mounts"):
    """Read mountinfo of every mount namespace, and the active swap."""


class Surroundings(Data):
    """What else a policy wants to know of a machine."""

    memory: int
    """Bytes of RAM."""
    architecture: str
    firmware: str
    """`uefi` or `bios`."""
    tools: dict[str, str] = {}
    """Programs that were asked about and found, with their paths."""
    command_line: str = ""
    root: bool = False


class LookAround(Question[Surroundings], tag="look-around"):
    """Memory, firmware, architecture, and which of these programs are installed."""

    tools: tuple[str, ...] = ()


class Mark(Data):
    """How a device is recognised in sysfs: the attributes its directory must show; `*` stands for any value."""

    attributes: dict[str, str]


class Located(Data):
    """A device that was found, or why not."""

    number: str = ""
    name: str = ""
    error: str = ""


class Locate(Question[Located], tag="locate"):
    """Follow sysfs from one device upwards, through partitions and holders, by the marks of each layer on the way."""

    start: str
    """`major:minor` of a disk; empty to look for the first mark among all devices."""
    trail: tuple[Mark, ...] = ()


AnyQuestion: TypeAlias = (
    Command
    | ReadFile
    | ListDirectory
    | ReadAt
    | SafeProbe
    | OpenExclusive
    | WhoUses
    | ReadBlockNodes
    | ReadMounts
    | LookAround
    | Locate
)
AnyAnswer: TypeAlias = (
    Ran | Text | Names | Bytes | Contents | Opened | Users | BlockNodes | MountTable | Surroundings | Located
)


def answer_type(question: type[Question[A]]) -> type[A]:
    """Tell what a kind of question is answered with, from its own declaration `class Q(Question[Answer])`."""
    for base in question.__dict__.get("__orig_bases__", ()):
        for argument in get_args(base):
            return argument  # type: ignore[no-any-return]  # the declaration says it is type[A]
    raise TypeError(
        f"{question.__name__} does not say what it is answered with: class {question.__name__}(Question[...])"
    )


ATTRIBUTES = (
    "device/model",
    "device/serial",
    "device/state",
    "device/transport",
    "device/type",
    "device/vendor",
    "device/wwid",
    "diskseq",
    "dm/name",
    "dm/suspended",
    "dm/uuid",
    "loop/backing_file",
    "loop/offset",
    "md/array_state",
    "md/degraded",
    "md/level",
    "md/metadata_version",
    "md/raid_disks",
    "md/sync_action",
    "md/uuid",
    "partition",
    "queue/logical_block_size",
    "queue/physical_block_size",
    "queue/rotational",
    "removable",
    "ro",
    "serial",
    "size",
    "start",
    "wwid",
)
"""The sysfs attributes `ReadBlockNodes` reads where they exist."""

"""The one seam between the library and a machine.

A `Reader` answers questions and can change nothing. A `Host` is a reader that also does what it is told. Probes and
guards are given a `Reader`; only `apply` ever holds a `Host`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, runtime_checkable

from pre_nixos.model.data import Data
from pre_nixos.model.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pre_nixos.host.questions import Question

A = TypeVar("A")


class TakeLock(Data, tag="take-lock", tag_field="deed"):
    """Become the one apply, wipe or mount of this machine.

    Children inherit the lock, so it outlives a killed parent for just as long as something it started still runs.
    """

    path: str
    holder: str


class DropLock(Data, tag="drop-lock", tag_field="deed"):
    """Give the lock back."""


class Hold(Data, tag="hold", tag_field="deed"):
    """Keep a read-only descriptor open on these disks, so that the kernel cannot give their names away."""

    numbers: tuple[str, ...]
    sequences: tuple[int | None, ...] = ()
    """The diskseq each of them had when it was looked at, where that is known: another disk may have its number now."""


class CheckHeld(Data, tag="check-held", tag_field="deed"):
    """Fail unless the held disks are still the same: same diskseq, same size, still there."""


class LetGo(Data, tag="let-go", tag_field="deed"):
    """Close every held descriptor."""


class HoldOffAssembly(Data, tag="hold-off-assembly", tag_field="deed"):
    """Keep udev from assembling arrays and activating volume groups, or (with `on` false) let it again."""

    on: bool


class AppendLine(Data, tag="append-line", tag_field="deed"):
    """Append a line to a file and flush it to the disk: the journal."""

    path: str
    line: str
    mode: int = 0o600


Deed: TypeAlias = TakeLock | DropLock | Hold | CheckHeld | LetGo | HoldOffAssembly | AppendLine


class Outcome(Data):
    """What became of a step or a deed."""

    ok: bool
    detail: str = ""
    """For people: what happened, to which device; never a secret."""
    refused: bool = False
    """A guard said no, and this step wrote nothing."""
    passing: bool = False
    """It may be over in a moment: worth another try."""
    wrote: bool = False
    """Something may have been written."""
    processes: int = 0
    """How many programs it started."""
    seconds: float = 0.0


class Reader(Protocol):
    """Answers questions; changes nothing."""

    def ask(self, question: Question[A]) -> A:
        """Answer one question. What cannot be read is said in the answer, not raised."""
        ...


class Host(Reader, Protocol):
    """A reader that also does what it is told."""

    def do(self, work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str]) -> Outcome:
        """Do one step or deed.

        `places` gives the `major:minor` of every `Node` the step names; the host turns it into a path at this moment
        and checks that the path is that device. `secrets` gives the value of every `Secret`.
        """
        ...


@runtime_checkable
class Audible(Protocol):
    """What some hosts can do besides: tell what loud programs say while they run. Others tell how it ended."""

    def listen(self, to: Callable[[str], None] | None) -> None:
        """Tell somebody each line from now on, or nobody."""
        ...

"""A person at a desk: gives commands to a machine of toys and reads what comes back."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Annotated, Literal, cast

import msgspec

from pre_nixos.cli.main import main
from pre_nixos.cli.session import Session
from pre_nixos.hooks.registry import Registry
from pre_nixos.model.draft import Draft
from pre_nixos.plugin import Machine, Options, Policy, hooks, implements
from tests.unit import toys
from tests.unit.flow.test_schedule import wanted_pool
from tests.unit.flow.world import World, as_host

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import TextIO

    from pre_nixos.model.draft import Wanted


class ShelfOptions(Options):
    """What one may ask of the policy `shelf`."""

    careful: Annotated[bool, msgspec.Meta(description="Think 100% twice")] = False
    level: Annotated[int, msgspec.Meta(ge=0, le=6, description="Level of the pool")] = 1
    colour_of: Annotated[Literal["red", "blue"] | None, msgspec.Meta(description="Colour")] = None
    disks: Annotated[tuple[str, ...], msgspec.Meta(description="Serial number of a disk to take")] = ()
    json: Annotated[str, msgspec.Meta(description="Has the name of a flag of every command")] = ""


def shelf(machine: Machine, options: Options) -> Wanted:
    assert isinstance(options, ShelfOptions)
    disks = machine.disks.some(1)
    if options.disks:
        disks = machine.disks.where(matching=lambda each: each.serial in options.disks).exactly(len(options.disks))
    return wanted_pool(machine, *disks, level=options.level)


def nothing(machine: Machine, options: Options) -> Wanted:
    del options
    return Draft(machine, take=()).wanted()


@implements(hooks.policies)
def policies() -> Iterable[Policy]:
    yield Policy(name="tiered", summary="A pool on all disks", options=ShelfOptions, propose=shelf)
    yield Policy(name="nothing", summary="Leaves everything alone", options=Options, propose=nothing)


REGISTRY = Registry({"toys": toys, "desk": sys.modules[__name__]}, {"toys": "toys 1.0", "desk": "desk 2.0"})


class Paper(io.TextIOWrapper):
    """A stream that may be a terminal."""

    def __init__(self, *, terminal: bool = False, encoding: str = "utf-8", said: str = "") -> None:
        self.buffer_behind = io.BytesIO(said.encode())
        self._terminal = terminal
        super().__init__(self.buffer_behind, encoding=encoding)

    def isatty(self) -> bool:
        return self._terminal

    def text(self) -> str:
        self.flush()
        return self.buffer_behind.getvalue().decode(self.encoding)


class Ran:
    """How a command ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = err

    @property
    def complaint(self) -> str:
        """What was said on standard error, wherever its lines were broken."""
        return " ".join(self.err.split())

    def json(self) -> dict[str, object]:
        return cast("dict[str, object]", msgspec.json.decode(self.out))


def command(
    *words: str,
    world: World | None = None,
    said: str = "",
    terminal: bool = False,
    encoding: str = "utf-8",
    environ: Mapping[str, str] = {},
    registry: Registry = REGISTRY,
    root: str | None = None,
) -> Ran:
    """Give a command, on a pipe unless there is a terminal."""
    out, err = (Paper(terminal=terminal, encoding=encoding) for _ in range(2))
    stdin = Paper(terminal=terminal, said=said)
    session = Session(
        stdout=cast("TextIO", out),
        stderr=cast("TextIO", err),
        stdin=cast("TextIO", stdin),
        environ=environ,
        registry=registry,
        host=as_host(world) if world is not None else None,
        root=root,
    )
    status = main(words, session)
    return Ran(status, out.text(), err.text())

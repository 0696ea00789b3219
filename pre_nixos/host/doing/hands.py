"""Doing what a plan says: every step and deed, one at a time, each with an outcome in words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, assert_never

from pre_nixos.host.api import (
    AppendLine,
    CheckHeld,
    DropLock,
    Hold,
    HoldOffAssembly,
    LetGo,
    Outcome,
    TakeLock,
)
from pre_nixos.host.doing import (
    attach,
    blocks,
    claims,
    files,
    free,
    growing,
    holds,
    subvolumes,
    swapping,
    table,
    tools,
    waiting,
)
from pre_nixos.host.doing.disklock import Pins
from pre_nixos.host.doing.places import place_of
from pre_nixos.host.doing.problems import Effort, NotDoneError, NotNowError, RefusedError, words
from pre_nixos.model.step import (
    Attach,
    Await,
    Detach,
    Discard,
    Grow,
    MakeDirectory,
    MakeSubvolumes,
    RequireBlank,
    RequireClear,
    RequireFree,
    RequireLink,
    RequireRoom,
    RequireSize,
    RequireUnclaimed,
    Run,
    SetAttribute,
    SwapOff,
    SwapOn,
    SwapToFile,
    WriteFile,
    WriteTable,
    Zero,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pre_nixos.host.api import Deed, Reader
    from pre_nixos.host.doing.tools import Runner
    from pre_nixos.host.questions import Ran
    from pre_nixos.model.step import Step


class Hands:
    """The doing half of a host on the machine it runs on.

    What outlives a step is here and nowhere else: the lock, the held disks, and the pins on partitions that a table
    has just been written for.
    """

    def __init__(self, reader: Reader, runner: Runner | None = None) -> None:
        self._reader = reader
        self._runner: Runner = runner or _run
        self.listener: Callable[[str], None] | None = None
        """Who is told what loud programs say."""
        self._lock = holds.MachineLock()
        self._held = holds.HeldDisks()
        self._pins = Pins()

    def do(self, work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str]) -> Outcome:
        """Do one step or deed. What the world refuses or breaks is in the outcome; only a programming error raises."""
        effort = Effort()
        started = time.monotonic()
        refused = passing = False
        try:
            detail = self._do(work, places, secrets, effort)
            ok = True
        except NotDoneError as error:
            ok, detail, refused = False, str(error), isinstance(error, RefusedError) and not effort.wrote
            passing = refused and isinstance(error, NotNowError)
        except OSError as error:
            ok, detail = False, _told(work, places, error, effort)
        return Outcome(
            ok=ok,
            detail=tools.masked(detail, secrets.values()),
            refused=refused,
            passing=passing,
            wrote=effort.wrote,
            processes=effort.processes,
            seconds=time.monotonic() - started,
        )

    def close(self) -> None:
        """Give back everything that is held."""
        self._pins.release_all()
        self._held.let_go()
        self._lock.drop()

    def _do(  # noqa: C901, PLR0912 - one line for each thing that can be done; the checkers see that none is missing
        self, work: Step | Deed, places: Mapping[str, str], secrets: Mapping[str, str], effort: Effort
    ) -> str:
        match work:
            case Run():
                runner = self._runner
                if work.aloud and self.listener is not None and runner is _run:
                    runner = tools.telling(_run, self.listener, secrets)
                return tools.run(
                    work,
                    lambda node: place_of(node, places).path,
                    secrets,
                    runner,
                    self._lock.inherited,
                    effort,
                    is_gone=lambda node: node.layer in places and waiting.goes(places[node.layer]),
                )
            case WriteTable():
                return table.write_table(place_of(work.target, places), work.entries, self._pins, self._reader, effort)
            case Zero():
                return blocks.zero(
                    place_of(work.target, places), work.ranges, self._pins, self._reader, effort, added=work.added
                )
            case Discard():
                return blocks.discard(place_of(work.target, places), self._pins, self._reader, effort)
            case RequireBlank():
                return free.require_blank(place_of(work.target, places), self._reader)
            case RequireFree():
                return free.require_free(place_of(work.target, places), self._reader, passing=work.passing)
            case RequireClear():
                return blocks.require_clear(place_of(work.target, places), work.ranges)
            case RequireSize():
                return blocks.require_size(place_of(work.target, places), work.size)
            case RequireRoom():
                return files.require_room(work.path, work.size)
            case RequireLink():
                return claims.require_link(place_of(work.target, places), work.path)
            case RequireUnclaimed():
                return claims.require_unclaimed(work, self._reader)
            case Await():
                return self._await(work, places)
            case SetAttribute():
                return files.set_attribute(place_of(work.target, places), work, effort)
            case WriteFile():
                return files.write_file(work.path, work.content, work.mode, effort)
            case MakeDirectory():
                return files.make_directory(work.path, work.mode, effort)
            case Attach():
                return attach.carry_out(work, place_of(work.target, places) if work.target else None, effort)
            case Detach():
                return attach.detach(place_of(work.target, places) if work.target else None, work.at, effort)
            case MakeSubvolumes():
                return subvolumes.make_subvolumes(place_of(work.target, places), work.subvolumes, effort)
            case Grow():
                return growing.grow(place_of(work.target, places), work.type, effort)
            case SwapOn():
                return swapping.swap_on(work, place_of(work.target, places), effort)
            case SwapToFile():
                return swapping.swap_to_file(work.path, work.size, work.priority, effort)
            case SwapOff():
                return swapping.swap_off(place_of(work.target, places), effort)
            case TakeLock():
                return self._lock.take(work.path, work.holder)
            case DropLock():
                return self._lock.drop()
            case Hold():
                return self._held.hold(work.numbers, work.sequences)
            case CheckHeld():
                return self._held.check()
            case LetGo():
                self._pins.release_all()
                return self._held.let_go()
            case HoldOffAssembly():
                return holds.hold_off_assembly(
                    on=work.on, runner=self._runner, inherited=self._lock.inherited, effort=effort
                )
            case AppendLine():
                return files.append_line(work.path, work.line, work.mode)
        assert_never(work)

    def _await(self, work: Await, places: Mapping[str, str]) -> str:
        layer = work.target.layer
        number = places.get(layer)
        if not work.present:
            return waiting.await_absent(number, layer, work.timeout)
        if number is None:
            raise NotDoneError(f"{layer}: no device was found for it to wait for")
        detail = waiting.await_present(number, layer, work.timeout)
        self._pins.release(number)
        return detail


def _told(work: Step | Deed, places: Mapping[str, str], error: OSError, effort: Effort) -> str:
    """An error no step found better words for: what was being done, to which device, and whether it wrote."""
    target = getattr(work, "target", None)
    who = f" on {target.layer} ({places.get(target.layer, 'nowhere')})" if target else ""
    path = f", {error.filename}" if error.filename else ""
    after = "something may have been written" if effort.wrote else "nothing was written"
    return f"{type(work).__name__}{who}{path}: {words(error)}; {after}"


def _run(
    argv: Sequence[str],
    *,
    stdin: bytes | None,
    timeout: float,
    pass_fds: Sequence[int],
    heard: Callable[[str], None] | None = None,
) -> Ran:
    """Start a program by the one place of the library that does; loaded by the first step that needs it."""
    from pre_nixos.host.processes import run

    return run(argv, stdin=stdin, timeout=timeout, pass_fds=pass_fds, heard=heard)

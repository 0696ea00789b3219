"""What may be done to disks while nobody is there: only what loses nothing, and never what nobody could see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.installer.kernelline import Mode
from pre_nixos.installer.status import State
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.model.plan import Plan


LONGEST_COMMAND = 500
"""Characters: so that a status has all of it."""


class Decision(Data):
    """Whether a plan is carried out, and if not, how it stands."""

    go: bool = False
    use: bool = False
    """What is there is brought into use first, by which nothing can be lost, and then it is decided anew."""
    state: State = State.PLANNED
    detail: str = ""


def decide(
    plan: Plan, mode: Mode, names: Mapping[str, str] = {}, *, command: Sequence[str] = (), used: bool = False
) -> Decision:
    """Decide about a plan for which nobody can be asked; `names` is what the kernel calls the disks.

    `command` is how somebody carries the plan out who agrees to it; `used` says that all of what is there was brought
    into use before, as far as that goes.
    """
    from pre_nixos.render.plan import counted, is_done, loses_content
    from pre_nixos.render.words import full_name

    if plan.objections:
        return Decision(state=_against(plan), detail=" ".join(str(each) for each in plan.objections))
    if is_done(plan):
        return Decision(go=True)
    losers = [full_name(each, names) for each in loses_content(plan)]
    size = f"{counted(len(plan.actions), 'action')} on {counted(len(plan.wanted.takes), 'disk')}"
    consent = f"to agree: {_typed(command or ('pre-nixos', 'apply', '--consent', plan.digest))}"
    cost = f"content would be lost on {', '.join(losers)}" if losers else "nothing would be lost"
    if mode is not Mode.APPLY:
        return Decision(state=State.PLANNED, detail=f"{size}; {cost}; {consent}")
    if losers or plan.wanted.erase is not None:
        return Decision(state=State.OCCUPIED, detail=f"{size}; {cost}; {consent}")
    if plan.wanted.scripts:
        return Decision(state=State.PLANNED, detail=f"{size}; it runs scripts, which takes a person; {consent}")
    if plan.looks_again and not used:
        return Decision(use=True)
    if plan.looks_again:
        why = "what else would be lost can be told only once some of it is in use"
        return Decision(state=State.OCCUPIED, detail=f"{size}; {why}; {consent}")
    return Decision(go=True)


def _typed(command: Sequence[str]) -> str:
    """Write a command as it is typed; what would be cut off, as its beginning and its end."""
    from shlex import join

    typed = join(command)
    return (
        typed if len(typed) <= LONGEST_COMMAND else f"{join(command[:2])} {join(command[-2:])}, with the same options"
    )


def _against(plan: Plan) -> State:
    """Tell what could not be seen from what must not be done."""
    from pre_nixos.model.layer import Unrecognised

    unseen = any(each.immovable and each.device is None for each in plan.before.of(Unrecognised))
    return State.UNDETERMINED if unseen else State.REFUSED

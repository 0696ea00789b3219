"""When there is no point in one more round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.flow.engine import makes_something

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.flow.outcome import Round
    from pre_nixos.model.plan import Plan

ROUNDS = 4
"""How often at the most a machine is looked at again before giving up."""


def why_stop(ended: Round, after: Plan, rounds: Sequence[Round], *, cancelled: bool) -> str:
    """Say why there is no point in going on; empty if there is."""
    if cancelled:
        return f"Stopped, as asked, before {ended.failed}." if ended.failed else "Stopped, as asked."
    if after.objections:
        return "\n".join([*filter(None, [ended.problem]), *(str(each) for each in after.objections)])
    engine = after.wanted.engine
    if engine is not None and not ended.failed and all(makes_something(each.actions) for each in (ended.plan, after)):
        return (
            f"{engine.name} came to a good end, and what it made is not what is wanted. It would do the same "
            "again, so it is not asked again; without it, pre-nixos makes what is wanted itself."
        )
    if len(rounds) >= ROUNDS or _is_stuck(rounds):
        return ended.problem or "Things keep coming back: after every round there was something left to do."
    return ""


def _is_stuck(rounds: Sequence[Round]) -> bool:
    """Whether the last two rounds failed at once, at the same thing, in the same words."""
    if len(rounds) < 2:
        return False
    before, last = rounds[-2:]
    return bool(last.failed) and not last.done and (before.failed, before.problem) == (last.failed, last.problem)

"""The one action a hook is expected to answer with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.plugin import Action, Replace

if TYPE_CHECKING:
    from collections.abc import Sequence


def sole(answer: Sequence[Action] | Replace | None) -> Action:
    assert answer is not None
    assert not isinstance(answer, Replace)
    assert len(answer) == 1
    return answer[0]

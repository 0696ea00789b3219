"""Asking again: some refusals are over in a moment, and none of them is ever taken for a yes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, TypeVar

from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Callable

A = TypeVar("A")

NAP = 0.05
"""Seconds after which it is looked whether somebody wants to stop."""


class Patience(Data):
    """How often something is asked before a refusal counts, and at what distance.

    A path to a disk over the network that was lost and comes back answers with errors for eight to ten seconds.
    """

    tries: int = 5
    pause: float = 2.0
    """Seconds from the beginning of one try to the beginning of the next; one that takes longer is not waited after."""


class Asked(Data, Generic[A]):
    """What came of it."""

    answer: A
    tries: int


def ask_again(
    patience: Patience, ask: Callable[[], A], may_pass: Callable[[A], bool], cancel: Callable[[], bool]
) -> Asked[A]:
    """Ask until the answer is one that stays, or patience is over, or somebody wants to stop."""
    tries = 0
    while True:
        began = time.monotonic()
        answer = ask()
        tries += 1
        if not may_pass(answer) or tries >= patience.tries or cancel():
            return Asked(answer=answer, tries=tries)
        while (left := began + patience.pause - time.monotonic()) > 0:
            if cancel():
                return Asked(answer=answer, tries=tries)
            time.sleep(min(NAP, left))

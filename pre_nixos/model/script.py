"""Scripts of whoever wrote a layout: the only shell there is, and only for who allowed it.

A script is data of what is wanted. A plan has it as an ordinary step at the moment it belongs to, so that what is shown
and agreed to is what runs, to the byte: nothing is ever put into it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pre_nixos.model.data import Data
from pre_nixos.model.step import Run

if TYPE_CHECKING:
    from pre_nixos.model.action import Action
    from pre_nixos.model.step import Step

SHELL = ("bash", "--norc", "-efu", "-c", "--")
"""What a script is given to. It ends at the first command that fails (-e) or variable that is not set (-u), and a `*`
stays a `*` (-f). After the dashes even a script that begins with one is taken for a script."""
LONGEST = 128 * 1024 - 1
"""Bytes: what Linux takes as one word of a command."""


class Moment(StrEnum):
    """When a script runs: before or after a layer is made, brought into use, or released."""

    BEFORE_MAKING = "before-making"
    AFTER_MAKING = "after-making"
    BEFORE_USE = "before-use"
    AFTER_USE = "after-use"
    BEFORE_RELEASE = "before-release"
    AFTER_RELEASE = "after-release"

    @property
    def is_before(self) -> bool:
        """Whether it comes before what it is about."""
        return self in {Moment.BEFORE_MAKING, Moment.BEFORE_USE, Moment.BEFORE_RELEASE}

    @property
    def is_release(self) -> bool:
        """Whether it comes when something ends."""
        return self in {Moment.BEFORE_RELEASE, Moment.AFTER_RELEASE}


class Script(Data):
    """One script, and the moment it belongs to. It runs if that moment comes, and not otherwise."""

    layer: str
    """The id of the layer in question."""
    moment: Moment
    text: str


def step_of(script: Script) -> Run:
    """Give the step that runs a script: all of it is one word of the command."""
    return Run(argv=(*SHELL, script.text))


def text_of(step: Step) -> str | None:
    """Give the script a step runs; None if it is any other step."""
    if not isinstance(step, Run) or step.argv[:-1] != SHELL:
        return None
    return step.argv[-1] if isinstance(step.argv[-1], str) else None


def runs_script(action: Action) -> bool:
    """Whether a script is part of an action: what that does nobody can tell, whatever the verb says."""
    return any(text_of(step) is not None for step in action.steps)

"""Actions: what a plan does, one arrow of one layer at a time."""

from __future__ import annotations

from enum import StrEnum

from pre_nixos.model.data import Data
from pre_nixos.model.script import text_of
from pre_nixos.model.step import RequireBlank, RequireClear, RequireFree, Step, nodes_in


class Verb(StrEnum):
    """The arrows between absent, inactive and active.

    And `modify`, which stays where it is; and `erase`, for a disk with nothing on it any more that is to forget it all.
    """

    DEACTIVATE = "deactivate"
    TEARDOWN = "teardown"
    ERASE = "erase"
    MODIFY = "modify"
    FORMAT = "format"
    ACTIVATE = "activate"

    @property
    def loses_nothing(self) -> bool:
        """Whether it cannot destroy, whatever it is pointed at; only a script that is put into it can."""
        return self in {Verb.DEACTIVATE, Verb.ACTIVATE}

    @property
    def looks_back(self) -> bool:
        """Whether it is about what is there, and not about what is wanted."""
        return self in {Verb.DEACTIVATE, Verb.TEARDOWN, Verb.ERASE}


class Action(Data):
    """One arrow for one layer: its steps, and what they touch and destroy."""

    verb: Verb
    target: str
    summary: str
    steps: tuple[Step, ...]
    touches: tuple[str, ...] = ()
    """Ids of the disks it may write to; filled in by the scheduler from what the target stands on."""
    destroys: tuple[str, ...] = ()
    """Ids of the layers whose content ends with it."""
    makes: tuple[str, ...] = ()
    """Ids of the layers that are made with it, besides the target and its parts."""

    @property
    def id(self) -> str:
        """What the journal and the progress call it."""
        return f"{self.verb} {self.target}"

    @property
    def is_destructive(self) -> bool:
        """Whether it may overwrite something, so that the guards are asked first."""
        return not self.verb.loses_nothing

    def proves_blank(self, layer: str) -> bool:
        """Whether its steps refuse unless this layer's device is blank, before any of them writes to it."""
        proven = False
        for step in self.steps:
            if isinstance(step, RequireBlank) and step.target.layer == layer:
                proven = True
            elif text_of(step) is not None:
                proven = False  # a script may write anywhere
            elif not isinstance(step, RequireBlank | RequireFree | RequireClear) and layer in nodes_in(step):
                break
        return proven


class Replace(Data):
    """What `modify` answers when the change cannot be made in place."""

    why: str


class Objection(Data):
    """A reason not to go on, in words for people."""

    subject: str
    """The id of the layer or disk it is about; empty if it is about the machine."""
    text: str
    remedy: str = ""
    passing: bool = False
    """Whether it may be over in a moment: a guard is then asked again, some times, before it is believed."""

    def __str__(self) -> str:
        """The whole of it."""
        return f"{self.text} {self.remedy}".strip()

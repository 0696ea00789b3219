"""What went wrong, in words: every way a command can end that is not its result."""

from __future__ import annotations

from enum import StrEnum

NOTHING_CHANGED = "Nothing was changed."


class Outcome(StrEnum):
    """How a command ended without its result."""

    REFUSED = "refused"
    """Nothing was touched."""
    FAILED = "failed"
    """Something may have been."""
    USAGE = "usage"
    """The command line makes no sense."""

    @property
    def status(self) -> int:
        """The exit status."""
        return 2 if self is Outcome.USAGE else 1


class Complaint(Exception):
    """Why a command cannot give its result: what happened and, in the last sentence, what to do."""

    def __init__(
        self, *problems: str, advice: str = "", outcome: Outcome = Outcome.REFUSED, has_result: bool = False
    ) -> None:
        """Take what happened, and what to do; with `has_result` the result in JSON was written all the same."""
        super().__init__("\n".join(problems))
        self.has_result = has_result
        self.problems = problems
        self.advice = advice
        self.outcome = outcome


class Usage(Complaint):
    """The command line makes no sense."""

    def __init__(self, *problems: str, advice: str = "") -> None:
        super().__init__(*problems, advice=advice, outcome=Outcome.USAGE)


def complaint_about(error: Exception) -> Complaint:
    """Say in words what an error of the library means."""
    if isinstance(error, Complaint):
        return error
    # Only who has to complain loads what there is to complain about.
    from pre_nixos.flow.outcome import Refused
    from pre_nixos.hooks.registry import PluginError
    from pre_nixos.model.codec import Unreadable
    from pre_nixos.model.draft import InvalidLayout

    if isinstance(error, Refused):
        return Complaint(*error.reasons)
    if isinstance(error, InvalidLayout):
        return Complaint(*error.problems, advice="`pre-nixos policies` lists the policies with their options.")
    if isinstance(error, Unreadable):
        return Complaint(str(error))
    if isinstance(error, PluginError):
        return Complaint(str(error), advice="`pre-nixos plugins` says which distribution each plugin belongs to.")
    return _fault(error)


def _fault(error: Exception) -> Complaint:
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        place = f" ({file.rpartition('/pre_nixos/')[2]}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return Complaint(
        f"This is a fault in pre-nixos itself: {type(error).__name__}: {error}{place}.",
        advice="Set PRE_NIXOS_TRACEBACK=1 to see all of it; `pre-nixos record FILE --pseudonyms` writes down what this "
        "machine answers, so that somebody can reproduce it.",
    )


__all__ = ["NOTHING_CHANGED", "Complaint", "Outcome", "Usage", "complaint_about"]

"""Which kind of guest a machine gets: User Mode Linux where that can be it, because it is up sooner; QEMU otherwise."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pre_nixos.lab.description import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.lab.description import Lab
    from pre_nixos.lab.guest import Guest


class Kind(StrEnum):
    """What a guest runs on."""

    UML = "uml"
    QEMU = "qemu"


def choose(lab: Lab) -> Kind:
    """Tell the kind of guest that can be this machine. Raises LabError with what is wrong with each if none can."""
    from pre_nixos.lab import hardware, uml

    reasons = {Kind.UML: uml.problems(lab), Kind.QEMU: hardware.problems(lab)}
    for kind, problems in reasons.items():
        if not problems:
            return kind
    words = [f"{kind}: {problem}" for kind, problems in reasons.items() for problem in problems]
    raise LabError("no kind of guest can be this machine:\n" + "\n".join(words))


def boot(lab: Lab, *, artefacts: str, visible: Sequence[str] = (), kind: Kind | None = None) -> Guest:
    """Boot a guest; use it in a `with` statement. It is of the kind that fits best, unless one is insisted on.

    `artefacts` is a directory for evidence, writable from the guest. `visible` are further paths of the host the guest
    is to see if they lie in a directory that is its own, such as /tmp; interpreter and checkout are always seen.
    """
    from pre_nixos.lab import qemu, uml

    if (kind or choose(lab)) is Kind.UML:
        return uml.boot(lab, artefacts=artefacts, visible=visible)
    return qemu.boot(lab, artefacts=artefacts, visible=visible)

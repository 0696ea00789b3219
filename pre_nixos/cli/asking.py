"""Getting the secrets of a plan; the person who is there is asked, and what they type is not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.cli.session import Session
    from pre_nixos.flow.secrets import Asked
    from pre_nixos.model.plan import Plan


def secrets_for(plan: Plan, session: Session) -> Mapping[str, str]:
    """Get every secret the plan needs; none for one that needs none."""
    from pre_nixos.flow.secrets import Secrets, Unresolved

    secrets = Secrets(ask=_ask if session.can_ask else None)
    try:
        secrets.resolve(plan)
    except Unresolved as error:
        raise Complaint(*error.reasons, advice="Nothing was changed.") from None
    for warning in secrets.warnings:
        session.err.say(warning)
    return secrets.values


def _ask(asked: Asked) -> str | None:
    from getpass import getpass

    try:
        return getpass(f"{asked.text}{', once more' if asked.again else ''}: ")
    except EOFError:
        return None

"""`pre-nixos wipe`: takes down whatever stands on some disks, and leaves them blank."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint
from pre_nixos.cli.consented import add_consent, add_jobs, check, with_consent
from pre_nixos.cli.plan import put_plan, show_plan, status_of
from pre_nixos.cli.source import look
from pre_nixos.cli.standing import Standing
from pre_nixos.installer.status import State

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.model.layer import Disk
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.plan import Plan

NEEDS_POLICY = False


def declare(parser: Parser) -> None:
    """Say what may stand behind `wipe`."""
    parser.add_argument(
        "disks",
        nargs="+",
        metavar="DISK",
        help="a whole disk: its serial, WWN, link below /dev/disk/by-id or id; or, where somebody will be asked or "
        "gives the digest, the kernel's name for it",
    )
    erasing = parser.add_mutually_exclusive_group()
    erasing.add_argument(
        "--discard",
        dest="erase",
        action="store_const",
        const="discard",
        help="then tell each disk that it may forget all of its content",
    )
    erasing.add_argument(
        "--overwrite",
        dest="erase",
        action="store_const",
        const="overwrite",
        help="then overwrite each disk with zeros, all of it, and read them back: this takes hours",
    )
    parser.add_argument(
        "--check", action="store_true", help="only show the plan; exit with 3 if there is anything to do"
    )
    add_consent(parser)
    add_jobs(parser)


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Wipe disks."""
    check(arguments)
    plan_for = partial(_plan, arguments=arguments, session=session)
    if arguments.check:
        return _show(arguments, session)
    whole = shlex.join(["pre-nixos", "wipe", "--check", *arguments.disks])
    return with_consent(arguments, session, plan_for, whole=whole, standing=Standing(session, None, done=State.WIPED))


def _show(arguments: argparse.Namespace, session: Session) -> int:
    from pre_nixos.render.words import kernel_names

    machine = look(session)
    plan = _plan(machine, arguments, session)
    if arguments.json:
        put_plan(plan, session)
    else:
        show_plan(plan, session.out, kernel_names(machine.graph))
    return status_of(plan, check=True)


def _plan(machine: Machine, arguments: argparse.Namespace, session: Session) -> Plan:
    from pre_nixos.flow.blank import blank
    from pre_nixos.flow.schedule import schedule
    from pre_nixos.model.draft import Erasure, InvalidLayout

    erase = Erasure(arguments.erase) if arguments.erase else None
    try:
        wanted = blank(machine, list(_meant(machine, arguments)), erase=erase)
    except InvalidLayout as error:
        raise Complaint(*error.problems, advice="Nothing was changed.") from error
    return schedule(machine, wanted, registry=session.registry)


def _meant(machine: Machine, arguments: argparse.Namespace) -> Iterator[Disk | str]:
    """Give the disks that were named; one by the kernel's name only where somebody sees what that is today."""
    by_name = {disk.device.name: disk for disk in machine.all_disks if disk.device}
    nodes = {node.device.name: node for node in machine.graph.layers() if node.device}
    for word in arguments.disks:
        name = word.removeprefix("/dev/")
        disk = by_name.get(name)
        if disk is not None and not arguments.yes:
            yield disk
        elif disk is not None:
            known = disk.serial or disk.wwn or disk.id
            raise Complaint(
                f"{word} is what the kernel calls this disk now, and may be another one after the next start: with "
                "--yes nobody would see which. Nothing was changed.",
                advice=f"Call it {known}, or agree to the plan by its digest.",
            )
        elif name in nodes:
            raise Complaint(
                f"{word} is {nodes[name].title}, and only whole disks are wiped. Nothing was changed.",
                advice="Name the disk it is on.",
            )
        else:
            yield word

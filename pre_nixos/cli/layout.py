"""A layout in the place of a policy: what should be on a machine comes from a file."""

from __future__ import annotations

import argparse
import posixpath
from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint, Usage
from pre_nixos.cli.source import source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.model.draft import InvalidLayout, Wanted
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.machine import Machine
    from pre_nixos.model.script import Script

ROOT = "/mnt"


def add_layout(parser: Parser) -> None:
    """Add the options that take a layout in the place of a policy."""
    parser.add_argument(
        "--layout",
        metavar="FILE",
        help="take what should be there from this file, in the words of Disko (JSON or TOML)",
    )
    parser.add_argument(
        "--disk",
        metavar="NAME=DISK",
        action="append",
        default=[],
        help="which disk a name in the layout means, whatever the layout says: serial, WWN, id or by-id link; may be "
        "given again",
    )
    parser.add_argument(
        "--allow-hooks",
        action="store_true",
        help="take the scripts in the layout as well (postCreateHook and so on); the plan shows all of them",
    )
    parser.add_argument(
        "--root", metavar="PATH", type=absolute, help=f"where the described system's root is (default: {ROOT})"
    )


def absolute(path: str) -> str:
    """Take a path as an option that must be absolute."""
    if not path.startswith("/") or ".." in path.split("/"):
        raise argparse.ArgumentTypeError(f"{path!r} is no absolute path")
    return "/" + posixpath.normpath(path).strip("/")


def add_check(parser: Parser) -> None:
    """Add the option that only looks whether a layout is right."""
    parser.add_argument(
        "--check-layout", metavar="FILE", help="only say what is wrong with this layout; takes no machine and no root"
    )


def disks_named(arguments: argparse.Namespace) -> Mapping[str, Sequence[str]]:
    """Read which disk each name is to mean."""
    found: dict[str, list[str]] = {}
    for each in arguments.disk:
        name, equals, disk = each.partition("=")
        if not (name and equals and disk):
            raise Usage(f"--disk takes a name in the layout and a disk, such as main=S4X2NX0R, and not {each!r}.")
        found.setdefault(name, []).append(disk)
    return found


def wanted_by_layout(arguments: argparse.Namespace, machine: Machine, session: Session) -> Wanted:
    """Read what the layout wants."""
    from pre_nixos.layouts.wanted import read_layout
    from pre_nixos.model.draft import InvalidLayout

    try:
        return read_layout(
            machine,
            source(arguments.layout),
            disks=disks_named(arguments),
            root=arguments.root or ROOT,
            allow_hooks=arguments.allow_hooks,
            registry=session.registry,
        )
    except InvalidLayout as error:
        raise complaint(arguments.layout, error) from error


def check(arguments: argparse.Namespace, session: Session) -> int:
    """Say what is wrong with a layout; 1 if anything is."""
    from pre_nixos.flow.documents import called
    from pre_nixos.layouts.wanted import check_layout

    path = arguments.check_layout
    problems = check_layout(
        source(path), disks=disks_named(arguments), allow_hooks=arguments.allow_hooks, registry=session.registry
    )
    if arguments.json:
        session.put_json(
            {"format": "pre-nixos layout check", "version": 1, "right": not problems, "problems": problems}
        )
    else:
        from pre_nixos.render.text import printable

        # A line each, however long: who reads many of these looks for one.
        for line in problems or (f"Nothing is wrong with {called(source(path))}.",):
            session.out.write(f"{printable(line)}\n")
    return 1 if problems else 0


def put_layout(
    graph: DeviceGraph,
    machine: Machine,
    session: Session,
    scripts: Sequence[Script] = (),
    *,
    as_json: bool = False,
    found_at: str = "",
) -> None:
    """Write a graph as a layout, with the names of a machine's disks; what it has no words for is said beside it.

    A graph that was found is that of the system whose root is at `found_at`.
    """
    from pre_nixos.layouts.write import BEYOND, write_layout
    from pre_nixos.model.layer import Disk

    # While they are there, the kernel's names are what people know the disks by.
    disks = machine.graph.of(Disk)
    known = {disk.id: disk.device.name for disk in disks if disk.device and disk.device.name}
    written = write_layout(
        graph, names=known, disks=disks, scripts=scripts, found_at=found_at, registry=session.registry
    )
    session.out.write(written.to_json().decode() if as_json else written.to_nix())
    for each in written.left_out:
        session.err.say(f"Left out: {each}.")
    if written.left_out:
        session.err.say("Where this layout is applied, what is left out of its disks goes, once that is agreed to.")
    for each in written.beyond():
        session.err.say(f"{BEYOND}: {each}.")


def complaint(path: str, error: InvalidLayout) -> Complaint:
    """Say what is wrong with a layout."""
    return Complaint(
        *error.problems,
        advice=f"Nothing was changed. `pre-nixos plan --check-layout {path}` looks at the layout alone.",
    )


def path_of(path: str) -> str:
    """Give a path for what reads a layout more than once, which a descriptor cannot be."""
    return "/dev/stdin" if path == "-" else path

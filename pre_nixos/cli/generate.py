"""`pre-nixos generate`: what NixOS must be told of the disks, as a module beside the configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import NOTHING_CHANGED, Complaint, Usage
from pre_nixos.cli.layout import ROOT
from pre_nixos.cli.parser import add_machine
from pre_nixos.cli.policy import add_choice, at_root, wanted_by
from pre_nixos.cli.source import read_machine, read_plan

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.model.draft import Wanted
    from pre_nixos.model.machine import Machine
    from pre_nixos.render.configuration import Declared
    from pre_nixos.render.nixos import WrittenModule

NEEDS_POLICY = True
FOLDER = "etc/nixos"
MODULE, CONFIGURATION, HARDWARE = "pre-nixos-storage.nix", "configuration.nix", "hardware-configuration.nix"
READABLE = 0o644


def declare(parser: Parser) -> None:
    """Say what may stand behind `generate`."""
    add_machine(parser)
    add_choice(parser)
    parser.add_argument("--plan", metavar="FILE", help="take what should be there from this saved plan")
    parser.add_argument(
        "--output",
        metavar="FILE",
        help=f"write the module here and nothing else, instead of to ROOT/{FOLDER}/{MODULE}; - is standard output",
    )


def execute(arguments: argparse.Namespace, session: Session) -> int:
    """Write the module, and a configuration if there is none."""
    from pre_nixos.render.nixos import write_module

    if arguments.machine and arguments.output is None:
        raise Usage(
            f"--machine {arguments.machine} is not this machine, whose {ROOT} would be written to. {NOTHING_CHANGED}",
            advice="Say where the module should go: --output FILE, or - for standard output.",
        )
    saved = read_plan(arguments.plan, session) if arguments.plan else None
    machine = read_machine(arguments.machine, session)
    wanted = at_root(arguments, saved.wanted) if saved else wanted_by(arguments, machine, session)
    _insist(machine, wanted)
    module = write_module(wanted, machine, registry=session.registry)
    if arguments.output == "-":
        session.out.write(module.text)
        _say(module.remarks, session)
        return 0
    if arguments.output is not None:
        _write_module(arguments.output, module.text)
        found: Sequence[Declared] = ()
        written = [arguments.output]
    else:
        root = arguments.root or ROOT
        _insist_on_root(machine, wanted, root)
        folder = _folder(root)
        written, found = _write_beside(folder, module, machine, session)
        _say(to_do(folder, found, module.entries, new=len(written) > 1), session)
    if arguments.json:
        session.put_json(
            {
                "format": "pre-nixos generation",
                "version": 1,
                "written": written,
                "declares": module.entries,
                "replaces": found,
                "remarks": module.remarks,
            }
        )
        return 0
    from pre_nixos.render.text import printable

    _say(module.remarks, session)
    session.err.say("Written:")
    for path in written:
        session.out.write(f"{printable(path)}\n")
    return 0


def _say(lines: Sequence[str], session: Session) -> None:
    for each in lines:
        session.err.say(each)


def _insist(machine: Machine, wanted: Wanted) -> None:
    """Refuse to write of what is not there, or is otherwise: what is in use at the moment makes no difference."""
    from pre_nixos.model.difference import shortcomings
    from pre_nixos.model.layer import State
    from pre_nixos.render.words import known_as

    graphs = (wanted.graph, machine.graph)
    found = [
        each
        for each in shortcomings(machine.graph, wanted)
        if (layer := wanted.graph.get(each.layer)) is not None and not layer.ephemeral
    ]
    missing = [f"{known_as(each.layer, *graphs)} {each.text}" for each in found]
    there = [machine.graph.get(each.layer) for each in found]
    if any(each is not None and each.state is State.INACTIVE for each in there):
        raise Complaint(
            "Run `pre-nixos mount` first: what is closed, stopped or inactive shows nothing of what is in it, and "
            "NixOS would be told of what cannot be seen:",
            *missing,
            advice=f"{NOTHING_CHANGED} What `mount` says is not there, `pre-nixos apply` makes.",
        )
    if missing:
        raise Complaint(
            "The machine is not as wanted, and NixOS would be told of what is not there:",
            *missing,
            advice=f"{NOTHING_CHANGED} `pre-nixos apply` makes it so.",
        )


def _insist_on_root(machine: Machine, wanted: Wanted, root: str) -> None:
    """Refuse to write below a place where the system's root should be mounted and is not: it would go elsewhere."""
    from pre_nixos.model.layer import AT

    place = f"{AT}{root.rstrip('/') or '/'}"
    roots = [each for each in wanted.graph.layers() if place in each.occupies()]
    if root != "/" and not any(each.id in machine.graph for each in roots):
        raise Complaint(
            f"The root of the new system is not mounted at {root}: what is written there is lost. {NOTHING_CHANGED}",
            advice="`pre-nixos mount` mounts it; --root says where it is, --output writes the module elsewhere.",
        )


def _folder(root: str) -> str:
    """Make the directory of the configuration, in the new system and behind no link."""
    folder = os.path.join(root, FOLDER)
    real = os.path.realpath(folder)
    if real != os.path.normpath(folder):
        raise Complaint(
            f"{folder} leads through a link to {real}, which may be in another system. {NOTHING_CHANGED}",
            advice="Say where the module should go: --output FILE.",
        )
    os.makedirs(folder, 0o755, exist_ok=True)
    return folder


def _write_beside(
    folder: str, module: WrittenModule, machine: Machine, session: Session
) -> tuple[list[str], Sequence[Declared]]:
    """Write the module into a directory, and a configuration if none is there; give what is declared there already."""
    from pre_nixos.cli.files import write_file
    from pre_nixos.render.configuration import declared, minimal

    path = os.path.join(folder, MODULE)
    _write_module(path, module.text)
    written = [path]
    found = [entry for name in (CONFIGURATION, HARDWARE) for entry in declared(name, _text(os.path.join(folder, name)))]
    configuration = os.path.join(folder, CONFIGURATION)
    if not os.path.lexists(configuration):
        hardware = os.path.lexists(os.path.join(folder, HARDWARE))
        imports = [*([HARDWARE] if hardware else []), MODULE]
        architecture = "" if hardware else machine.architecture
        text = minimal(imports, release=_release(session), architecture=architecture, keeper=module.keeper)
        write_file(configuration, text.encode(), READABLE)
        written.append(configuration)
    return written, found


def _write_module(path: str, module: str) -> None:
    """Write the module, over an earlier one and over nothing else."""
    from pre_nixos.cli.files import check_writable, write_file
    from pre_nixos.render.nixos import MARK

    check_writable(path)
    if os.path.lexists(path) and not _text(path).startswith(MARK):
        raise Complaint(
            f"{path} is there, and was not written by pre-nixos. {NOTHING_CHANGED}",
            advice="Move it away, or say where the module should go: --output FILE.",
        )
    write_file(path, module.encode(), READABLE)


def _text(path: str) -> str:
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def to_do(folder: str, found: Sequence[Declared], entries: Sequence[str], *, new: bool) -> Sequence[str]:
    """Say what is declared twice, and whether the module is made use of."""
    lines: list[str] = []
    for each in found:
        where = f"{os.path.join(folder, each.file)}, line {each.line}: {each.option}"
        ours = each.option in entries or any(mine.startswith(f"{each.option}.") for mine in entries)
        said = "the module replaces it, so remove it there." if ours else "nothing that is wanted; is it still needed?"
        lines.append(f"{where}: {said}")
    if any(each.file == HARDWARE for each in found):
        lines.append(f"`nixos-generate-config --no-filesystems` writes {HARDWARE} without any of that.")
    configuration = os.path.join(folder, CONFIGURATION)
    if not new and MODULE not in _text(configuration):
        lines.append(f"{configuration} is yours and stays as it is: add ./{MODULE} to its imports.")
    if new and not os.path.lexists(os.path.join(folder, HARDWARE)):
        lines.append(
            f"There is no {HARDWARE}, so nothing says which drivers the machine needs to start: "
            "`nixos-generate-config --no-filesystems` does."
        )
    return lines


def _release(session: Session) -> str:
    """Give the release of NixOS this runs on, which is the one to install; empty if it is another system."""
    from pre_nixos.host.questions import ReadFile

    lines = (session.host.ask(ReadFile(path="/etc/os-release")).content or "").splitlines()
    said = {key: value.strip('"') for key, _, value in (each.partition("=") for each in lines)}
    return said.get("VERSION_ID", "") if said.get("ID") == "nixos" else ""

"""`--engine`: who makes what is wanted: the owners of its kinds, or Disko from a configuration that is in the plan."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pre_nixos.cli.complaint import Complaint, Usage

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from pre_nixos.cli.parser import Parser
    from pre_nixos.cli.session import Session
    from pre_nixos.layouts.write import WrittenLayout
    from pre_nixos.model.draft import Engine, Wanted
    from pre_nixos.model.layer import Disk
    from pre_nixos.model.machine import Machine

NATIVE, DISKO = "native", "disko"
CONFIGURATION = "disko-config.nix"
WHOLE, OLDER = "destroy,format,mount", "disko"
UNASKED, TRIAL = "--yes-wipe-all-disks", "--dry-run"
ROOT = "/mnt"
"""Where Disko mounts."""
CHANNELS = (
    "/nix/var/nix/profiles/per-user/root/channels/nixos",
    "/nix/var/nix/profiles/per-user/root/channels/nixpkgs",
    "/root/.nix-defexpr/channels/nixos",
)
GROUPS, WAKES = "lvm_vg", ("lvm.group",)
"""Where a layout has volume groups Disko activates every one that there is."""
NOTHING = "Nothing was changed."
HELP_TIME = 60.0


def add_engine(parser: Parser) -> None:
    """Add the option that says who makes what is wanted."""
    parser.add_argument(
        "--engine",
        choices=(NATIVE, DISKO),
        default=NATIVE,
        help="who makes what is missing: pre-nixos itself (the default), or Disko, from a configuration that is shown "
        "in the plan; what is in the way is removed by pre-nixos either way",
    )


def with_engine(arguments: argparse.Namespace, wanted: Wanted, machine: Machine, session: Session) -> Wanted:
    """Give what is wanted with who is to make it, as it was said."""
    if arguments.engine == NATIVE:
        return wanted
    import msgspec

    if arguments.root and arguments.root.rstrip("/") != ROOT:
        raise Usage(f"Disko mounts below {ROOT}; leave --root out.")
    if getattr(arguments, "machine", None):
        raise Usage("--engine disko asks the Disko of this machine; leave --machine out.")
    wanted = without_shared_labels(wanted)
    engine = engine_for(written_for_disko(wanted, machine, session), machine, session)
    return msgspec.structs.replace(wanted, engine=engine)


def without_shared_labels(wanted: Wanted) -> Wanted:
    """Leave to Disko how partitions are labelled that would share a label: it looks for them by nothing else."""
    from collections import Counter

    import msgspec

    from pre_nixos.backends.gpt import Partition

    graph = wanted.graph
    often = Counter(each.label for each in graph.of(Partition) if each.label)
    shared = (
        (msgspec.structs.replace(each, label=None), graph.on(each.id))
        for each in graph.of(Partition)
        if each.label and often[each.label] > 1
    )
    return msgspec.structs.replace(wanted, graph=graph.plus(shared))


def written_for_disko(wanted: Wanted, machine: Machine, session: Session) -> WrittenLayout:
    """Write what is wanted as a layout that means the same to Disko. Raises Complaint if none can."""
    import msgspec

    from pre_nixos.layouts.disko import addresses, beyond_disko, labelled_by_disko
    from pre_nixos.layouts.write import write_layout
    from pre_nixos.model.layer import Disk

    disks = machine.graph.of(Disk)
    names = named(disks)
    written = write_layout(wanted.graph, names=names, disks=disks, scripts=wanted.scripts, registry=session.registry)
    written = msgspec.structs.replace(written, devices=labelled_by_disko(written.devices))
    problems = [f"{each}, so Disko cannot make it." for each in written.left_out]
    told = dict(addresses(written.devices))
    problems += [
        f"{name} has no link below /dev/disk/by-id, so Disko cannot be told which disk it is."
        for name in written.devices.get("disk", {})
        if name not in told
    ]
    problems += [f"{each}." for each in beyond_disko(written.devices)]
    if problems:
        raise Complaint(*problems, advice=f"{NOTHING} Leave --engine out: pre-nixos makes all of it, by itself.")
    return written


def named(disks: Iterable[Disk]) -> Mapping[str, str]:
    """Give the names that disks have in what is written for Disko, by their ids."""
    return {disk.id: disk.device.name for disk in disks if disk.device and disk.device.name}


def engine_for(written: WrittenLayout, machine: Machine, session: Session) -> Engine:
    """Say how Disko is to be run with a layout, and all that it will read, look for and touch."""
    from pre_nixos.flow.diagnostics import PLACE
    from pre_nixos.layouts.disko import addresses, claims, keys_read
    from pre_nixos.model.draft import Engine, InvalidLayout
    from pre_nixos.model.layer import Disk

    words = words_of(session)
    path = f"{PLACE}/{CONFIGURATION}"
    try:
        content = written.to_nix()
    except InvalidLayout as error:
        raise Complaint(*error.problems, advice=NOTHING) from error
    program = ("env", f"NIX_PATH={nix_path(session.environ)}", "HOME=/root", DISKO, *words)
    ids = {name: id_ for id_, name in named(machine.graph.of(Disk)).items()}
    devices = written.devices
    return Engine(
        name=DISKO,
        argv=(*program, path),
        path=path,
        content=content,
        trial=(*program, TRIAL, path),
        reads=tuple(dict.fromkeys(keys_read(devices))),
        addresses={ids[name]: link for name, link in addresses(devices)},
        claims=tuple(sorted(set(claims(devices)))),
        unmounts=(ROOT,),
        wakes=WAKES if GROUPS in devices else (),
    )


def words_of(session: Session) -> Sequence[str]:
    """Ask Disko itself which words it takes. Raises Complaint if there is none, or none that is known."""
    from pre_nixos.host.questions import Command

    ran = session.host.ask(Command(argv=(DISKO, "--help"), timeout=HELP_TIME))
    if ran.error == "missing":
        raise Complaint(
            f"Disko is not installed here. {NOTHING}",
            advice="Install it (on NixOS: nix-shell -p disko), or leave --engine out: pre-nixos needs no Disko.",
        )
    if ran.error == "timeout":
        raise Complaint(f"`disko --help` did not end within {HELP_TIME:.0f} s. {NOTHING}")
    if ran.error:
        raise Complaint(f"`disko --help`: {ran.error}. {NOTHING}")
    text = f"{ran.stdout}\n{ran.stderr}"
    words = words_in(text)
    if words is None:
        first = f"{ran.stderr}\n{ran.stdout}".strip().partition("\n")[0] or "nothing"
        raise Complaint(
            f"This Disko takes neither --mode {WHOLE} with {UNASKED} nor --mode {OLDER}. {NOTHING}",
            f"What `disko --help` says begins with: {first[:200]}",
            advice="Take another version of it, or leave --engine out.",
        )
    if TRIAL not in text:
        raise Complaint(
            f"This Disko has no {TRIAL}, by which it would find out before anything is removed whether it can do what "
            f"is wanted. {NOTHING}",
            advice="Take another version of it, or leave --engine out.",
        )
    return words


def words_in(text: str) -> Sequence[str] | None:
    """Find in what Disko says of itself by which words it does all of it, and asks nobody; None if by none."""
    if WHOLE in text:
        # Without the second it would ask, and there is nobody at its input.
        return ("--mode", WHOLE, UNASKED) if UNASKED in text else None
    listed = re.search(r"--mode\b.*?(?=^\s*\*?\s*-[a-z-]|\Z)", text, re.DOTALL | re.MULTILINE)
    if listed and re.search(rf"\b{OLDER}\b", listed[0]):
        return ("--mode", OLDER)
    return None


def nix_path(environ: Mapping[str, str]) -> str:
    """Give where Nix is to find nixpkgs: where the environment says, or in a channel of root's."""
    import os

    said = environ.get("NIX_PATH", "")
    if re.search(r"(?:^|:)nixpkgs=", said):
        return said
    found = next((each for each in CHANNELS if os.path.exists(each)), "")
    if not found:
        raise Complaint(
            f"Disko needs nixpkgs, and neither NIX_PATH nor a channel of root's says where that is. {NOTHING}",
            advice="Set NIX_PATH=nixpkgs=/path/to/nixpkgs, or leave --engine out.",
        )
    return f"nixpkgs={found}"

"""The checks behind `pre-nixos doctor`; each looks at one thing and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pre_nixos.host.questions import Command, LookAround, ReadBlockNodes, ReadFile
from pre_nixos.model.data import Data

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pre_nixos.cli.session import Session
    from pre_nixos.hooks.registry import Registry
    from pre_nixos.host.api import Reader

DEVICES_FILE = "/etc/lvm/devices/system.devices"


class Finding(Data):
    """What one check found."""

    about: str
    verdict: Literal["ok", "note", "problem"]
    text: str
    remedy: str = ""


def findings(session: Session) -> Iterator[Finding]:
    """Check everything, one after the other."""
    host = session.host
    root = host.ask(LookAround()).root
    yield _root(root=root)
    yield _kernel(host)
    yield _library()
    yield _udev(host, root=root)
    plugins, registry = _plugins(session)
    yield plugins
    if registry is not None:
        yield from _tools(host, registry)
    yield _devices_file(host)
    yield _lock(host)
    yield _journal(host)
    if registry is not None and root:
        yield from _machine(session)


def _root(*, root: bool) -> Finding:
    if root:
        return Finding(about="root", verdict="ok", text="This is run as root.")
    return Finding(
        about="root",
        verdict="problem",
        text="This is not run as root, and only root can look at disks and change them.",
        remedy="Run it with sudo.",
    )


def _kernel(host: Reader) -> Finding:
    release = (host.ask(ReadFile(path="/proc/sys/kernel/osrelease")).content or "of unknown version").strip()
    nodes = host.ask(ReadBlockNodes()).nodes
    if not nodes:
        return Finding(
            about="kernel",
            verdict="problem",
            text=f"Linux {release} shows no block devices at all.",
            remedy="Is /sys mounted, and is the driver of the disk controller loaded?",
        )
    if not any("diskseq" in each.attributes for each in nodes):
        return Finding(
            about="kernel",
            verdict="note",
            text=f"Linux {release} does not number disks as they come and go, so that a disk exchanged during a run is "
            "told by its size alone.",
            remedy="Linux 5.15 and later do.",
        )
    return Finding(about="kernel", verdict="ok", text=f"Linux {release}.")


def _library() -> Finding:
    from pre_nixos.host.blkid import load

    try:
        load()
    except OSError as error:
        return Finding(
            about="libblkid",
            verdict="problem",
            text=f"libblkid cannot be loaded ({error}), and nothing else tells what is on a disk.",
            remedy="Install it; in Debian it is in libblkid1.",
        )
    return Finding(about="libblkid", verdict="ok", text="libblkid can be loaded.")


def _udev(host: Reader, *, root: bool) -> Finding:
    if not root:
        return Finding(about="udev", verdict="note", text="Only root can ask whether udevd runs.")
    ran = host.ask(Command(argv=("udevadm", "control", "--ping"), timeout=10.0))
    if ran.status == 0:
        return Finding(about="udev", verdict="ok", text="udevd runs and answers.")
    why = ran.error or ran.stderr.strip() or f"exit status {ran.status}"
    return Finding(
        about="udev",
        verdict="problem",
        text=f"udevd does not answer ({why}); without it new devices do not appear where they are waited for.",
        remedy="Start it: systemctl start systemd-udevd.",
    )


def _plugins(session: Session) -> tuple[Finding, Registry | None]:
    from pre_nixos.hooks.registry import PluginError

    try:
        registry = session.registry
    except PluginError as error:
        remedy = "Repair or remove that distribution."
        return Finding(about="plugins", verdict="problem", text=f"{error}.", remedy=remedy), None
    text = f"{len(registry.names)} plugins own {len(registry.kinds)} kinds of layer."
    return Finding(about="plugins", verdict="ok", text=text), registry


def _tools(host: Reader, registry: Registry) -> Iterator[Finding]:
    needed: dict[str, list[str]] = {}
    for plugin, tools in sorted(registry.tools.items()):
        for tool in tools:
            needed.setdefault(tool, []).append(plugin)
    there = host.ask(LookAround(tools=tuple(sorted(needed)))).tools
    for tool in sorted(needed.keys() - there.keys()):
        yield Finding(
            about="tools",
            verdict="note",
            text=f"{tool} is missing, which {' and '.join(needed[tool])} needs.",
            remedy=_how_to_get(tool),
        )
    if there:
        yield Finding(about="tools", verdict="ok", text=f"There are {', '.join(sorted(there))}.")


def _how_to_get(tool: str) -> str:
    from pre_nixos.lab.requirements import PACKAGES

    package = PACKAGES.get(tool)
    return f"In Debian it is in {package}." if package else "Install what brings it, should a plan need it."


def _devices_file(host: Reader) -> Finding:
    content = host.ask(ReadFile(path=DEVICES_FILE)).content
    if content is None:
        return Finding(about="LVM", verdict="ok", text="LVM looks at all devices: it has no devices file.")
    listed = sum(1 for each in content.splitlines() if each and not each.startswith("#"))
    return Finding(
        about="LVM",
        verdict="note",
        text=f"{DEVICES_FILE} lists {listed} entries, and LVM's own tools see no other devices.",
        remedy="pre-nixos names the devices it means, so this is in nobody's way but yours.",
    )


def _lock(host: Reader) -> Finding:
    from pre_nixos.flow.apply import LOCK

    pid, _, holder = (host.ask(ReadFile(path=LOCK)).content or "").strip().partition(" ")
    if not pid.isdecimal():
        return Finding(about="lock", verdict="ok", text="Nothing else is at work.")
    if host.ask(ReadFile(path=f"/proc/{pid}/stat")).content is None:
        return Finding(
            about="lock",
            verdict="note",
            text=f"Process {pid} ({holder}) had the lock and was killed; a lock ends with its process.",
            remedy="Nothing need be done.",
        )
    return Finding(
        about="lock",
        verdict="note",
        text=f"Process {pid} has the lock: {holder}.",
        remedy="Wait until it is over before anything else is applied.",
    )


def _journal(host: Reader) -> Finding:
    from pre_nixos.flow.journal import JOURNAL, read_journal

    journal = read_journal(host)
    if journal.open is None and not journal.unfinished:
        return Finding(about="journal", verdict="ok", text="No run was stopped half-way since this system was started.")
    what = _listed(journal.unfinished) or "nothing that had been begun"
    digest = f" of the plan {journal.open.digest}" if journal.open else ""
    return Finding(
        about="journal",
        verdict="note",
        text=f"A run{digest} did not come to its end and left {what} unfinished, as {JOURNAL} says.",
        remedy="Run `pre-nixos apply` again: what is unfinished is made anew.",
    )


def _machine(session: Session) -> Iterator[Finding]:
    from pre_nixos.flow.probe import probe
    from pre_nixos.hooks.registry import PluginError

    try:
        machine = probe(session.host, registry=session.registry)
    except (PluginError, ValueError) as error:
        yield Finding(
            about="probing",
            verdict="problem",
            text=f"Looking at this machine failed: {error}.",
            remedy="`pre-nixos record FILE --pseudonyms` writes down what it answered, for whoever can repair that.",
        )
        return
    medium = machine.boot_medium
    titles = _listed([machine.graph[each].title for each in medium.disks if each in machine.graph])
    if not medium.determined:
        yield Finding(
            about="boot medium",
            verdict="problem",
            text=f"It could not be determined what this system runs from: {medium.how}.",
            remedy="Only disks that are named one by one will be taken.",
        )
    else:
        text = f"This system runs from {titles or 'no disk'}" + (", which will not be touched." if titles else ".")
        yield Finding(about="boot medium", verdict="ok", text=text)
    usable = len(machine.disks)
    yield Finding(
        about="disks",
        verdict="ok" if usable else "problem",
        text=f"{usable} of {len(machine.all_disks)} disks may be taken without being named.",
        remedy="" if usable else "`pre-nixos show` says what there is.",
    )
    for remark in machine.remarks:
        yield Finding(about="probing", verdict="note", text=f"{remark}.")


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)

"""What is kept of a failure, on the machine itself: both states, as the machine told them, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.step import MakeDirectory, WriteFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.flow.outcome import Report
    from pre_nixos.hooks.registry import Registry
    from pre_nixos.host.api import Host
    from pre_nixos.host.record import Recording

PLACE = "/var/log/pre-nixos"


def keep(
    report: Report, looks: Mapping[str, Recording], host: Host, registry: Registry, place: str = PLACE
) -> tuple[str, str]:
    """Write down a report and what the machine answered, and give the directory; or why that could not be done.

    The recordings are those that `pre-nixos show --machine` and `load_machine` read, so a failure can be looked into
    where the machine is not. Those of an earlier failure of the same plan are overwritten.
    """
    from pre_nixos.flow.documents import REPORT
    from pre_nixos.model.codec import encode

    directory = f"{place}/failed-{report.digest}"
    made = host.do(MakeDirectory(path=directory, mode=0o700), {}, {})
    if not made.ok:
        return "", made.detail
    files = {name: recording.to_json() for name, recording in looks.items()}
    files["report.json"] = encode(report, format=REPORT, owners=registry.writers) + b"\n"
    for name, content in files.items():
        # Names and labels in it are whatever somebody wrote on a disk; the file is for whoever may read disks.
        written = host.do(WriteFile(path=f"{directory}/{name}", content=content.decode(), mode=0o600), {}, {})
        if not written.ok:
            return "", written.detail
    return directory, ""

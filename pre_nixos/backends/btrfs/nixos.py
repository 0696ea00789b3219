"""What NixOS must be told of btrfs: nothing, but for a root that is empty at every boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.btrfs.emptied import FORMER, OLD, REMEDY, lost_with
from pre_nixos.backends.btrfs.kinds import Btrfs, Subvolume, blank_of
from pre_nixos.plugin import InvalidLayout, Lines, Package, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.plugin import DeviceGraph

UNIT = "pre-nixos-rollback"
KEPT = 3
"""How many of them are kept: nobody has to find out the hard way what should have been kept elsewhere."""
TOP = "/run/pre-nixos-rollback"
FIRST = 256
"""The inode of the first directory of every subvolume, and of no other directory."""
PROGRAMS = ("btrfs-progs", "findutils")
"""What has to be in the initrd for it, beside what always is: bash, coreutils, mount and umount."""


@for_kind(hooks.nixos_options, Btrfs)
def all_of_it(layer: Btrfs, graph: DeviceGraph) -> Mapping[str, object]:
    """Say nothing: what is mounted of it says it all."""
    del layer, graph
    return {}


@for_kind(hooks.nixos_options, Subvolume)
def rolled_back(layer: Subvolume, graph: DeviceGraph) -> Mapping[str, object]:
    """Have the root put back to its empty snapshot, in the initrd, before it is mounted."""
    blank = blank_of(layer, graph)
    if blank is None:
        return {}
    lost = [f"{each.title}: it {why}; {REMEDY}" for each, why in lost_with(layer, graph)]
    if lost:
        raise InvalidLayout(lost)
    device = graph.found_at(layer)
    if not device:
        raise InvalidLayout([f"{graph.called(layer)}: no UUID is known by which its btrfs would be found at boot"])
    unit = f"{_escaped(device)}.device"
    service = {
        "description": "Put an empty root in the place of the last one",
        "wantedBy": ["initrd.target"],
        "requires": [unit],
        # A system that wakes up finds its root as it left it, or not at all.
        "after": [unit, "systemd-hibernate-resume.service"],
        "before": ["sysroot.mount"],
        "unitConfig": {"DefaultDependencies": "no"},
        "serviceConfig": {"Type": "oneshot"},
        "script": Lines(blocks=((script(device, layer.name, blank.name),),)),
    }
    programs = [Package(name=each) for each in PROGRAMS]
    return {"boot": {"initrd": {"systemd": {"services": {UNIT: service}, "initrdBin": programs}}}}


def script(device: str, root: str, blank: str, top: str = TOP) -> str:
    """Give the commands: nothing goes before there is something to put in its place, and a stopped run is made up for.

    If anything fails the system starts with the root it had. Users who have been in that root may have made subvolumes
    in it, called whatever they liked: so lists of them, which are lines of text, are not read.
    """
    from shlex import quote  # which nobody needs who only plans

    return f"""\
set -eu
export LC_ALL=C
top={quote(top)}
root="$top"/{quote(root)}
blank="$top"/{quote(blank)}
old="$top"/{OLD}
fresh="$old"/.fresh
going="$old"/.going
status=0

# Nothing but the first directory of a subvolume has this number, so a name is never more than a name.
remove() {{
  if [ -e "$going" ]; then
    btrfs subvolume delete "$going" >/dev/null
  fi
  find "$1" -type d -inum {FIRST} -execdir btrfs property set -f -ts {{}} ro false \\;
  # What is deep down has a path that is too long for most programs, so each comes up first.
  find "$1" -depth -type d -inum {FIRST} \\
    -execdir mv -T {{}} "$going" \\; -exec btrfs subvolume delete "$going" \\; >/dev/null
  [ ! -e "$1" ]
}}

mkdir -p "$top"
mount -t btrfs -o subvolid=5 {quote(device)} "$top"
trap 'umount "$top"' EXIT
if [ ! -d "$blank" ]; then
  echo "there is no empty root to go back to: the root stays as it is" >&2
  exit 1
fi
mkdir -p "$old"
if [ -e "$fresh" ]; then
  remove "$fresh"
fi
btrfs subvolume snapshot "$blank" "$fresh" >/dev/null
# Only what was put away here is counted, in the order of its numbers: clocks go wrong.
set -- "$old"/{FORMER}
[ -e "$1" ] || set --
if [ -e "$root" ]; then
  number=000000
  for last in "$@"; do
    number=${{last#"$old"/root-}}
    number=${{number%%-*}}
  done
  # With a one in front it keeps its zeros, and is no octal number.
  number=$((1$number + 1))
  now="$old/root-${{number#1}}-$(date +%Y-%m-%d-%H%M%S)"
  mv -T "$root" "$now"
  set -- "$@" "$now"
fi
mv -T "$fresh" "$root"
while [ $# -gt {KEPT} ]; do
  if ! remove "$1"; then
    echo "an old root stays, or some of it: $1" >&2
    status=1
  fi
  shift
done
exit "$status"
"""


def _escaped(path: str) -> str:
    r"""Write a path as units are named after: `/dev/a-b` is `dev-a\x2db`."""
    plain = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.")
    return "".join(
        "-" if each == "/" else each if each in plain else "".join(f"\\x{byte:02x}" for byte in each.encode())
        for each in path.strip("/")
    )

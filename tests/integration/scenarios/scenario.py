"""Scenarios: what was left on disks, and what is to become of it."""

from __future__ import annotations

from typing import Literal

from pre_nixos.lab.description import LabDisk
from pre_nixos.model.data import Data
from pre_nixos.model.step import MIB

TARGETS = tuple(LabDisk(name=name, size=512 * MIB) for name in "abcd")
"""The disks most scenarios are played on."""
BYSTANDER = LabDisk(name="bystander", size=64 * MIB)
"""A disk that no plan speaks for."""


class Scenario(Data):
    """One story. It is left on disks with a script, and then these disks are to be blank."""

    name: str
    story: str
    script: str
    """Run as root in the guest, with the nodes of the disks as $1, $2 and so on, after `WORDS`."""
    on: tuple[str, ...] = ("a",)
    """The disks it is left on."""
    aside: str = ""
    """What is set up beforehand, elsewhere, and must still be there afterwards; the bystander's node is $1."""
    afterwards: str = ""
    """What takes that away again."""
    refuses: tuple[str, ...] = ()
    """What a refusal says, with `{holder}` for the process the script notes and `{a}` for a disk's kernel name.

    Nothing may have been written then. Afterwards the remedy is taken, and the disks must become blank like all others.
    """
    takes: tuple[str, ...] = ()
    """The disks of the plan that is refused; empty for all it is left on."""
    remedy: str = ""
    """What ends the reason to refuse."""
    rewrite: Literal["by sfdisk", "by us"] = "by sfdisk"
    """Who writes the old partitions again. A table nobody could have known of is made by us, who clear their places."""
    rounds: int = 1
    """In how many rounds it goes; none if there is nothing to be seen."""


WORDS = r"""
gpt() { disk=$1; shift; for size; do echo "$size"; done | sfdisk -q --label gpt "$disk"; udevadm settle; }
keep_table() { sfdisk --dump "$1" > "/run/table-${1#/dev/}"; }
array() {
    name=$1; shift
    yes | mdadm --create "/dev/md/$name" --quiet --run --homehost=any "$@"
    udevadm settle
}
md() { readlink -f "/dev/md/$1" | sed "s|/dev/\(.*\)|/sys/block/\1/md/$2|"; }
watched() {
    set=$(readlink -f "/dev/md/$1")
    state=$(md "$2" array_state)
    until grep -qx -e read-auto -e clean -e active -e active-idle "$state"; do
        pgrep -x mdmon > /dev/null || mdmon "${set#/dev/}"
        sleep 0.1
    done
}
group() { vgcreate -qq "$@"; }
volume() { lvcreate -qq --yes "$@"; udevadm settle; }
key() { head -c 64 /dev/zero | tr '\0' k > /run/key; }
lock() { key; cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /run/key "$@"; }
unlock() { cryptsetup open --key-file /run/key "$@"; udevadm settle; }
ext4() { mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$@"; }
mounted() { mkdir -p "$2"; mount "$1" "$2"; }
zeros() { dd if=/dev/zero of="$1" bs="$2" seek="$3" count="$4" conv=notrunc status=none; }
holding() { setsid sleep 86400 < "$1" > /dev/null 2>&1 & echo $! > /run/holder; }
release() { kill "$(cat /run/holder)"; while kill -0 "$(cat /run/holder)" 2> /dev/null; do sleep 0.05; done; }
quietly() { "$@" > /dev/null 2>&1; }
"""
"""What the scripts are written in.

`watched` waits until an array of firmware RAID can be written to. That takes its monitor, and the one of mdadm 4.2
falls over now and then as it starts.
"""

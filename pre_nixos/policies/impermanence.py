"""The policy `impermanence`: an encrypted system whose root is empty at every boot; what is to stay has its place.

One disk, or several that hold the same: a mirror below one encrypted volume, so that there is one passphrase and one
name whichever host it is. `docs/policies.md` says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from pre_nixos.backends.btrfs import Btrfs, Subvolume, why_lost
from pre_nixos.backends.dmcrypt import Luks
from pre_nixos.backends.gpt import Partition, Table
from pre_nixos.backends.mdraid import Array
from pre_nixos.backends.mounts import STORES, Mount
from pre_nixos.plugin import Data, Draft, Options, Policy, hooks, implements
from pre_nixos.policies.picking import pick
from pre_nixos.policies.system import Reader, SystemOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pre_nixos.plugin import Disk, Handle, Machine, Wanted
    from pre_nixos.policies.booting import Start

SWAP, SWAP_FILE = "swap", "swapfile"
"""The subvolume for the file to swap to, which no snapshot can be taken of, and the file in it."""


class ImpermanenceOptions(SystemOptions):
    """What may be asked of the policy `impermanence`. Sizes are written `50GiB`, `400GB` or `512M`."""

    mirror: Annotated[
        int,
        Meta(ge=1, description="How many disks hold the same, so that all of them but one may fail; 1 is no mirror"),
    ] = 1
    tolerance: Annotated[
        float, Meta(ge=0, le=50, description="By how many percent the disks of a mirror may differ in size")
    ] = 1.0
    array: Annotated[str, Meta(description="Name of the array that mirrors them")] = "root"

    mapper: Annotated[str, Meta(description="Name the encrypted volume is opened as")] = "cryptroot"
    luks_label: Annotated[str, Meta(description="Label of the encrypted volume, and of its partition")] = "luks"
    keys: Annotated[
        tuple[str, ...],
        Meta(
            description="Where the key comes from: prompt:, file:/PATH, keyfile:/PATH, env:NAME, fd:NUMBER; "
            "further ones get slots of their own (default: a person is asked)"
        ),
    ] = ()
    pbkdf: Annotated[
        Literal["argon2id", "argon2i", "pbkdf2"] | None,
        Meta(description="How passphrases are made into keys (default: what cryptsetup chooses)"),
    ] = None
    iter_time: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Milliseconds that trying one passphrase is to take (default: what cryptsetup chooses)"),
    ] = None
    allow_discards: Annotated[
        bool, Meta(description="Tell the disk which blocks are unused, which shows to whoever gets hold of it")
    ] = False

    label: Annotated[str, Meta(description="Label of the btrfs")] = "root"
    mount_options: Annotated[str, Meta(description="Options every subvolume is mounted with")] = "compress=zstd,noatime"
    subvolumes: Annotated[
        tuple[str, ...],
        Meta(description="The subvolumes, each NAME=PLACE, or NAME alone for one that is mounted nowhere"),
    ] = ("root=/", "home=/home", "nix=/nix", "persist=/persist", "log=/var/log")
    blank: Annotated[
        str,
        Meta(description="Name of an empty read-only snapshot of the root, to go back to at boot; empty makes none"),
    ] = "root-blank"


@implements(hooks.policies)
def policies() -> Iterable[Policy]:
    """Offer it."""
    summary = "One encrypted btrfs, on one disk or a mirror, with an empty root to go back to at every boot"
    return [Policy(name="impermanence", summary=summary, options=ImpermanenceOptions, propose=propose)]


def propose(machine: Machine, options: Options) -> Wanted:
    """Decide what should be on a machine. Raises InvalidLayout with everything that is wrong."""
    if not isinstance(options, ImpermanenceOptions):
        raise TypeError(f"the options of impermanence are ImpermanenceOptions, not {type(options).__name__}")
    reader = Reader(machine, options)
    inside = _Inside(options, swaps=reader.bytes["swap"] > 0)
    reader.problems += inside.problems
    if not reader.uefi:
        reader.problems.append(
            "this takes UEFI: a BIOS needs a boot loader that reads its kernel from an encrypted btrfs; "
            "if the new system will be started by UEFI, set the option firmware to uefi"
        )
    reader.insist()
    start = reader.start()

    def build(disks: Sequence[Disk], named: Sequence[Disk]) -> Wanted:
        draft = Draft(machine, take=disks, named=named)
        members = [_member(draft, disk, position, reader, start, options) for position, disk in enumerate(disks, 1)]
        if len(members) > 1:
            members = [draft.add(Array(name=options.array, level=1), on=members)]
        volume = draft.add(inside.volume(), on=members)
        inside.fill(draft, volume, reader)
        return reader.checked(draft.wanted(), draft.ids()[volume.position], disks)

    return pick(machine, reader.demand(count=options.mirror, tolerance=options.tolerance), build)


def _member(
    draft: Draft, disk: Disk, position: int, reader: Reader, start: Start, options: ImpermanenceOptions
) -> Handle:
    table = draft.add(Table(), on=[disk])
    start.add(draft, table, position)
    type_, label = ("raid", options.array) if options.mirror > 1 else ("luks", options.luks_label)
    return draft.add(Partition(number=2, size=reader.size, type=type_, label=label), on=[table])


class Place(Data):
    """A subvolume, and where it is mounted."""

    name: str
    at: str = ""


class _Inside:
    """What is in the encrypted volume, as the options say, and all that is wrong with them."""

    def __init__(self, options: ImpermanenceOptions, *, swaps: bool) -> None:
        self._options = options
        self._swaps = swaps
        self._places = [_place(each) for each in options.subvolumes]
        self._all = [*self._places, *([Place(name=SWAP, at=f"/{SWAP}")] if swaps else [])]
        self._mount_options = tuple(filter(None, options.mount_options.split(",")))
        self.problems = [*self._wrong_places(), *self._wrong_blank(), *self._wrong_keys()]

    @property
    def _root(self) -> str:
        return next((each.name for each in self._places if each.at == "/"), "")

    def volume(self) -> Luks:
        """Give the encrypted volume."""
        options = self._options
        return Luks(
            mapper=options.mapper,
            version="2",
            label=options.luks_label,
            keys=options.keys or (f"prompt:{options.mapper}",),
            pbkdf=options.pbkdf,
            iter_time=options.iter_time,
            allow_discards=options.allow_discards,
        )

    def fill(self, draft: Draft, volume: Handle, reader: Reader) -> None:
        """Put the filesystem and all its subvolumes on the volume."""
        pool = draft.add(Btrfs(label=self._options.label), on=[volume])
        for each in self._all:
            made = draft.add(Subvolume(name=each.name), on=[pool])
            if each.at:
                draft.add(Mount(at=each.at, options=self._mount_options), on=[made])
            if self._swaps and each.name == SWAP:
                reader.add_swap(draft, made, f"/{SWAP}/{SWAP_FILE}")
        if self._options.blank:
            draft.add(Subvolume(name=self._options.blank, origin=self._root, read_only=True), on=[pool])

    def _wrong_places(self) -> Iterator[str]:
        roots = [each.name for each in self._places if each.at == "/"]
        if len(roots) != 1:
            yield f"option subvolumes: one must be mounted at /, as in root=/, and {len(roots)} are"
        for said, each in zip(self._options.subvolumes, self._places, strict=True):
            try:
                Subvolume(name=each.name)
                if each.at:
                    Mount(at=each.at)
            except ValueError as error:
                yield f"option subvolumes: {said!r}: {error}; write NAME=PLACE"
        names = [each.name for each in self._all]
        yield from (f"option subvolumes: there are two named {each}" for each in _twice(names))
        places = [each.at for each in self._all if each.at]
        yield from (f"option subvolumes: two would be mounted at {each}" for each in _twice(places))
        if "/boot" in places:
            yield "option subvolumes: the EFI system partition is mounted at /boot"
        if self._root and self._options.blank and not any(place in places for place in STORES):
            yield f"option subvolumes: nothing is mounted at {' or '.join(STORES)}, and the root is empty at every boot"
        root = self._root
        for name in names:
            if root and (why := why_lost(name, root)):
                yield f"option subvolumes: {name} {why}"

    def _wrong_blank(self) -> Iterator[str]:
        blank = self._options.blank
        if not blank:
            return
        try:
            blank = Subvolume(name=blank).name
        except ValueError as error:
            yield f"option blank: {error}"
        if blank in {each.name for each in self._all}:
            yield f"option blank: {blank} is the name of another subvolume"
        if self._root and (why := why_lost(blank, self._root)):
            yield f"option blank: {blank} {why}"

    def _wrong_keys(self) -> Iterator[str]:
        try:
            self.volume()
        except ValueError as error:
            yield f"option keys: {error}"


def _place(said: str) -> Place:
    """Read `NAME=PLACE`; the same subvolume and the same place are written in one way only."""
    name, _, at = said.partition("=")
    return Place(name="/".join(filter(None, name.split("/"))), at=f"/{at.strip('/')}" if at.startswith("/") else at)


def _twice(words: Sequence[str]) -> Sequence[str]:
    return sorted({each for each in words if words.count(each) > 1})


__all__ = ["ImpermanenceOptions", "policies", "propose"]

"""Writing graphs as layouts: each layer by the owner of its kind, put together from the disks upwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from pre_nixos.hooks import specs
from pre_nixos.hooks.calls import Calls
from pre_nixos.hooks.registry import installed
from pre_nixos.layouts.read import DISKS
from pre_nixos.layouts.scripts import HOOKS, MAKING
from pre_nixos.layouts.select import LASTING
from pre_nixos.model.data import Data
from pre_nixos.model.identity import assemble, translated
from pre_nixos.model.layer import Disk, Layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pre_nixos.hooks.registry import Registry
    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.script import Script


BEYOND = "Not for Disko itself"


class WrittenLayout(Data):
    """A layout that was written, and what it does not say."""

    devices: dict[str, dict[str, object]] = {}
    """What belongs at `disko.devices`."""
    left_out: tuple[str, ...] = ()
    """What layouts have no words for, one sentence each."""

    def to_json(self) -> bytes:
        """Write it as Disko reads it."""
        return msgspec.json.format(msgspec.json.encode({"disko": {"devices": self.devices}}), indent=2) + b"\n"

    def to_nix(self) -> str:
        """Write it in Nix: a file for Disko, and a module for NixOS beside Disko's own. Raises InvalidLayout.

        Sections and names come in alphabetical order, so that two of them can be compared line by line. What Disko
        itself would not take is said in comments.
        """
        from pre_nixos.model.draft import InvalidLayout
        from pre_nixos.render.nix import UnwritableError, comment, nix_text

        devices = {section: dict(sorted(entries.items())) for section, entries in sorted(self.devices.items())}
        try:
            text = nix_text({"disko.devices": devices}).replace('"disko.devices"', "disko.devices", 1)
        except UnwritableError as error:
            raise InvalidLayout([str(error)]) from error
        remarks = [*(f"Left out: {each}." for each in self.left_out), *(f"{BEYOND}: {each}." for each in self.beyond())]
        return "".join(f"{line}\n" for line in (*map(comment, remarks), text))

    def beyond(self) -> Sequence[str]:
        """Say, one sentence each, what Disko itself would refuse, leave out, or have a shell read."""
        from pre_nixos.layouts.disko import beyond_disko

        return tuple(beyond_disko(self.devices))


def write_layout(
    graph: DeviceGraph,
    *,
    names: Mapping[str, str] = {},
    disks: Iterable[Disk] = (),
    scripts: Iterable[Script] = (),
    found_at: str = "",
    registry: Registry | None = None,
) -> WrittenLayout:
    """Write what is on disks, or should be, as a layout.

    `names` has names for disks, by their ids. `disks` are disks as they were found, whose links are not in a graph of
    what is wanted: with them the layout says which disk is meant as Disko does. `scripts` are those of what is wanted.
    For a graph that was found, `found_at` says where the root of the described system is: what is mounted anywhere else
    is none of its, and what nobody would have asked for is left out.
    """
    if found_at:
        graph = assemble(list(translated(graph, lambda layer: layer.seen_from(found_at)).values()))
    sheet = Writing(graph, names, {each.id: each for each in disks}, Calls(registry or installed()), tuple(scripts))
    for layer in graph.layers():
        if isinstance(layer, Disk):
            sheet.disk(layer)
        elif not graph.on(layer.id):
            sheet.rootless(layer)
    return WrittenLayout(devices=sheet.devices, left_out=tuple(sheet.unsaid()))


class Writing:
    """A layout while it is being written; what the owners of kinds are given."""

    def __init__(
        self,
        graph: DeviceGraph,
        names: Mapping[str, str],
        disks: Mapping[str, Disk],
        calls: Calls,
        scripts: Sequence[Script] = (),
    ) -> None:
        """Begin a layout; the disks are those of which more is known than the graph says."""
        self.graph = graph
        self.below = ""
        self.devices: dict[str, dict[str, object]] = {}
        self._calls = calls
        self._disks = disks
        self._names = {disk.id: names.get(disk.id) or disk.segment for disk in graph.of(Disk)}
        self._told: set[str] = set()
        self._scripts = scripts
        self._run: set[Script] = set()
        self._omitted: list[str] = []
        self._describing = ""
        """The id of the layer whose owner writes at the moment."""
        self._apart: set[str] = set()
        """The ids of those that are described in an entry of their own."""

    def disk(self, disk: Disk) -> None:
        """Write a disk with all that stands on it; one with nothing on it is not spoken of."""
        self._told.add(disk.id)
        inside = self.content(disk)
        if inside:
            self.entry(DISKS, self._names[disk.id], {"type": DISKS, **_meant(self._disks.get(disk.id, disk)), **inside})

    def rootless(self, layer: Layer) -> None:
        """Write what stands on nothing, if its owner has an entry for it."""
        self._describe(layer)
        self._told.add(layer.id)

    def content(self, layer: Layer) -> dict[str, object]:
        """Give `{"content": ...}` with what stands on a layer; nothing if nothing does."""
        outer, self.below = self.below, layer.id
        found: dict[str, object] = {}
        for each in self._on(layer, ephemeral=False):
            self.below = layer.id
            said = self._describe(each)
            if said:
                self._told.add(each.id)
                found = {"content": {**said, **({} if each.id in self._apart else self._hooks(each.id))}}
                break
        self.below = outer
        return {**found, **self._hooks(layer.id)}

    def uses(self, layer: Layer) -> dict[str, object]:
        """Give the keys of what a layer is used for, such as `mountpoint`, to be put among its own."""
        merged: dict[str, object] = {}
        for each in self._on(layer, ephemeral=True):
            said = self._describe(each)
            together = _together(merged, said or {})
            if said and together is not None:
                self._told.add(each.id)
                # What is told in a table inside would have its scripts in there.
                inside = any(isinstance(value, dict) for value in said.values())
                merged = together if inside else {**together, **self._hooks(each.id)}
        return {**merged, **self._hooks(layer.id)}

    def entry(self, section: str, name: str, table: Mapping[str, object]) -> None:
        """Describe what stands on several layers, in a section of its own; the first description counts."""
        self._apart.add(self._describing)
        self.devices.setdefault(section, {}).setdefault(name, {**table, **self._hooks(self._describing)})

    def tells(self, *layers: Layer) -> None:
        """Say that layers are part of what another one says of itself, such as the partitions of a table."""
        self._told.update(each.id for each in layers)

    def omits(self, layer: Layer, what: str) -> None:
        """Say that something of a layer that is written is not, such as a setting."""
        self._omitted.append(f"{what} of {self.graph.called(layer)} ({layer.id}) is not kept")

    def holder(self, layer: Layer) -> str:
        """Name the disk a layer stands on as layouts do, such as `disk-main`; empty if it stands on something else."""
        below = self.graph.under(layer)
        return f"{DISKS}-{self._names[below[0].id]}" if len(below) == 1 and isinstance(below[0], Disk) else ""

    def unsaid(self) -> Sequence[str]:
        """Name what nobody wrote down, but not what stands on that."""
        missing = [each for each in self.graph if each not in self._told]
        lowest = [each for each in missing if not set(self.graph.on(each)) & set(missing)]
        said = [f"{self.graph.called(self.graph[each])} ({each}) cannot be said in a layout" for each in lowest]
        left = (each for each in self._scripts if each not in self._run or each.layer not in self._told)
        said += self._omitted
        return [*said, *dict.fromkeys(f"the {_key(each)} of {each.layer} cannot be said in a layout" for each in left)]

    def _describe(self, layer: Layer) -> Mapping[str, object]:
        """Have the owner of a layer write it."""
        outer, self._describing = self._describing, layer.id
        said = self._calls.to_disko(layer, self)
        self._describing = outer
        return said or {}

    def _hooks(self, layer: str) -> dict[str, object]:
        """Give the scripts of a layer as keys of the table it is described by; two at one moment have none."""
        found: dict[str, object] = {}
        it = self.graph.get(layer)
        for key, moment in HOOKS.items():
            if it is None or not (self._calls.can(specs.activate, it) if moment not in MAKING else not it.ephemeral):
                continue  # read in that table, it would be another layer's
            mine = [each for each in self._scripts if (each.layer, each.moment) == (layer, moment)]
            if len(mine) == 1:
                found[key] = mine[0].text
                self._run.add(mine[0])
        return found

    def _on(self, layer: Layer, *, ephemeral: bool) -> Sequence[Layer]:
        standing = [self.graph[each] for each in self.graph.standing_on(layer.id)]
        return [each for each in standing if each.ephemeral is ephemeral and each.part_of != layer.kind]


def _key(script: Script) -> str:
    return next(key for key, moment in HOOKS.items() if moment is script.moment)


def _meant(disk: Disk) -> dict[str, object]:
    """Say which disk it is: by a link, which Disko understands as well, if one is known."""
    link = disk.found_at()
    if link.startswith(LASTING[0]):
        return {"device": link}
    wwn = disk.wwn or (disk.device.wwn if disk.device else None)
    return {"select": {"wwn": wwn} if wwn and disk.id == f"disk:{wwn}" else {"id": disk.id}}


def _together(one: Mapping[str, object], other: Mapping[str, object]) -> dict[str, object] | None:
    """Put two tables together, and the tables in them; None if both say something else of the same."""
    found = dict(one)
    for key, value in other.items():
        if key not in found:
            found[key] = value
            continue
        there = found[key]
        if not (isinstance(there, dict) and isinstance(value, dict)):
            return None
        inner = _together(cast("dict[str, object]", there), cast("dict[str, object]", value))
        if inner is None:
            return None
        found[key] = inner
    return found

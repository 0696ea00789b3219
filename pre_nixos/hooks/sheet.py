"""What layers write themselves down on, in Disko's vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer

Table = dict[str, object]


class Sheet(Protocol):
    """A layout while it is being written."""

    graph: DeviceGraph
    below: str
    """The id of the layer whose content is being written; what stands on several is asked for each of them."""

    def content(self, layer: Layer) -> Table:
        """Give `{"content": ...}` with what stands on a layer; nothing if nothing does."""
        ...

    def uses(self, layer: Layer) -> Table:
        """Give the keys of what a layer is used for, such as `mountpoint`, to be put among its own."""
        ...

    def entry(self, section: str, name: str, table: Mapping[str, object]) -> None:
        """Describe what stands on several layers, in a section of its own; the first description counts."""
        ...

    def tells(self, *layers: Layer) -> None:
        """Say that layers are part of what another one says of itself, such as the partitions of a table."""
        ...

    def omits(self, layer: Layer, what: str) -> None:
        """Say that something of a layer that is written is not, such as a setting."""
        ...

    def holder(self, layer: Layer) -> str:
        """Name the disk a layer stands on as layouts do, such as `disk-main`; empty if it stands on something else."""
        ...

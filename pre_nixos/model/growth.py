"""What follows when a device grows: what stands on it takes the room, one after the other, from below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.model.layer import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.step import Step


def growth(id: str, before: DeviceGraph, after: DeviceGraph) -> Iterator[Step]:  # noqa: A002 - it is the layer's id
    """Give the steps for everything that stands on a layer that grows, and stays what it is.

    What is closed takes all there is when it is opened; what is to be made anew does so anyway.
    """
    for each in after.standing_on(id):
        was, layer = before.get(each), after[each]
        if was is None or layer.ephemeral or type(was) is not type(layer):
            continue
        if was.state is State.INACTIVE and layer.mark() is not None:
            continue
        if before.on(each) != after.on(each) or layer.mismatches(was):
            continue
        steps = layer.grown(after)
        yield from steps
        if steps and layer.mark() is not None:
            yield from growth(each, before, after)

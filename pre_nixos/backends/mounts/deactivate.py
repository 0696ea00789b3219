"""Unmounting; and the mounts that are out of reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.mounts.kinds import Mount
from pre_nixos.plugin import Action, Detach, Node, Objection, Plan, RequireFree, Verb, for_kind, hooks, implements

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pre_nixos.plugin import DeviceGraph


@for_kind(hooks.deactivate, Mount)
def unmount(layer: Mount, graph: DeviceGraph) -> Sequence[Action]:
    """Unmount; a mount in another namespace can only be waited out, so there it is insisted that it is gone."""
    node = Node(layer=graph.devices(layer)[0].id) if graph.devices(layer) else None
    if layer.namespace and node is not None:
        summary = f"insist that nothing is mounted at {layer.place} in {layer.namespace} any more"
        return [
            Action(verb=Verb.DEACTIVATE, target=layer.id, summary=summary, steps=(RequireFree(target=node),)),
        ]
    return [
        Action(
            verb=Verb.DEACTIVATE,
            target=layer.id,
            summary=f"unmount {layer.place}",
            steps=(Detach(target=node, at=layer.place),),
        )
    ]


@implements(hooks.objections)
def out_of_reach(plan: Plan) -> Iterable[Objection]:
    """Refuse before anything is unmounted if something that must go cannot be: elsewhere, or held by what stays."""
    ending = {action.target for action in plan.actions if action.verb is Verb.DEACTIVATE}
    going = [
        layer
        for layer in plan.before.of(Mount)
        if layer.id in ending or ((why := plan.reasons.get(layer.id)) and why.fate.removes)
    ]
    places = {layer.place for layer in going if not layer.namespace}
    for layer in going:
        for place in layer.holders:
            if place not in places:
                below = ", ".join(each.describe() or each.title for each in plan.before.under(layer))
                yield Objection(
                    subject=layer.id,
                    text=f"{below} cannot be unmounted from {layer.place}: what is mounted at {place}, which stays, "
                    "stands on it.",
                    remedy=f"Unmount {place}, then plan again.",
                )
        if layer.namespace:
            below = ", ".join(each.describe() or each.title for each in plan.before.under(layer))
            witness = f" (seen by {layer.remark})" if layer.remark else ""
            yield Objection(
                subject=layer.id,
                text=f"{below} is mounted at {layer.place} in {layer.namespace}{witness}, out of our reach.",
                remedy="Stop what runs in that namespace, then plan again.",
            )

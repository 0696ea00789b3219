"""Changing a btrfs in place: its label, its size, and subvolumes that are added. None is ever removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.btrfs.format import making
from pre_nixos.backends.btrfs.kinds import Btrfs, Subvolume
from pre_nixos.backends.mounts import Mount
from pre_nixos.plugin import Action, Node, Replace, RequireFree, Run, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Step


@for_kind(hooks.modify, Btrfs)
def change(old: Btrfs, new: Btrfs, before: DeviceGraph, after: DeviceGraph) -> Sequence[Action] | Replace:
    """Give it another label and make the subvolumes it lacks; for anything else it would be made anew."""
    there = {each.id: each for each in before.parts_of_kind(old, Subvolume)}
    wanted = after.parts_of_kind(new, Subvolume)
    made = [each for each in wanted if each.id not in there]
    differing = new.mismatches(old)
    why = [str(each) for each in differing if each.field not in {"label", "unused"}]
    why += [
        f"{each.title}: {mismatch}"
        for each in wanted
        if each.id in there
        for mismatch in each.mismatches(there[each.id])
    ]
    labelled = any(each.field == "label" for each in differing)
    grows = new.grown(after) if any(each.field == "unused" for each in differing) else ()
    if why or not (labelled or made or grows):
        return Replace(why="; ".join(why))
    node = Node(layer=after.devices(new)[0].id)
    steps: list[Step] = []
    said: list[str] = []
    if labelled:
        steps += _labelling(old, new.label or "", before, node)
        said.append(f"label it {new.label}")
    if grows:
        steps += grows
        said.append("grow it to all of its devices")
    if made:
        steps.append(making(made, node))
        said.append(f"add {', '.join(each.name for each in made)}")
    on = ", ".join(after.called(each) for each in after.devices(new))
    summary = f"change {old.describe()} on {on}: {'; '.join(said)}"
    return [Action(verb=Verb.MODIFY, target=new.id, summary=summary, steps=tuple(steps))]


def _labelling(old: Btrfs, label: str, before: DeviceGraph, node: Node) -> Sequence[Step]:
    """Change the label where it is mounted; where it is not, on its device, which must then be free."""
    above = (before[each] for each in before.above(old.id))
    places = [each.place for each in above if isinstance(each, Mount) and not each.namespace]
    if places:
        return [Run(argv=("btrfs", "filesystem", "label", places[0], label))]
    return [RequireFree(target=node), Run(argv=("btrfs", "filesystem", "label", node, label))]

"""Opening what is encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.arguments import harmless
from pre_nixos.backends.dmcrypt.further import OPENING
from pre_nixos.backends.dmcrypt.kinds import Forgotten, Luks, Plain
from pre_nixos.plugin import Action, Await, Node, RequireFree, Run, Secret, Verb, for_kind, hooks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Step


@for_kind(hooks.activate, Luks)
def open_volume(layer: Luks, graph: DeviceGraph) -> Sequence[Action]:
    """Open it with its first key."""
    device = graph.devices(layer)[0]
    steps = tuple(opening(layer, Node(layer=device.id)))
    summary = f"open {layer.describe().partition(',')[0]} on {graph.called(device)} as {layer.mapper}"
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=summary, steps=steps)]


def opening(layer: Luks, node: Node) -> Sequence[Step]:
    """Give the steps that open it."""
    how = options(discards=layer.allow_discards, unqueued=layer.bypass_workqueues)
    # Of what was added to its header since, such as a token, nothing is to be tried instead of the key.
    further = harmless(layer.open_arguments, OPENING)
    return [
        Run(
            argv=(
                *("cryptsetup", "open", "--type", "luks", *how, "--key-file", "-"),
                node,  # the first that is no option is what it opens
                *(*further, "--", layer.mapper or ""),
            ),
            stdin=Secret(reference=(layer.keys or ("",))[0]),
        ),
        Await(target=Node(layer=layer.id)),
    ]


def options(*, discards: bool | None, unqueued: bool | None = None) -> tuple[str, ...]:
    """Give the arguments that say how something is to be open."""
    how = ("--allow-discards",) if discards else ()
    return (*how, "--perf-no_read_workqueue", "--perf-no_write_workqueue") if unqueued else how


@for_kind(hooks.activate, Plain)
def open_anew(layer: Plain, graph: DeviceGraph) -> Sequence[Action]:
    """Open it with another key from nowhere, and make what is in it again: nobody could read what was there.

    Only what stands on a partition that is there for nothing else is found closed.
    """
    device = graph.devices(layer)[0]
    node, opened = Node(layer=device.id), Node(layer=layer.id)
    inside = [graph[each] for each in graph.standing_on(layer.id)]
    steps: list[Step] = [RequireFree(target=node), *opening_anew(layer, node)]
    for each in inside:
        steps += each.made_again(opened) if isinstance(each, Forgotten) else ()
    made = "".join(f", and make {each.describe()} in it" for each in inside if isinstance(each, Forgotten))
    summary = f"open {graph.called(device)} as {layer.mapper} with a new key that nobody keeps{made}"
    return [Action(verb=Verb.ACTIVATE, target=layer.id, summary=summary, steps=tuple(steps))]


def opening_anew(layer: Plain, node: Node) -> Sequence[Step]:
    """Give the steps that open it with a key from nowhere."""
    how = ("--cipher", layer.cipher or CIPHER, "--key-size", str(layer.key_size or KEY_SIZE))
    argv = ("cryptsetup", "open", "--type", "plain", *how, *options(discards=layer.allow_discards))
    return [
        Run(argv=(*argv, "--key-file", "/dev/urandom", "--", node, layer.mapper or "")),
        Await(target=Node(layer=layer.id)),
    ]


CIPHER, KEY_SIZE = "aes-xts-plain64", 512
"""What is used where nothing is said."""

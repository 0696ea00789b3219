"""Making LUKS volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pre_nixos.backends.arguments import harmless
from pre_nixos.backends.dmcrypt.activate import opening, opening_anew
from pre_nixos.backends.dmcrypt.further import MAKING
from pre_nixos.backends.dmcrypt.kinds import Luks, Plain
from pre_nixos.plugin import (
    WINDOWS,
    Action,
    Node,
    RequireBlank,
    RequireFree,
    Run,
    Secret,
    Verb,
    Zero,
    for_kind,
    hooks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pre_nixos.plugin import DeviceGraph, Step

PATIENCE = 600.0
"""Seconds: a slow machine measures for long what a passphrase is to cost."""


@for_kind(hooks.format, Luks)
def make(layer: Luks, graph: DeviceGraph) -> Sequence[Action]:
    """Prove blank, write the header, open it, and clear its ends at once: what lay there before decrypts to noise."""
    device = graph.devices(layer)[0]
    node = Node(layer=device.id)
    first, *further = layer.keys or ("",)
    steps: list[Step] = [
        RequireFree(target=node),
        RequireBlank(target=node),
        Run(
            argv=(
                "cryptsetup",
                "luksFormat",
                "--batch-mode",
                *_header(layer),
                "--key-file",
                "-",
                node,  # the first that is no option is what it writes to
                *harmless(layer.arguments, MAKING),
            ),
            stdin=Secret(reference=first, new=True),
            timeout=PATIENCE,
        ),
        *(adding(layer, first, each, node) for each in further),
        *opening(layer, node),
        Zero(target=Node(layer=layer.id), ranges=WINDOWS),
    ]
    label = f" labelled {layer.label}" if layer.label else ""
    summary = f"encrypt {graph.called(device)} with LUKS{layer.version or '2'}{label}, open as {layer.mapper}"
    return [Action(verb=Verb.FORMAT, target=layer.id, summary=summary, steps=tuple(steps))]


@for_kind(hooks.format, Plain)
def make_plain(layer: Plain, graph: DeviceGraph) -> Sequence[Action]:
    """Prove blank, open it with a key from nowhere, and clear its ends: what lay there before decrypts to noise."""
    device = graph.devices(layer)[0]
    node, opened = Node(layer=device.id), Node(layer=layer.id)
    steps: tuple[Step, ...] = (
        RequireFree(target=node),
        RequireBlank(target=node),
        *opening_anew(layer, node),
        Zero(target=opened, ranges=WINDOWS),
    )
    summary = f"encrypt {graph.called(device)} with a key that nobody keeps, open as {layer.mapper}"
    return [Action(verb=Verb.FORMAT, target=layer.id, summary=summary, steps=steps)]


def adding(layer: Luks, opens: str, key: str, node: Node) -> Run:
    """Give a volume one more key."""
    return Run(
        argv=(
            *("cryptsetup", "luksAddKey", "--batch-mode", *cost(layer), "--key-file", "-"),
            *(node, Secret(reference=key, new=True)),
        ),
        stdin=Secret(reference=opens),
        timeout=PATIENCE,
    )


def _header(layer: Luks) -> tuple[str, ...]:
    said = {
        "--type": f"luks{layer.version or '2'}",
        "--label": layer.label,
        "--uuid": layer.uuid,
        "--cipher": layer.cipher,
        "--key-size": layer.key_size,
        "--sector-size": layer.sector_size,
    }
    return (*_words(said), *cost(layer))


def cost(layer: Luks) -> tuple[str, ...]:
    """Give the arguments that say what trying one passphrase is to cost."""
    said = {
        "--pbkdf": layer.pbkdf,
        "--iter-time": layer.iter_time,
        "--pbkdf-force-iterations": layer.pbkdf_iterations,
        "--pbkdf-memory": layer.pbkdf_memory,
        "--pbkdf-parallel": layer.pbkdf_parallel,
    }
    return _words(said)


def _words(said: dict[str, str | int | None]) -> tuple[str, ...]:
    return tuple(word for option, value in said.items() if value is not None for word in (option, str(value)))

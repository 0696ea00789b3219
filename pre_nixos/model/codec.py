"""Machines, wanted graphs and plans as JSON, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from pre_nixos.model.data import Data
from pre_nixos.model.graph import DeviceGraph
from pre_nixos.model.layer import Layer, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

D = TypeVar("D", bound=Data)

VERSION = 1


class Unreadable(ValueError):
    """A document that is not what it should be, in words for people."""


class _Envelope(Data):
    """What every document begins with."""

    format: str
    version: int
    written_by: dict[str, str] = {}
    """For each kind in it, the distribution that owns the kind."""
    content: msgspec.Raw


def encode(document: Data, *, format: str, owners: Mapping[str, str] = {}) -> bytes:  # noqa: A002 - what it is called inside
    """Write a document, the same bytes for the same content; `owners` names the distribution behind each kind."""
    kinds: set[str] = set()
    content = msgspec.to_builtins(document, enc_hook=_encoder(kinds))
    envelope = {
        "format": format,
        "version": VERSION,
        "written_by": {kind: owners[kind] for kind in sorted(kinds) if kind in owners},
        "content": content,
    }
    return msgspec.json.format(msgspec.json.encode(envelope, order=None), indent=1)


def decode(text: bytes, cls: type[D], *, format: str, kinds: Mapping[str, type[Layer]]) -> D:  # noqa: A002 - as above
    """Read a document back. Raises Unreadable, which says what is wrong and where."""
    try:
        envelope = msgspec.json.decode(text, type=_Envelope)
    except msgspec.ValidationError as error:
        raise Unreadable(f"this is JSON, but no {format}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"this is not JSON, or not all of it: {error}") from error
    if envelope.format != format:
        raise Unreadable(f"this is a {envelope.format}, not a {format}")
    if envelope.version != VERSION:
        raise Unreadable(
            f"this {format} has version {envelope.version}, and this pre_nixos reads version {VERSION}; "
            "write it again with the pre_nixos that is to read it"
        )
    try:
        return msgspec.json.decode(envelope.content, type=cls, dec_hook=_decoder(kinds, envelope.written_by))
    except (msgspec.ValidationError, RecursionError) as error:
        raise Unreadable(f"this {format} cannot be used: {error}") from error


def _encoder(kinds: set[str]) -> Any:  # noqa: ANN401 - a hook as msgspec wants it
    def hook(value: object) -> object:
        if not isinstance(value, DeviceGraph):
            raise NotImplementedError(f"no way to write {type(value)} as JSON")
        kinds.update(layer.kind for layer in value.layers())
        return [{"on": list(value.on(layer.id)), "layer": layer} for layer in value.layers()]

    return hook


def _decoder(kinds: Mapping[str, type[Layer]], written_by: Mapping[str, str]) -> Any:  # noqa: ANN401 - as above
    def hook(cls: type, value: object) -> object:
        if cls is not DeviceGraph:
            raise NotImplementedError(f"no way to read {cls} from JSON")
        return _graph(value, kinds, written_by)

    return hook


class _Placed(Data):
    on: tuple[str, ...] = ()
    layer: dict[str, Any]


def _graph(value: object, kinds: Mapping[str, type[Layer]], written_by: Mapping[str, str]) -> DeviceGraph:
    layers: dict[str, Layer] = {}
    on: dict[str, tuple[str, ...]] = {}
    for placed in msgspec.convert(value, list[_Placed]):
        layer = _layer(placed.layer, kinds, written_by)
        missing = [support for support in placed.on if support not in layers]
        if missing:
            raise ValueError(f"{layer.id} stands on {missing[0]}, which does not come before it")
        if layer.id in layers or not layer.id:
            raise ValueError(f"the id {layer.id!r} is empty or was given twice")
        layers[layer.id], on[layer.id] = layer, placed.on
    return DeviceGraph(layers, on)


def _layer(fields: dict[str, Any], kinds: Mapping[str, type[Layer]], written_by: Mapping[str, str]) -> Layer:
    kind = fields.get("kind")
    if not isinstance(kind, str):
        raise ValueError(f"a layer without a kind: {sorted(fields)}")  # noqa: TRY004 - the document is wrong, not the code
    cls = kinds.get(kind)
    if cls is None:
        writer = written_by.get(kind)
        hint = f"it was written by {writer}; install that plugin" if writer else "no plugin here knows it"
        raise ValueError(f"a layer is of kind {kind!r}, which is unknown: {hint}")
    try:
        return msgspec.convert(fields, cls)
    except msgspec.ValidationError as error:
        raise ValueError(f"the {kind} {fields.get('id', '')}: {error}") from error


__all__ = ["VERSION", "Unreadable", "decode", "encode", "kind_of"]

"""The published form of documents: a JSON schema made from the very types that read and write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pre_nixos.model.codec import VERSION
from pre_nixos.model.graph import DeviceGraph

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pre_nixos.model.data import Data
    from pre_nixos.model.layer import Layer

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def document_schema(cls: type[Data], *, format: str, kinds: Iterable[type[Layer]]) -> dict[str, Any]:  # noqa: A002 - what it is called inside
    """Describe a document of one format, with layers of these kinds in its graphs."""
    layers = tuple(kinds)
    (content, *shown), parts = msgspec.json.schema_components(
        (cls, *layers), schema_hook=_graph_schema, ref_template="#/$defs/{name}"
    )
    placed = {
        "type": "object",
        "properties": {
            "on": {"type": "array", "items": {"type": "string"}},
            "layer": {"anyOf": shown},
        },
        "required": ["layer"],
        "additionalProperties": False,
    }
    return {
        "$schema": DIALECT,
        "title": format,
        "type": "object",
        "properties": {
            "format": {"const": format},
            "version": {"const": VERSION},
            "written_by": {"type": "object", "additionalProperties": {"type": "string"}},
            "content": content,
        },
        "required": ["format", "version", "content"],
        "additionalProperties": False,
        "$defs": {**parts, "Graph": {"type": "array", "items": placed}},
    }


def _graph_schema(cls: type) -> dict[str, Any]:
    if cls is not DeviceGraph:
        raise NotImplementedError(f"no schema for {cls}")
    return {"$ref": "#/$defs/Graph"}

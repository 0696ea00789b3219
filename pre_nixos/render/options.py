"""The options of policies as data that other languages read: a JSON Schema for each, made of the options' own class.

`nix/policies.json` is this, of the policies that come along; the NixOS module makes its options of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pre_nixos.hooks.specs import Policy


def options_schema(policies: Iterable[Policy]) -> Mapping[str, Mapping[str, object]]:
    """Give, for each policy by name, its summary and a schema of each option, with type, bounds, default and help."""
    return {
        each.name: {"summary": each.summary, "options": _properties(each)}
        for each in sorted(policies, key=lambda policy: policy.name)
    }


def _properties(policy: Policy) -> Mapping[str, object]:
    (root,), definitions = msgspec.json.schema_components([policy.options], ref_template="{name}")
    found: dict[str, Any] = definitions[root["$ref"]]
    properties: dict[str, object] = found["properties"]
    return properties

"""The published schemas are those of the code, and documents fit them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pre_nixos as pn
from pre_nixos.flow.documents import MACHINE, PLAN, dump_plan, json_schema
from pre_nixos.hooks.registry import Registry, installed

ROOT = Path(__file__).parents[2]
SCHEMAS = {MACHINE: ROOT / "docs/api/schemas/machine.json", PLAN: ROOT / "docs/api/schemas/plan.json"}


def built_in() -> Registry:
    """The registry without what else happens to be installed."""
    everything = installed()
    names = [name for name, origin in everything.distributions.items() if origin.startswith("pre-nixos ")]
    return everything.only(names)


def written(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


@pytest.mark.parametrize("format_", SCHEMAS)
def test_what_is_published_is_what_is_read_and_written(format_: str) -> None:
    found = written(json_schema(format_, registry=built_in()))
    assert SCHEMAS[format_].read_text() == found, "write them anew with: python -m tests.unit.test_schemas"


def test_every_kind_and_every_field_is_in_the_schema() -> None:
    registry = built_in()
    schema = json_schema(PLAN, registry=registry)
    described = {each["properties"]["kind"]["enum"][0]: each["properties"] for each in layers(schema)}
    assert set(described) == set(registry.kinds)
    there = pn.load_machine(str(ROOT / "tests/unit/machines/dirty-server.json"))
    plan = json.loads(dump_plan(pn.schedule(there, pn.propose(there, "tiered"))))
    assert plan["format"] == schema["properties"]["format"]["const"]
    for placed in plan["content"]["wanted"]["graph"]:
        assert set(placed["layer"]) <= set(described[placed["layer"]["kind"]])


def layers(schema: dict[str, Any]) -> list[dict[str, Any]]:
    references = schema["$defs"]["Graph"]["items"]["properties"]["layer"]["anyOf"]
    return [schema["$defs"][each["$ref"].rpartition("/")[2]] for each in references]


def test_an_unknown_format_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'plan'; there are: pre-nixos machine, pre-nixos plan"):
        json_schema("plan")


if __name__ == "__main__":
    for format_, path in SCHEMAS.items():
        path.write_text(written(json_schema(format_, registry=built_in())))

"""What each scenario took, in one table for people and one file for programs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pytest

COLUMNS = ("scenario", "outcome", "actions", "processes", "seconds", "rounds")


def entries(reports: Iterable[pytest.TestReport]) -> list[dict[str, Any]]:
    """Collect what the reports of a run say of scenarios."""
    found: list[dict[str, Any]] = []
    for report in reports:
        for key, value in getattr(report, "user_properties", ()):
            if key == "scenario" and report.when == "call" and isinstance(value, dict):
                found.append({**value, "outcome": report.outcome, "test_seconds": round(report.duration, 3)})
    return sorted(found, key=lambda each: str(each["name"]))


def write(found: Sequence[dict[str, Any]], directory: str) -> str:
    """Write them down for programs; tell where."""
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "scenarios.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1, sort_keys=True)
        file.write("\n")
    return path


def table(found: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Lay them out for people."""
    yield "{:64} {:7} {:>7} {:>9} {:>7} {:>6}".format(*COLUMNS)
    for each in found:
        cells = [str(each.get(column, "")) for column in COLUMNS[1:]]
        yield "{:64} {:7} {:>7} {:>9} {:>7} {:>6}".format(each["name"], *cells)
    total = sum(float(each["test_seconds"]) for each in found)
    yield f"{len(found)} scenarios, {total:.0f} s with their preparation and all looking"

"""The entry points of a group, read where installers write them.

`importlib.metadata` does this too, and importing it takes longer than all of this library's own modules together. So
directories on the path are read here; whatever else may bring distributions is left to it.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_INFO = (".dist-info", ".egg-info")
_VALUE = re.compile(r"(?P<module>[\w.]+)\s*(?::\s*(?P<name>[\w.]+))?\s*(?:\[.*\])?\s*")


class Point(NamedTuple):
    """One entry point."""

    name: str
    value: str
    origin: str
    """Name and version of the distribution it came with."""

    def load(self) -> object:
        """Import what it names."""
        found = _VALUE.fullmatch(self.value)
        if found is None:
            raise ImportError(f"{self.value!r} names no module")
        thing: object = import_module(found["module"])
        for attribute in filter(None, (found["name"] or "").split(".")):
            thing = getattr(thing, attribute)
        return thing


def entry_points(group: str) -> Sequence[Point]:
    """Give the entry points of a group; of two distributions of one name the first on the path counts."""
    if not _plain():
        return list(_asked(group))
    seen: set[str] = set()
    found: list[Point] = []
    for directory in dict.fromkeys(path or "." for path in sys.path):
        for place in _places(directory):
            name = _normal(os.path.basename(place))
            if name not in seen:
                seen.add(name)
                found += _points(place, group)
    return found


def _plain() -> bool:
    """Tell whether all distributions are directories in directories on the path."""
    if [each for each in sys.meta_path if hasattr(each, "find_distributions")] != [PathFinder]:
        return False
    return not any(os.path.isfile(path) or path.endswith(".egg") for path in sys.path)


def _places(directory: str) -> Iterator[str]:
    try:
        entries = os.listdir(directory)
    except OSError:
        return
    for entry in entries:
        if entry.endswith(_INFO):
            yield f"{directory}/{entry}"


def _normal(entry: str) -> str:
    """Give the name of a distribution in the form that compares, from that of its directory."""
    stem = entry.rpartition(".")[0]
    return re.sub(r"[-_.]+", "_", stem.partition("-")[0]).lower()


def _points(place: str, group: str) -> Iterator[Point]:
    section = origin = ""
    for raw in _lines(f"{place}/entry_points.txt"):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == group:
            name, _, value = line.partition("=")
            origin = origin or _origin(place)  # read once, and only where there is something in the group
            yield Point(name.strip(), value.strip(), origin)


def _origin(place: str) -> str:
    """Give name and version as the distribution itself writes them."""
    said: dict[str, str] = {}
    for file in ("METADATA", "PKG-INFO"):
        for line in _lines(f"{place}/{file}"):
            key, colon, value = line.partition(":")
            if not colon:
                break  # the description follows
            said.setdefault(key.lower(), value.strip())
        if said:
            break
    return f"{said.get('name', '')} {said.get('version', '')}".strip()


def _lines(path: str) -> Sequence[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except OSError:
        return ()


def _asked(group: str) -> Iterator[Point]:
    """Ask whoever knows every way there is."""
    from importlib import metadata

    for point in metadata.entry_points(group=group):
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        yield Point(point.name, point.value, origin)

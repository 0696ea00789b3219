"""A graph as a tree: disks first, everything under what it stands on, and what stands on several drawn once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pre_nixos.model.layer import Disk, Unrecognised
from pre_nixos.render.text import UNICODE, Guides, Line, Span, Style, joined, plain, wrapped
from pre_nixos.render.words import details, kernel_name, name_of, size_of, sorted_layers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pre_nixos.model.graph import DeviceGraph
    from pre_nixos.model.layer import Layer

WIDTH = 80
NARROWEST = 24
"""Columns that are kept for what is said of a layer, however deep it stands."""
SHARE = 0.45
"""The share of the columns that is kept for that, where it is more."""
MOST_JOINED = 4
"""So many leaves of one layer are named on its line; more get a line each."""


class Mark(NamedTuple):
    """One character in front of a line, and the style of the line's name."""

    sign: str
    style: Style


class _Item:
    """A line of the tree, before it is laid out, and the lines under it."""

    __slots__ = ("children", "details", "fixed", "mark", "name", "size")

    def __init__(
        self, name: Line, size: str, details: list[Line], mark: Mark | None, children: list[_Item], *, fixed: bool
    ) -> None:
        self.name = name
        self.size = size
        self.details = details
        self.mark = mark
        self.children = children
        self.fixed = fixed
        """Whether it needs a line of its own, even as the only child."""


def tree(
    graph: DeviceGraph,
    *,
    width: int = WIDTH,
    guides: Guides = UNICODE,
    names: Mapping[str, str] = {},
    notes: Mapping[str, Sequence[Line]] = {},
    marks: Mapping[str, Mark] | None = None,
    empty: str = "",
    brief: bool = False,
) -> Sequence[Line]:
    """Draw a graph.

    `names` are the kernel's names of layers whose devices were made anonymous; `notes` are said of a layer beside what
    it says of itself; with `marks` every line begins with a column for them; `empty` is said of a disk with nothing on
    it; a `brief` tree says nothing more of disks that have a name.
    """
    return _Tree(graph, width, guides, names, notes, marks, empty, brief=brief).lines()


class _Tree:
    def __init__(
        self,
        graph: DeviceGraph,
        width: int,
        guides: Guides,
        names: Mapping[str, str],
        notes: Mapping[str, Sequence[Line]],
        marks: Mapping[str, Mark] | None,
        empty: str,
        *,
        brief: bool,
    ) -> None:
        self._graph = graph
        self._width = width
        self._guides = guides
        self._names = names
        self._notes = notes
        self._marks = marks
        self._empty = empty
        self._brief = brief
        self._drawn: set[str] = set()

    def lines(self) -> Sequence[Line]:
        roots = [each for each in self._graph.layers() if not self._graph.on(each.id)]
        disks = [each for each in roots if isinstance(each, Disk)]
        others = [each for each in roots if not isinstance(each, Disk)]
        # Who stands first is drawn first, and what stands on several is drawn in full where it is met first.
        items = [self._item(each) for group in (disks, others) for each in sorted_layers(group, self._names)]
        rows = [row for item in items for row in self._rows(item, "", "")]
        # A line that says nothing more needs no column.
        full = [row for row in rows if row.item.size or row.item.details]
        size_width = max((len(row.item.size) for row in full), default=0)
        said_width = max(NARROWEST, round(self._width * SHARE))
        most = self._width - self._margin - size_width - 4 - said_width
        lengths = [len(row.guide) + len(plain(row.item.name)) for row in full]
        # A name longer than that hangs over; the others need not suffer for it.
        column = max((each for each in lengths if each <= most), default=min(most, 12))
        return [line for row in rows for line in self._laid_out(row, column, size_width)]

    @property
    def _margin(self) -> int:
        return 0 if self._marks is None else 2

    def _item(self, layer: Layer) -> _Item:
        self._drawn.add(layer.id)
        mark = self._marks.get(layer.id) if self._marks is not None else None
        style = mark.style if mark is not None else Style.CAUTION if isinstance(layer, Unrecognised) else Style.NAME
        size = size_of(layer, self._graph)
        said = [*self._notes.get(layer.id, ()), *self._details(layer, size)]
        above = [self._graph[each] for each in self._graph.standing_on(layer.id)]
        children = [self._child(each) for each in sorted_layers(above, self._names)]
        if not above and self._empty and isinstance(layer, Disk):
            said.append((Span(self._empty, Style.FAINT),))
        name = (Span(name_of(layer, self._names), style),)
        fixed = layer.device is not None or layer.mark() is not None or len(self._graph.on(layer.id)) > 1
        return _with_joined(_Item(name, size, said, mark, children, fixed=fixed))

    def _details(self, layer: Layer, size: str) -> Iterable[Line]:
        if isinstance(layer, Disk):
            return () if self._brief and kernel_name(layer, self._names) else details(layer, self._names, size)
        disks = self._graph.disks(layer.id)
        below = kernel_name(self._graph[next(iter(disks))], self._names) if len(disks) == 1 else ""
        return details(layer, self._names, size, below)

    def _child(self, layer: Layer) -> _Item:
        if layer.id not in self._drawn:
            return self._item(layer)
        mark = self._marks.get(layer.id) if self._marks is not None else None
        style = mark.style if mark is not None else Style.PLAIN
        name = (Span(f"part of {name_of(layer, self._names)}", style), Span(", above", Style.FAINT))
        return _Item(name, "", [], mark, [], fixed=False)

    def _rows(self, item: _Item, guide: str, below: str) -> Iterable[_Row]:
        yield _Row(item, guide, below + (self._guides.through if item.children else ""))
        for child in item.children:
            final = child is item.children[-1]
            first, rest = (
                (self._guides.last, self._guides.none) if final else (self._guides.branch, self._guides.through)
            )
            yield from self._rows(child, below + first, below + rest)

    def _laid_out(self, row: _Row, column: int, size_width: int) -> Iterable[Line]:
        """Put the name in its column, then the size, then what is said, broken where it must be."""
        item = row.item
        sign, style = item.mark or Mark(" ", Style.PLAIN)
        margin = "" if self._marks is None else f"{sign} "
        head: Line = (Span(margin, style), Span(row.guide, Style.FAINT), *item.name)
        size, said = f"  {item.size:>{size_width}}  ", joined(item.details)
        start = self._margin + column + len(size)
        below = f"{' ' * self._margin}{row.below}"[: start - 2].ljust(start)
        used, most = len(plain(head)), self._margin + column
        if not item.size and not said:
            yield from wrapped(head, self._width, margin=below[:most])
            return
        if used > most and used + len(size) + NARROWEST // 2 > self._width:
            # Hardly anything fits behind a name as long as this: the rest gets a line of its own.
            yield from wrapped(head, self._width, margin=below[:most])
            head, used = (Span(below[:most], Style.FAINT),), most
        gap = " " * (most - used)
        if not item.size:
            # A name that hangs over takes the place of the size there is none of.
            size = size[: max(2, start - used - len(gap))]
        first, *more = wrapped(said, self._width, margin=below, taken=max(used + len(gap + size), start))
        yield (*head, Span(gap), Span(size, Style.SIZE), *first)
        yield from more


class _Row(NamedTuple):
    item: _Item
    guide: str
    below: str
    """What the guides look like on the lines that follow this one."""


def _with_joined(item: _Item) -> _Item:
    """Put what is merely on a layer, such as its filesystem and where that is mounted, on the layer's own line."""
    children = item.children
    alone = len(children) == 1 and not children[0].fixed
    leaves = len(children) <= MOST_JOINED and all(not each.children and not each.fixed for each in children)
    if not (alone or leaves) or any(each.mark != item.mark for each in children):
        return item
    for child in children:
        item.details += [child.name, *child.details]
        item.size = item.size or child.size
    item.children = children[0].children if alone else []
    return item

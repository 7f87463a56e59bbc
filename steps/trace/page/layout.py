"""Where each node of the lineage graph is drawn: columns from left to right, few rows each.

    graph = placed(answer)
    graph.boxes["model:edgar.models.analyst@3"]      # Box(x, y, …), in SVG user units
    graph.lines                                      # edges between boxes, hidden nodes merged

A node's column is one more than that of the node before it. A column shows at most `MOST_ROWS`
boxes; the others are one box "and N more", and their edges lead to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steps.trace.answer import Answer
from steps.trace.history import Edge, split
from steps.trace.text import in_order

WIDTH, HEIGHT = 184, 54  # of a box
GAP_X, GAP_Y = 128, 26
MOST_ROWS = 10
MARGIN = 16
TOP = 40  # above the first row, for the columns' titles


@dataclass(frozen=True)
class Box:
    """One drawn box: a node, or several hidden ones (`hidden` of them)."""

    node: str
    kind: str
    x: float
    y: float
    column: int
    hidden: int = 0


@dataclass(frozen=True)
class Line:
    """One drawn edge, which merges `count` edges of hidden nodes."""

    source: Box
    target: Box
    edge: Edge
    count: int


@dataclass(frozen=True)
class Graph:
    """All boxes and lines, and the size of the drawing in user units."""

    boxes: Mapping[str, Box]
    lines: tuple[Line, ...]
    width: float
    height: float


def placed(answer: Answer) -> Graph:
    """Return the drawing of an answer."""
    columns = _columns(answer.nodes, answer.edges)
    rows = _ordered(columns, answer)
    shown_as: dict[str, str] = {}
    boxes: dict[str, Box] = {}
    tallest = max((min(len(nodes), MOST_ROWS + 1) for nodes in rows.values()), default=1)
    for column, nodes in rows.items():
        kept, hidden = _capped(nodes)
        drawn = kept + ([f"more:{column}"] if hidden else [])
        offset = TOP + (tallest - len(drawn)) * (HEIGHT + GAP_Y) / 2
        for row, node in enumerate(drawn):
            x = MARGIN + column * (WIDTH + GAP_X)
            y = offset + row * (HEIGHT + GAP_Y)
            more = node.startswith("more:")
            kind = split(hidden[0])[0] if more else split(node)[0]
            boxes[node] = Box(node, kind, x, y, column, len(hidden) if more else 0)
        shown_as |= {node: node for node in kept} | dict.fromkeys(hidden, f"more:{column}")
    width = 2 * MARGIN + (max(rows, default=0) + 1) * (WIDTH + GAP_X) - GAP_X
    height = TOP + MARGIN + tallest * (HEIGHT + GAP_Y) - GAP_Y
    return Graph(boxes, tuple(_lines(answer.edges, shown_as, boxes)), width, height)


def _columns(nodes: Iterable[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return each node's column: the longest way to it; sources are next to what they lead to.

    A cycle, which only false evidence has, ends after as many rounds as there are nodes in a way.
    """
    columns = dict.fromkeys(nodes, 0)
    after = defaultdict(list)
    for edge in edges:
        after[edge.source].append(edge.target)
    waiting, rounds = list(columns), 0
    while waiting and rounds < 32:
        moved = set()
        for node in waiting:
            for target in after[node]:
                if columns[target] < columns[node] + 1:
                    columns[target] = columns[node] + 1
                    moved.add(target)
        waiting, rounds = list(moved), rounds + 1
    targets = {edge.target for edge in edges}
    for node in columns:
        if node not in targets and after[node]:
            columns[node] = max(0, min(columns[target] for target in after[node]) - 1)
    lowest = min(columns.values(), default=0)
    return {node: column - lowest for node, column in columns.items()}


def _ordered(columns: Mapping[str, int], answer: Answer) -> dict[int, list[str]]:
    """Return the nodes of each column, near the middle of the nodes that lead to them."""
    by_column: dict[int, list[str]] = defaultdict(list)
    for node in in_order(columns):
        by_column[columns[node]].append(node)
    before = defaultdict(list)
    for edge in answer.edges:
        before[edge.target].append(edge.source)
    place: dict[str, float] = {}
    for column in sorted(by_column):
        nodes = by_column[column]
        middle = {
            node: sum(place.get(each, 0.0) for each in before[node]) / len(before[node])
            for node in nodes
            if before[node]
        }
        nodes.sort(key=lambda node: (node not in answer.starts, middle.get(node, 0.0)))
        place |= {node: float(row) for row, node in enumerate(nodes)}
    return dict(sorted(by_column.items()))


def _capped(nodes: Sequence[str]) -> tuple[list[str], list[str]]:
    if len(nodes) <= MOST_ROWS + 1:  # a box "and 1 more" would take as much room as the node
        return list(nodes), []
    return list(nodes[:MOST_ROWS]), list(nodes[MOST_ROWS:])


def _lines(
    edges: Sequence[Edge], shown_as: Mapping[str, str], boxes: Mapping[str, Box]
) -> Iterable[Line]:
    merged: dict[tuple[str, str], list[Edge]] = defaultdict(list)
    for edge in edges:
        merged[shown_as[edge.source], shown_as[edge.target]].append(edge)
    for (source, target), several in merged.items():
        if source != target:
            yield Line(boxes[source], boxes[target], several[0], len(several))

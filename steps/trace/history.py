"""The lineage of all executions as one graph: nodes are names, edges name who moved the data.

    history = History.of(rows)
    history.upstream({"model:edgar.models.analyst@3"})     # every node its data came from
    history.downstream({"table:edgar.raw.filings@7"})      # every node that has its data

Nodes are `table:<name>@<version>`, `prepare:<execution id>`, `base:<name>@<revision>`,
`train:<job>`, `model:<name>@<version>` and `alias:<model>@<alias>`. Manifests and records both
state edges; an edge that both state is one edge.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steps.trace.facts import Facts
from steps.trace.index.rows import Row


@dataclass(frozen=True)
class Edge:
    """One step of the data: from where, to where, by which principal, when, with which grants.

    `grants` are `privilege on TYPE name`, with the group where one held it. `verb` is what the
    principal did.
    """

    source: str
    target: str
    verb: str
    principal: str = ""
    at: str = ""
    grants: tuple[str, ...] = ()


@dataclass
class History:
    """All readable documents, by kind, and the edges between their nodes."""

    documents: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    unreadable: list[Row] = field(default_factory=list)
    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)
    rows_of: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    _after: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _before: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "History":
        """Return the history of some documents. Unreadable ones are kept apart."""
        history = cls()
        for row in rows:
            if row.unreadable:
                history.unreadable.append(row)
            if row.facts:
                history.documents[row.kind].append(row)
        for kind in ("prepared", "trained", "registered"):
            for row in history.documents[kind]:
                for edge in _EDGES[kind](row):
                    history._add(edge)
                for node in nodes_of(row):
                    history.rows_of[node].append(row)
        return history

    def upstream(self, nodes: Iterable[str]) -> set[str]:
        """Return every node that data of these nodes came from, without the nodes themselves."""
        return _closure(set(nodes), self._before)

    def downstream(self, nodes: Iterable[str]) -> set[str]:
        """Return every node that has data of these nodes, without the nodes themselves."""
        return _closure(set(nodes), self._after)

    def names(self, kind: str) -> set[str]:
        """Return the names of all nodes of a kind, without their versions."""
        return {
            split(node)[1]
            for node in self._after.keys() | self._before.keys()
            if node.startswith(f"{kind}:")
        }

    def nodes(self, kind: str, name: str) -> set[str]:
        """Return every node of a kind and a name: all versions of it."""
        start = f"{kind}:{name}@"
        return {node for node in self._after.keys() | self._before.keys() if node.startswith(start)}

    def _add(self, edge: Edge) -> None:
        pair = (edge.source, edge.target)
        known = self.edges.get(pair)
        if known is None:
            self._after[edge.source].append(edge.target)
            self._before[edge.target].append(edge.source)
        if known is None or (edge.grants and not known.grants):
            self.edges[pair] = edge


def split(node: str) -> tuple[str, str, str]:
    """Return kind, name and version (empty for a job) of a node."""
    kind, _, rest = node.partition(":")
    if kind in ("prepare", "train"):
        return kind, rest, ""
    name, _, version = rest.rpartition("@")
    return kind, name, version


def table(pair: Sequence[Any]) -> str:
    """Return the node of a table version."""
    return f"table:{pair[0]}@{pair[1]}"


def base(triple: Sequence[Any]) -> str:
    """Return the node of a base model."""
    return f"base:{triple[0]}@{triple[1]}"


def model(facts: Facts) -> str:
    """Return the node of a model version."""
    return f"model:{facts['model']}@{facts['version']}"


def nodes_of(row: Row) -> list[str]:
    """Return the jobs and versions that a document is about."""
    facts = row.facts
    if row.kind == "prepared":
        return [f"prepare:{row.execution}", table(facts["source"]), table(facts["target"])]
    if row.kind == "trained":
        return [f"train:{facts['job']}", base(facts["base_model"])]
    return [
        f"prepare:{row.execution}",
        f"train:{facts['job']}",
        table(facts["raw"]),
        table(facts["curated"]),
        base(facts["base_model"]),
        model(facts),
    ]


def _prepared(row: Row) -> list[Edge]:
    facts, job = row.facts, f"prepare:{row.execution}"
    who, at = facts["principal"], facts["at"]
    grants = _grants(facts["readings"], facts["source"][0])
    return [
        Edge(table(facts["source"]), job, "read", who, at, grants),
        Edge(job, table(facts["target"]), _made(facts), who, at),
    ]


def _made(facts: Facts) -> str:
    """Return what a Prepare job did with its table version: wrote it, or verified it again."""
    return "used again" if facts["reused"] else "written"


def _trained(row: Row) -> list[Edge]:
    facts, job = row.facts, f"train:{row.facts['job']}"
    who, at = facts["principal"], facts["at"]
    grants = _grants(facts["readings"], facts["data"][0])
    return [
        Edge(table(facts["data"]), job, "read", who, at, grants),
        Edge(base(facts["base_model"]), job, "tuned", who, at),
    ]


def _registered(row: Row) -> list[Edge]:
    facts = row.facts
    prepare, train = f"prepare:{row.execution}", f"train:{facts['job']}"
    raw, curated = table(facts["raw"]), table(facts["curated"])
    return [
        _read(facts, raw, prepare),
        Edge(prepare, curated, _made(facts)),
        _read(facts, curated, train),
        Edge(base(facts["base_model"]), train, "tuned"),
        Edge(train, model(facts), "registered", facts["principal"], facts["at"]),
    ]


def _read(facts: Facts, source: str, job: str) -> Edge:
    name = split(source)[1]
    readings = [reading for reading in facts["readings"] if reading["table"] == name]
    who = readings[0]["principal"] if readings else ""
    at = readings[0]["at"] if readings else ""
    return Edge(source, job, "read", who, at, _grants(facts["readings"], name))


def _grants(readings: Iterable[Mapping[str, Any]], name: str) -> tuple[str, ...]:
    return tuple(
        f"{privilege} on {kind} {securable}"
        + (f" (through {holder})" if holder != reading["principal"] else "")
        for reading in readings
        if reading["table"] == name
        for privilege, holder, kind, securable in reading["grants"]
    )


_EDGES = {"prepared": _prepared, "trained": _trained, "registered": _registered}


def _closure(start: set[str], neighbours: Mapping[str, Sequence[str]]) -> set[str]:
    seen, queue = set(start), list(start)
    while queue:
        for node in neighbours.get(queue.pop(), ()):
            if node not in seen:
                seen.add(node)
                queue.append(node)
    return seen - start

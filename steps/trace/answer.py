"""An answer: the nodes that a question starts at, and all that is upstream and downstream of them.

answer = composed(history, starts, question, holders)
document(answer)        # plain JSON values; every form of output has the same content
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from steps.trace.aliases import ByVersion, Holders, by_version
from steps.trace.history import Edge, History, split, table
from steps.trace.people.of_versions import people_of

SCHEMA = "governed-finetune/trace-answer/1"


@dataclass(frozen=True)
class Question:
    """What was asked: its kind (model, execution, table, filing, principal), and the object."""

    kind: str
    text: str


@dataclass(frozen=True)
class Aliases:
    """The aliases as of the evidence, and of now. `now` is None where no registry answered."""

    recorded: Holders
    now: Holders | None = None

    def knows_now(self, model: str) -> bool:
        """Whether the registry answered for this model."""
        return self.now is not None and any(name == model for name, _ in self.now)

    def of(self, model: str, version: int) -> dict[str, list[str] | None]:
        """Return the aliases of a version as of the evidence, and of now (None: not known)."""
        recorded, now = self._by_version
        known = now.get((model, version), []) if self.knows_now(model) else None
        return {"aliases_recorded": recorded.get((model, version), []), "aliases_now": known}

    @cached_property
    def _by_version(self) -> tuple[ByVersion, ByVersion]:
        return by_version(self.recorded), by_version(self.now or {})


@dataclass(frozen=True)
class Answer:
    """The part of the lineage that answers a question."""

    question: Question
    starts: frozenset[str]
    upstream: frozenset[str]
    downstream: frozenset[str]
    edges: tuple[Edge, ...]
    details: Mapping[str, dict[str, str]]
    versions: tuple[dict[str, Any], ...]
    people: tuple[dict[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()

    @property
    def nodes(self) -> frozenset[str]:
        """Every node of the answer."""
        return self.starts | self.upstream | self.downstream


def composed(history: History, starts: set[str], question: Question, aliases: Aliases) -> Answer:
    """Return all that is upstream and downstream of some nodes, aliases included."""
    up, down = history.upstream(starts), history.downstream(starts)
    above, below = up | starts, down | starts
    edges = [
        edge
        for (source, target), edge in history.edges.items()
        if (source in above and target in above) or (source in below and target in below)
    ]
    # an alias is downstream of its version, unless the version itself is only a source
    shown = _alias_edges(below, aliases)
    down |= {edge.target for edge in shown}
    return Answer(
        question=question,
        starts=frozenset(starts),
        upstream=frozenset(up - starts),
        downstream=frozenset(down - starts),
        edges=tuple(sorted([*edges, *shown], key=lambda edge: (edge.source, edge.target))),
        details={node: details_of(history, node) for node in sorted(starts | up | down)},
        versions=tuple(_versions(history, starts | up | down, aliases)),
        people=tuple(people_of(history, starts | up | down)),
    )


def with_notes(answer: Answer, notes: list[str], unreadable: list[tuple[str, str]]) -> Answer:
    """Return the answer with what its reader must know about it."""
    return replace(answer, notes=tuple(notes), unreadable=tuple(unreadable))


def document(answer: Answer) -> dict[str, Any]:
    """Return the answer as JSON values."""
    return {
        "schema": SCHEMA,
        "question": {answer.question.kind: answer.question.text},
        "start": sorted(answer.starts),
        "upstream": sorted(answer.upstream),
        "downstream": sorted(answer.downstream),
        "nodes": {node: dict(answer.details[node]) for node in sorted(answer.nodes)},
        "edges": [
            {
                "source": edge.source,
                "target": edge.target,
                "verb": edge.verb,
                "principal": edge.principal,
                "at": edge.at,
                "grants": list(edge.grants),
            }
            for edge in answer.edges
        ],
        "model_versions": [dict(version) for version in answer.versions],
        "people": [dict(act) for act in answer.people],
        **answer.extra,
        "notes": list(answer.notes),
        "unreadable": [{"uri": uri, "reason": reason} for uri, reason in answer.unreadable],
    }


def details_of(history: History, node: str) -> dict[str, str]:
    """Return what the evidence has of one node, for people."""
    kind, name, version = split(node)
    found: dict[str, str | None] = {"kind": kind, "name": name, "version": version}
    for row in history.rows_of.get(node, []):
        facts = row.facts
        if kind == "prepare":
            found |= {"execution": row.execution}
            found |= _present(facts, template="template", curated_from="reused")
            found |= _present(facts, job_run="prepare_job", image="prepare_image")
        elif kind == "train":
            found |= {"execution": row.execution, "eval_loss": f"{facts['eval_loss']:.4g}"}
            found |= _present(facts, instance="instance_type", image="train_image")
        elif kind == "model":
            found |= {"execution": row.execution, "eval_loss": f"{facts['eval_loss']:.4g}"}
            found |= _present(facts, registered_at="at", archive_sha256="archive_sha256")
        elif kind == "base" and facts["base_model"][2]:
            found["licence"] = facts["base_model"][2]
        elif row.kind == "prepared" and node == table(facts["target"]):
            train, evaluation = facts["examples"]
            found["examples"] = f"{train} train, {evaluation} eval"
    return {name: str(value) for name, value in found.items() if value}


def _present(facts: Mapping[str, Any], **names: str) -> dict[str, str]:
    return {shown: str(facts[name]) for shown, name in names.items() if facts.get(name)}


def _alias_edges(nodes: set[str], aliases: Aliases) -> list[Edge]:
    found = []
    for holders, verb in ((aliases.recorded, "as of the record"), (aliases.now or {}, "now")):
        for (model, alias), version in holders.items():
            known_now = verb == "as of the record" and aliases.knows_now(model)
            source = f"model:{model}@{version}"
            if source in nodes and alias and not known_now:
                found.append(Edge(source, f"alias:{model}@{alias}", verb))
    return found


def _versions(history: History, nodes: set[str], aliases: Aliases) -> list[dict[str, Any]]:
    found = []
    for node in sorted(node for node in nodes if node.startswith("model:")):
        row = next(row for row in history.rows_of[node] if row.kind == "registered")
        model, version = row.facts["model"], row.facts["version"]
        found.append(
            {
                "model": model,
                "version": version,
                "execution": row.execution,
                "registered_at": row.facts["at"],
                "alias_at_registration": row.facts["alias"],
                **aliases.of(model, version),
                "eval_loss": row.facts["eval_loss"],
                "record": row.key,
                "record_sha256": row.sha256,
            }
        )
    return sorted(found, key=lambda each: (each["model"], each["version"]))

"""One principal: what it did in each execution, and with which grants.

    found = acts_of(history, "3f1c…")
    found.starts, found.extra["principal"]["acts"]

A principal is a Databricks application id, an IAM role or session, a Studio profile, an approver,
or a group that held a grant for the one who read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from steps.trace.history import History, model, table
from steps.trace.index.rows import Row
from steps.trace.questions import unknown


@dataclass(frozen=True)
class Act:
    """What one principal did: the verb, the object's node, the node that shows it, when."""

    principal: str
    verb: str
    on: str
    node: str
    at: str
    execution: str


@dataclass(frozen=True)
class PrincipalFound:
    """The nodes that a principal acted on, and the answer's part about it."""

    starts: set[str]
    extra: dict[str, Any]


def acts_of(history: History, principal: str) -> PrincipalFound:
    """Return everything that a principal did.

    Raises:
        UsageError: no document names it.
    """
    every = [act for row in _rows(history) for act in acts(row)]
    found = {act for act in every if act.principal == principal}
    if not found:
        raise unknown("principal", principal, {act.principal for act in every})
    ordered = sorted(found, key=lambda act: (act.at, act.execution, act.verb, act.on))
    shown = [{"verb": a.verb, "on": a.on, "at": a.at, "execution": a.execution} for a in ordered]
    return PrincipalFound({act.node for act in found}, {"principal": {"acts": shown}})


def acts(row: Row) -> Iterator[Act]:
    """Yield each act that a document states."""
    facts, where = row.facts, row.execution
    if row.kind == "prepared":
        job = f"prepare:{where}"
        yield Act(facts["principal"], "read", table(facts["source"]), job, facts["at"], where)
        yield Act(facts["principal"], "wrote", table(facts["target"]), job, facts["at"], where)
    elif row.kind == "trained":
        job = f"train:{facts['job']}"
        yield Act(facts["principal"], "read", table(facts["data"]), job, facts["at"], where)
    elif row.kind == "registered":
        yield from _registered(row)
    else:
        verb = "approved" if facts["action"] == "approve" else "revoked"
        for who in (facts["approver"], facts["aws"]):
            on = f"alias:{facts['model']}@{facts['alias']}"
            yield Act(who, verb, on, model(facts), facts["at"], where)
        return
    for reading in facts["readings"]:
        yield from _holders(row, reading)


def _registered(row: Row) -> Iterator[Act]:
    facts, where, version = row.facts, row.execution, model(row.facts)
    for who in (facts["principal"], facts["aws"]):
        yield Act(who, "registered", version, version, facts["at"], where)
    for who in facts["started_by"]:
        if who:
            yield Act(who, "started", f"execution:{where}", version, facts["started_at"], where)
    prepare, train = f"prepare:{where}", f"train:{facts['job']}"
    yield Act(facts["prepare_role"], "ran", prepare, prepare, facts["started_at"], where)
    yield Act(facts["train_role"], "ran", train, train, facts["started_at"], where)


def _holders(row: Row, reading: dict[str, Any]) -> Iterator[Act]:
    """Yield the groups that a reader's grants came through."""
    node = f"train:{row.facts['job']}" if row.kind == "trained" else f"prepare:{row.execution}"
    if row.kind == "registered" and reading["table"] != row.facts["raw"][0]:
        node = f"train:{row.facts['job']}"
    for privilege, holder, kind, securable in reading["grants"]:
        if holder != reading["principal"]:
            on = f"{privilege} on {kind} {securable}"
            yield Act(holder, "held the grant", on, node, reading["at"], row.execution)


def _rows(history: History) -> Iterator[Row]:
    for kind in ("prepared", "trained", "registered", "approval"):
        yield from history.documents[kind]

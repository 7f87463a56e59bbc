"""Who started the executions of an answer's model versions, and who approved or revoked an alias.

    people_of(history, {"model:edgar.models.analyst@3"})    # in the order of their times

Each is as the evidence states it: signatures are compared by `pipeline.audit`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from steps.trace.history import History, model
from steps.trace.index.rows import Row

_DECISIONS = {"approve": "approved", "revoke": "revoked"}


def people_of(history: History, nodes: Iterable[str]) -> list[dict[str, Any]]:
    """Return what people did for some nodes, as JSON values; nodes of other kinds add nothing.

    `who` is None where the record names nobody: SageMaker stated none, or it is of version 1.
    """
    wanted = {node for node in nodes if node.startswith("model:")}
    rows = [row for node in sorted(wanted) for row in history.rows_of[node]]
    rows += [row for row in history.documents["approval"] if model(row.facts) in wanted]
    found = [act for row in rows for act in _acts(row)]
    return sorted(found, key=lambda act: (act["at"], act["model"], act["version"], act["verb"]))


def _acts(row: Row) -> Iterator[dict[str, Any]]:
    facts = row.facts
    version = {"model": facts["model"], "version": facts["version"], "alias": facts["alias"]}
    if row.kind == "registered":
        arn, profile = facts["started_by"]
        yield version | {
            "verb": "started",
            "who": profile or arn,
            "aws": arn,
            "at": facts["started_at"],
            "group": None,
            "reason": None,
        }
    elif row.kind == "approval":
        yield version | {
            "verb": _DECISIONS[facts["action"]],
            "who": facts["approver"],
            "aws": facts["aws"],
            "at": facts["at"],
            "group": facts["group"],
            "reason": facts["reason"],
        }

"""One filing: which versions saw it, and what must be done if it has to be forgotten.

    found = seen_by(history, seen, aliases)
    found.starts            # the curated table versions that have its examples
    found.extra             # {"filing": {"seen": […], "forget": {…}, "not_recorded": […]}}

A model whose training split had the filing must be trained again without it. One that only saw it
in evaluation has no gradient of it, but its best step was chosen with it: it is evaluated again.
What follows through a derived table (a curated table that another execution read as its raw table)
is trained again too, since no membership file names the filing there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from steps.governance.errors import UsageError
from steps.trace.answer import Aliases
from steps.trace.history import History, split, table
from steps.trace.index.filings import Seen
from steps.trace.index.rows import Row
from steps.trace.questions import unknown


@dataclass(frozen=True)
class FilingFound:
    """The table versions that have a filing, and the answer's part about it."""

    starts: set[str]
    extra: dict[str, Any]


def seen_by(history: History, seen: Sequence[Seen], aliases: Aliases) -> FilingFound:
    """Return which executions, tables and model versions have a filing, and what to do."""
    by_membership = {each.membership_sha256: each for each in seen}
    rows = [
        (row, by_membership[row.facts["membership_sha256"]])
        for row in history.documents["prepared"]
        if row.facts["membership_sha256"] in by_membership
    ]
    starts = {table(row.facts["target"]) for row, _ in rows}
    direct = {row.execution: each for row, each in rows}
    affected = _affected(history, history.downstream(starts), direct)
    tables = sorted(
        starts | {node for node in history.downstream(starts) if node.startswith("table:")}
    )
    entries = [
        {
            "execution": row.execution,
            "table": row.facts["target"][0],
            "version": row.facts["target"][1],
            "examples_train": each.examples_train,
            "examples_eval": each.examples_eval,
        }
        for row, each in sorted(rows, key=lambda pair: pair[0].key)
    ]
    named = [
        each | aliases.of(each["model"], each["model_version"])
        for each in affected
        if "model" in each
    ]
    forget = {
        "retrain": [each for each in named if each["saw"] != "evaluation"],
        "evaluate_again": [each for each in named if each["saw"] == "evaluation"],
        "delete_archives": [each for each in affected if "model" not in each],
        "rewrite_tables": [{"table": split(n)[1], "version": int(split(n)[2])} for n in tables],
    }
    extra = {"seen": entries, "forget": forget, "not_recorded": not_recorded(history)}
    return FilingFound(starts, {"filing": extra})


def not_recorded(history: History) -> list[dict[str, Any]]:
    """Return the executions whose filings are unknown: evidence of version 1 did not record them,
    or their membership file could not be read."""
    models = {row.execution: row.facts for row in history.documents["registered"]}
    lost = {row.key for row in history.unreadable}
    return [
        {
            "execution": row.execution,
            "why": "not readable" if row.key in lost else "not recorded by version 1",
            "table": row.facts["target"][0],
            "version": row.facts["target"][1],
            **_model(models.get(row.execution)),
        }
        for row in sorted(history.documents["prepared"], key=lambda row: row.key)
        if row.facts["membership_sha256"] is None or row.key in lost
    ]


def unknown_filing(history: History, filing_id: str, near: str | None) -> UsageError:
    """Return the error of a filing that no membership file has, with the nearest one."""
    error = unknown("filing", filing_id, [near] if near else [])
    lost = len(not_recorded(history))
    if not lost:
        return error
    return UsageError(
        error.what,
        expected="a filing that gave examples to an execution of version 2",
        got=f"{filing_id!r}"[:200] + f"; the filings of {lost} more executions are not known "
        "(not recorded by version 1, or not readable), so they may have seen it",
        do=f"did you mean {near!r}?" if near else "check the id",
    )


def _affected(
    history: History, downstream: Iterable[str], direct: dict[str, Seen]
) -> list[dict[str, Any]]:
    """Every training job downstream, with its model version if one was registered."""
    models = {row.facts["job"]: row for row in history.documents["registered"]}
    found = []
    for node in sorted(downstream):
        kind, job, _ = split(node)
        if kind != "train":
            continue
        execution = _execution(history.rows_of[node])
        entry = {"execution": execution, "training_job": job, "saw": _saw(direct.get(execution))}
        found.append(entry | _model(models[job].facts if job in models else None))
    return found


def _execution(rows: Sequence[Row]) -> str:
    return rows[0].execution


def _saw(seen: Seen | None) -> str:
    if seen is None:
        return "through a derived table"
    splits = {"training": seen.examples_train, "evaluation": seen.examples_eval}
    return " and ".join(name for name, examples in splits.items() if examples) or "no example"


def _model(facts: dict[str, Any] | None) -> dict[str, Any]:
    return {"model": facts["model"], "model_version": facts["version"]} if facts else {}

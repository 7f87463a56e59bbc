"""From a question to the nodes that its answer starts at.

    starts = of_model(history, "edgar.models.analyst@champion", aliases)
    starts = of_table(history, "edgar.raw.filings", version=7)

An object that the evidence does not have is the caller's fault: one message with the nearest name.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from steps.governance.errors import UsageError
from steps.trace.answer import Aliases
from steps.trace.history import History, split

_SHOWN = 10  # names in a message


def of_model(history: History, text: str, aliases: Aliases) -> set[str]:
    """Return the node of `NAME@VERSION` or `NAME@ALIAS`.

    An alias is that of now if the registry answered, else that of the evidence.

    Raises:
        UsageError: no such model, version or alias.
    """
    name, _, wanted = text.rpartition("@")
    known = {row.facts["model"] for row in history.documents["registered"]}
    if name not in known:
        raise unknown("model", name or text, known)
    if wanted.isdecimal():
        node = f"model:{name}@{int(wanted)}"
        numbers = {split(each)[2] for each in history.nodes("model", name)}
        if node not in history.rows_of:
            raise unknown(f"version of {name}", wanted, sorted(numbers, key=int))
        return {node}
    holders = (aliases.now or {}) if aliases.knows_now(name) else aliases.recorded
    version = holders.get((name, wanted))
    if not wanted or version is None:
        found = [alias for model, alias in holders if model == name and alias]
        raise unknown(f"alias of {name}", wanted, found)
    if f"model:{name}@{version}" not in history.rows_of:
        raise UsageError(
            f"{name}@{wanted} has no record",
            expected="a version that this pipeline registered",
            got=f"version {version}, which the evidence does not have",
            do="ask who registered it; the evidence has only this pipeline's versions",
        )
    return {f"model:{name}@{version}"}


def of_execution(history: History, text: str) -> set[str]:
    """Return the jobs and the model version of an execution, by its id or ARN.

    Raises:
        UsageError: the evidence has no such execution.
    """
    wanted = text.rsplit("/", 1)[-1]
    by_id = executions(history)
    if wanted not in by_id:
        raise unknown("execution", wanted, by_id)
    return by_id[wanted]


def executions(history: History) -> dict[str, set[str]]:
    """Return the jobs and versions of each execution, by its id."""
    found: dict[str, set[str]] = {}
    for kind in ("prepared", "trained", "registered"):
        for row in history.documents[kind]:
            own = found.setdefault(row.execution, set())
            if kind != "trained":
                own.add(f"prepare:{row.execution}")
            if kind != "prepared":
                own.add(f"train:{row.facts['job']}")
            if kind == "registered":
                own.add(f"model:{row.facts['model']}@{row.facts['version']}")
    return found


def of_table(history: History, name: str, version: int | None) -> set[str]:
    """Return the nodes of a table: one version, or all that the evidence has.

    Raises:
        UsageError: no such table or version.
    """
    found = history.nodes("table", name)
    if not found:
        raise unknown("table", name, history.names("table"))
    if version is None:
        return found
    node = f"table:{name}@{version}"
    if node not in found:
        known = sorted({split(each)[2] for each in found}, key=int)
        raise unknown(f"version of {name}", str(version), known)
    return {node}


def unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error of a name that the evidence does not have, with the nearest one."""
    known = list(dict.fromkeys(known))
    by_folded = {each.casefold(): each for each in known}
    close = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    some = ", ".join(sorted(known, key=lambda each: (len(each), each))[:_SHOWN])
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    nearest = f"did you mean {by_folded[close[0]]!r}?" if close else None
    return UsageError(
        f"the evidence has no {what} {name!r}"[:200],
        expected=f"one of: {some}{more}" if known else "one that the evidence names",
        got=repr(name)[:200],
        do=nearest or "check the name and the environment",
    )

"""The answer as tables for a terminal.

    show(answer, sys.stdout)

Names from evidence are printed as they are, without markup and without control characters.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from steps.trace.answer import Answer
from steps.trace.history import Edge, split

_MOST_ROWS = 40  # of one table
_WIDTH = 160  # characters, where stdout is not a terminal
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_DIGEST = re.compile(r"\b[0-9a-f]{40,64}\b")
ORDER = ("table", "prepare", "base", "train", "model", "alias")


def show(answer: Answer, to: TextIO = sys.stdout) -> None:
    """Print the answer."""
    console = Console(
        file=to, width=None if to.isatty() else _WIDTH, highlight=False, soft_wrap=False
    )
    question = answer.question
    console.print(Text(f"{question.kind} {plain(question.text)}", style="bold"))
    if "filing" in answer.extra:
        _filing(console, answer.extra["filing"])
    if "principal" in answer.extra:
        acts = answer.extra["principal"]["acts"]
        rows = [[act["at"], act["verb"], act["on"], act["execution"]] for act in acts]
        _table(console, "what it did", ["when", "verb", "on", "execution"], rows)
    for title, nodes in (
        ("upstream", answer.upstream),
        ("this", answer.starts),
        ("downstream", answer.downstream),
    ):
        rows = [_node(answer, node) for node in in_order(nodes)]
        _table(console, title, ["kind", "name", "version", "by", "details"], rows)
    _versions(console, answer.versions)
    _people(console, answer.people)
    if packages := answer.extra.get("model_packages"):
        rows = [
            [f"{e['model']} version {e['version']}", e["status"], decided(e, "\n"), e["arn"]]
            for e in packages
        ]
        head = ["of", "status", "last decision", "ARN"]
        _table(console, "packages of SageMaker's registry, now", head, rows)
    for note in answer.notes:
        console.print(Text(f"note: {plain(note)}", style="yellow"))
    for uri, reason in answer.unreadable:
        console.print(Text(f"unreadable: {plain(uri)}: {plain(reason)}", style="red"))


def plain(text: object) -> str:
    """Return a text without control characters and changes of direction."""
    return _CONTROLS.sub("\ufffd", str(text))


def in_order(nodes: Iterable[str]) -> list[str]:
    """Return nodes in the order of the data's way, versions by number."""

    def place(node: str) -> tuple[int, str, int, str]:
        kind, name, version = split(node)
        number = int(version) if version.isdecimal() else 0
        return ORDER.index(kind), name, number, version

    return sorted(nodes, key=place)


def by(edges: Sequence[Edge], node: str) -> str:
    """Return who moved data into a node, or out of a source, and with which grants."""
    into = [edge for edge in edges if edge.target == node and edge.principal]
    out = [edge for edge in edges if edge.source == node and edge.principal and not into]
    parts = []
    for edge in into or out:
        grants = f" [{'; '.join(edge.grants)}]" if edge.grants and into else ""
        parts.append(f"{edge.verb} by {edge.principal}{grants}")
    return "\n".join(dict.fromkeys(parts))


def _node(answer: Answer, node: str) -> list[str]:
    kind, name, version = split(node)
    left = {"kind", "name", "version"}
    details = {n: v for n, v in answer.details.get(node, {}).items() if n not in left}
    verbs = [e.verb for e in answer.edges if e.target == node and kind == "alias"]
    text = ", ".join([*verbs, *(f"{n} {v}" for n, v in details.items())])
    return [kind, name, short(version), by(answer.edges, node), short(text)]


def short(text: str) -> str:
    """Return a text with only the first 12 digits of each digest; the JSON has all."""
    return _DIGEST.sub(lambda match: f"{match[0][:12]}…", text)


def _filing(console: Console, filing: dict[str, Any]) -> None:
    names = ["execution", "table", "version", "examples_train", "examples_eval"]
    rows = [[each[name] for name in names] for each in filing["seen"]]
    _table(console, "seen by", [name.replace("_", " ") for name in names], rows)
    titles = {
        "retrain": "to forget it, train again without it",
        "evaluate_again": "to forget it, evaluate again: only the held-out split had it",
        "delete_archives": "to forget it, delete the archives of these jobs; no version has them",
    }
    for name, title in titles.items():
        rows = [
            [
                each.get("model", ""),
                each.get("model_version", ""),
                each["saw"],
                ", ".join(each.get("aliases_recorded", [])),
                _now(each),
                each["training_job"],
            ]
            for each in filing["forget"][name]
        ]
        head = ["model", "version", "saw it in", "alias as of the record", "alias now", "job"]
        _table(console, title, head, rows)
    tables = [[each["table"], each["version"]] for each in filing["forget"]["rewrite_tables"]]
    _table(console, "to forget it, write again without it", ["table", "version"], tables)
    rows = [
        [
            each["execution"],
            each["table"],
            each["version"],
            each.get("model", ""),
            each.get("model_version", ""),
            each["why"],
        ]
        for each in filing["not_recorded"]
    ]
    head = ["execution", "table", "version", "model", "version", "why"]
    _table(console, "unknown whether they saw it", head, rows)


def _versions(console: Console, versions: Sequence[dict[str, Any]]) -> None:
    rows = [
        [
            each["model"],
            each["version"],
            ", ".join(each["aliases_recorded"]),
            _now(each),
            f"{each['eval_loss']:.4g}",
            each["execution"],
            each["registered_at"],
        ]
        for each in versions
    ]
    head = [
        "model",
        "version",
        "alias as of the record",
        "alias now",
        "eval loss",
        "execution",
        "registered",
    ]
    _table(console, "model versions", head, rows)


def _people(console: Console, people: Sequence[dict[str, Any]]) -> None:
    rows = [
        [each["at"], each["who"] or "not recorded", did(each), each["reason"] or ""]
        for each in people
    ]
    _table(console, "who started and who allowed", ["when", "who", "what", "why"], rows)


def did(act: dict[str, Any]) -> str:
    """Return what a person did, in words."""
    version = f"{act['model']} version {act['version']}"
    if act["verb"] == "started":
        return f"started the execution of {version}"
    return f"{act['verb']} {version} as {act['alias']}, as a member of {act['group']}"


def decided(package: dict[str, Any], between: str = " ") -> str:
    """Return who decided last about the version of a package, as the evidence has it."""
    if (act := package["decided"]) is None:
        return "none"
    return between.join([f"{act['verb']} as {act['alias']}", f"by {act['who']}", act["at"]])


def _now(each: dict[str, Any]) -> str:
    found = each.get("aliases_now")
    return "not known" if found is None else ", ".join(found) or "none"


def _table(
    console: Console, title: str, head: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    if not rows:
        return
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, title_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(Text(_lines(cell)) for cell in row))
    console.print(table)
    if len(rows) > _MOST_ROWS:
        console.print(f"  and {len(rows) - _MOST_ROWS} more (--json has all)")


def _lines(cell: object) -> str:
    return "\n".join(plain(line) for line in str(cell).split("\n"))

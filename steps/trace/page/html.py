"""The answer as one page without scripts or external resources.

    text = render(answer)

`lineage.html.jinja` is the page. Every value is escaped, and a policy in the page's head forbids
the browser to load or run anything.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from steps.trace.answer import Answer
from steps.trace.history import split
from steps.trace.page.drawing import draw
from steps.trace.text import by, decided, did, in_order, plain, short

_MOST_ROWS = 200  # of one table of the page


def render(answer: Answer) -> str:
    """Return the whole page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_finalized,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    parts = {"upstream": answer.upstream, "this": answer.starts, "downstream": answer.downstream}
    return environment.get_template("lineage.html.jinja").render(
        answer=answer,
        drawing=draw(answer),
        parts={title: _rows(answer, in_order(nodes)) for title, nodes in parts.items()},
        filing=answer.extra.get("filing"),
        acts=answer.extra.get("principal", {}).get("acts"),
        packages=answer.extra.get("model_packages"),
        decided=decided,
        did=did,
        most=_MOST_ROWS,
    )


def _rows(answer: Answer, nodes: list[str]) -> list[dict[str, str]]:
    return [_row(answer, node) for node in nodes]


def _row(answer: Answer, node: str) -> dict[str, str]:
    kind, name, version = split(node)
    left = {"kind", "name", "version"}
    details = answer.details.get(node, {})
    texts = [edge.verb for edge in answer.edges if edge.target == node and kind == "alias"]
    texts += [f"{name} {value}" for name, value in details.items() if name not in left]
    return {
        "kind": kind,
        "name": name,
        "version": short(version),
        "by": by(answer.edges, node),
        "details": short(", ".join(texts)),
    }


def _finalized(value: object) -> object:
    """Replace the characters that HTML forbids; leave finished markup as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(plain(line) for line in value.split("\n"))
    return value

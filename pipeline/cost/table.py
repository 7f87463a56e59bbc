"""The answer of `pipeline.cost` as text.

Train    8.61 h × 1 × ml.g5.16xlarge at $5.120   44.09
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.cost.estimate import Choice, Line, together

_MOST_CHOICES = 6


def text(answer: Mapping[str, Any]) -> str:
    """Return the parts of the answer, each with its heading."""
    parts: list[str] = []
    if "billed" in answer:
        parts += ["billed for:", *_lines(answer["billed"])]
    if "estimate" in answer:
        parts += ["one execution, US dollars:", *_lines(answer["estimate"])]
        parts += ["each month, also when nothing runs:", *_lines(answer["standing"])]
        parts += _choices(answer["training_on"], answer["chosen"])
    return "\n".join(parts)


def _lines(items: Sequence[Line]) -> list[str]:
    rows = [f"  {item.what:<13}{_dollars(item.dollars)}  {item.arithmetic}" for item in items]
    return [*rows, f"  {'together':<13}{_dollars(together(items))}"]


def _choices(found: Sequence[Choice], chosen: str) -> list[str]:
    """The cheapest instance types and the chosen one, with the cheapest one named."""
    shown = [
        *found[:_MOST_CHOICES],
        *(each for each in found[_MOST_CHOICES:] if each.instance_type == chosen),
    ]
    rows = [
        f"  {each.instance_type:<18}{_dollars(each.dollars)}  {each.hours:6.2f} h  {each.gpu}"
        f"{'  (chosen)' if each.instance_type == chosen else ''}"
        for each in shown
    ]
    known = {each.instance_type: each for each in found}
    if chosen not in known or found[0].instance_type == chosen:
        return ["the same training:", *rows]
    saved = known[chosen].dollars / found[0].dollars
    advice = (
        f"cheaper: --set TrainInstanceType={found[0].instance_type} "
        f"(1/{saved:.1f} of {chosen}'s price)"
    )
    return ["the same training:", *rows, advice]


def _dollars(amount: float | None) -> str:
    return "not known" if amount is None else f"{amount:9.2f}"

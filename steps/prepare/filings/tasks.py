"""The words of each template: what an example asks for, and its answer out of the filing.

    asked(GROUP, filing, factors, position)      # Asked(instruction, text, answer), or None

An answer is text of the filing: the risk factor's own heading, or the title of the group that it is
in. Where the filing lacks such text, `asked` returns None, and always for `COMPARE`, whose
examples have text of two filings (`steps.prepare.filings.comparison`). A change of words needs
another version of the template in `steps.prepare.task_mix`.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from steps.prepare.task_mix import AMONG_FOUR, COMPARE, GROUP, HEADING

INSTRUCTIONS = {
    HEADING: (
        "Below is one risk factor from the {form} of {company} for {year}. "
        "Write its heading as the company has it: a sentence, seldom two, that states the risk and "
        "what it could do to the company, or a short title."
    ),
    AMONG_FOUR: (
        "Below are four headings of risk factors from the {form} of {company} for {year}, and the "
        "text of one of these risk factors. Answer with the heading of this text, word for word."
    ),
    GROUP: (
        "Below is one risk factor from the {form} of {company} for {year}, with its heading. "
        "Name the group of risk factors that the company lists it in, word for word."
    ),
    COMPARE: (
        "Below is one risk factor of {company} from the {form} for {before}, then the same risk "
        "factor from the {form} for {year}. Answer with the sentences of the second text that the "
        "first one does not have, word for word, one to a line."
    ),
}
_OTHERS = 3
# A group's title names risks; another line between two risk factors may be anything.
_RISKS = re.compile(r"\brisks?\b", re.IGNORECASE)
_LONGEST_TITLE = 200  # characters
_LETTERS = re.compile(r"[\W_]+")

Factor = Mapping[str, str | None]  # heading, body, group


class Asked(NamedTuple):
    """`before` comes between the instruction and the risk factor's text; it may be empty."""

    before: str
    answer: str


def asked(template: str, identity: str, factors: Sequence[Factor], position: int) -> Asked | None:
    """Return what is shown before the text, and the answer; None if the filing has no answer.

    Args:
        template: one of `TEMPLATES`.
        identity: of the filing.
        factors: all risk factors of the filing.
        position: of the one that the example is about.
    """
    heading = factors[position]["heading"] or ""
    if template == HEADING:
        return Asked("", heading)
    if template == GROUP:
        title = factors[position].get("group")
        usable = title and len(title) <= _LONGEST_TITLE and _RISKS.search(title)
        known = usable and _letters(title or "") in _letters(heading)
        return Asked(heading, title) if title and usable and not known else None
    if template == COMPARE:
        return None
    others = _others(identity, factors, position)
    if len(others) < _OTHERS:
        return None
    return Asked(_listed(identity, position, [heading, *others]), heading)


def _others(identity: str, factors: Sequence[Factor], position: int) -> list[str]:
    """Return three other headings of the filing, drawn by hash, each with other words."""
    known = {_letters(factors[position]["heading"] or "")}
    found = list[str]()
    for factor in sorted(factors, key=lambda each: _rank(identity, position, each["heading"])):
        heading = factor["heading"] or ""
        if len(found) < _OTHERS and _letters(heading) not in known:
            known.add(_letters(heading))
            found.append(heading)
    return found


def _listed(identity: str, position: int, headings: Sequence[str]) -> str:
    """Return the headings as lines, in an order that does not depend on the right one."""
    ordered = sorted(headings, key=lambda each: _rank(f"{identity}\x1forder", position, each))
    return "\n".join(f"- {heading}" for heading in ordered)


def _rank(identity: str, position: int, heading: str | None) -> str:
    return hashlib.sha256(f"{identity}\x1f{position}\x1f{heading}".encode()).hexdigest()


def _letters(text: str) -> str:
    return _LETTERS.sub("", text.casefold())

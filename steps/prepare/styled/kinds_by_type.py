"""Decide the kinds of a section's paragraphs by their type: what is bold is a heading.

    labelled(typed(paragraphs, lines))      # Labelled in order; [] if the type cannot be trusted

The rules, in the order they apply:

* emphasised: a letter is bold, italic or underlined, and most letters of the section are not;
* whole line: nearly all letters of a paragraph are emphasised, and it is not longer than a heading;
* run in: a paragraph opens with emphasised letters that end a sentence or a lead, and continues
  without;
* list lead: a run-in opening of a bullet is an item, where other paragraphs have headings;
* sub-lead: run-in openings that are few next to the whole lines are part of a body;
* level: of two types of whole lines the one that is above other headings is of group titles,
  and a whole line in a section of run-in headings is one as well;
* group: "Risks related to ..." without a full stop is a title in any type;
* repeated: a heading that a summary lists before the section is body there.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from steps.prepare.styled.paragraph_type import Typed, ends_a_lead, letters
from steps.prepare.text.heading_sequence import BODY, RUN_IN, STANDING, TITLE

_GROUP = re.compile(
    r"(?i)^\W*(?:[a-z0-9ivx]{1,4}[.)]\s+)?(?:general|certain|other|additional|key|specific|our)?\s*"
    r"(?:risks?\b.{0,20}\b(?:relat|associat|aris|from|pertain|concern|affect|specific|regard|in|of"
    r"|to)|general risk|risk factors?$|summary\b|(?:\w+ ){1,4}risks?$)"
)
_LONGEST_TITLE = 150  # characters
_FEW = 0.15  # of all headings
_ABOVE = 0.4  # of the lines of a type
_FEWEST_HEADINGS = 4
_MOST_PARAGRAPHS = 9  # for each heading; with more of them the type is not that of headings


@dataclass(frozen=True)
class Labelled:
    """One paragraph, its kind, and its heading (empty for body text and titles)."""

    paragraph: str
    kind: str
    heading: str = ""


def labelled(marked: Sequence[Typed]) -> list[Labelled]:
    """Return the section's paragraphs with their kinds."""
    found = _without_summary(_leveled(marked))
    return found if _is_trusted(found) else []


def _leveled(marked: Sequence[Typed]) -> list[Labelled]:
    whole = sum(one.style is not None for one in marked)
    leads = [one.lead for one in marked if one.lead and not one.paragraph.startswith("•")]
    run_in = len(leads) >= _FEWEST_HEADINGS and len(leads) > _FEW * (whole + len(leads))
    bullets = sum(one.paragraph.startswith("•") and bool(one.lead) for one in marked)
    in_bullets = not run_in and whole < bullets / 3
    titles = _title_styles(marked, run_in=run_in, leads=len(leads))
    found = []
    for number, one in enumerate(marked):
        below = marked[number + 1] if number + 1 < len(marked) else None
        kind = _kind(one, below, titles)
        if one.lead:
            listed = one.paragraph.startswith("•")
            kind = RUN_IN if (in_bullets if listed else run_in) else BODY
        heading = one.lead if kind == RUN_IN else one.paragraph if kind == STANDING else ""
        found.append(Labelled(one.paragraph, kind, heading.removeprefix("• ")))
    return found


def _kind(one: Typed, below: Typed | None, titles: set[tuple[int, bool]]) -> str:
    if one.style is None:
        return BODY
    open_ended = len(one.paragraph) <= _LONGEST_TITLE and not ends_a_lead(one.paragraph)
    if one.style in titles or (open_ended and _GROUP.search(one.paragraph)):
        return TITLE
    if below is None or (below.style is not None and (open_ended or below.style == one.style)):
        return TITLE
    return STANDING


def _title_styles(marked: Sequence[Typed], *, run_in: bool, leads: int) -> set[tuple[int, bool]]:
    """Return the types of whole lines that are above other headings."""
    count: Counter[tuple[int, bool]] = Counter()
    above: Counter[tuple[int, bool]] = Counter()
    for one, below in zip(marked, [*marked[1:], None], strict=True):
        if one.style is not None:
            count[one.style] += 1
            other = below is not None and below.style not in (None, one.style)
            above[one.style] += other or (run_in and below is not None and bool(below.lead))
    if not count:
        return set()
    usual = max(count, key=lambda style: (count[style] - above[style], style))
    titles = {style for style in count if above[style] >= _ABOVE * count[style]}
    if not (run_in and leads > count[usual]):
        titles.discard(usual)
    return titles


def _without_summary(found: Sequence[Labelled]) -> list[Labelled]:
    last = {letters(one.heading): number for number, one in enumerate(found) if one.heading}
    return [
        replace(one, kind=BODY, heading="")
        if one.heading and last[letters(one.heading)] != number
        else one
        for number, one in enumerate(found)
    ]


def _is_trusted(found: Sequence[Labelled]) -> bool:
    """Return whether the headings are many enough, and nearly all have text below them."""
    headings = [number for number, one in enumerate(found) if one.heading]
    if len(headings) < _FEWEST_HEADINGS or len(found) > _MOST_PARAGRAPHS * len(headings):
        return False
    if 2 * sum(one.kind == TITLE for one in found) > len(headings):
        return False
    empty = sum(
        one.kind == STANDING and (number + 1 == len(found) or found[number + 1].kind != BODY)
        for number, one in enumerate(found)
    )
    return empty <= len(headings) // 5

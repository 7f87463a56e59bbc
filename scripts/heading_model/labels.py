"""Label the paragraphs of a section by the type of its lines: the rules that replace a reader.

    labelled(lines)      # -> list of Labelled in order, or [] where the type is not to be trusted

The paragraphs are Prepare's own, from the lines' plain text. The rules, in the order they apply:

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

import polars as pl

from scripts.heading_model.styled_html import CENTRED, Line
from steps.prepare.text import run_on, sections
from steps.prepare.text.characters import cleaned
from steps.prepare.text.heading_sequence import BODY, RUN_IN, STANDING, TITLE
from steps.prepare.text.paragraphs import paragraphs
from steps.prepare.text.wrapped import unwrapped

_LETTERS = re.compile(r"[0-9a-z]")
_WHOLE = 0.97  # of a paragraph's letters
_LONGEST_HEADING = 800  # characters
_SHORTEST_LEAD, _SHORTEST_REST = 8, 40  # letters
_LEAD_ENDS = re.compile(r"[.!?:;–—-][\"'”’)]*$")
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


@dataclass(frozen=True)
class _Marked:
    """A paragraph, its emphasised opening, and the type of a whole line."""

    paragraph: str
    lead: str  # a run-in opening, or empty
    style: tuple[int, bool] | None  # of a whole line


def split(text: str) -> list[str]:
    """Return Prepare's paragraphs of one section's plain text."""
    clean = pl.DataFrame({"text": [text]}).select(unwrapped(cleaned(pl.col("text"))))
    ended = run_on.ended(clean.to_series()).select(text=sections.untitled(pl.col("text")))
    rows = ended.with_columns(row=pl.lit(0, pl.UInt32))
    return [str(line) for line in paragraphs(rows)["paragraph"]]


def labelled(lines: Sequence[Line]) -> list[Labelled]:
    """Return the section's paragraphs with their kinds."""
    marked = _marked(split("\n".join(line.text for line in lines)), lines)
    found = _without_summary(_leveled(marked))
    return found if _is_trusted(found) else []


def letters(text: str) -> str:
    """Return the letters and digits that a text is compared by."""
    return "".join(_LETTERS.findall(text.lower()))


def _marked(texts: Sequence[str], lines: Sequence[Line]) -> list[_Marked]:
    counted = Counter(kind & ~CENTRED for line in lines for kind in line.types)
    usual = counted.most_common(1)[0][0] if counted else 0
    kept = [(letters(line.text), _types(line)) for line in lines]
    marked, position = [], 0
    for text in texts:
        types, position = _found(letters(text), kept, position)
        marked.append(_judged(text, types, usual))
    return marked


def _types(line: Line) -> bytes:
    pairs = zip(line.text.lower(), line.types, strict=False)
    return bytes(kind for character, kind in pairs if _LETTERS.match(character))


def _found(wanted: str, kept: Sequence[tuple[str, bytes]], position: int) -> tuple[bytes, int]:
    """Return the types of a paragraph's letters, and where the next paragraph is looked for."""
    types, number, first = b"", position, position
    while wanted and number < len(kept):
        text, own = kept[number]
        if text and wanted.startswith(text) and len(own) == len(text):
            types, wanted, first = types + own, wanted[len(text) :], number + 1
        elif text and not types and wanted in text:  # the item's title was cut off
            start = text.index(wanted)
            return own[start : start + len(wanted)], number + 1
        elif types and number - first > 6:
            break
        number += 1
    return (types, first) if not wanted else (b"", position)


def _judged(text: str, types: bytes, usual: int) -> _Marked:
    marks = [kind & ~CENTRED & ~usual != 0 for kind in types]
    if not marks or not any(marks):
        return _Marked(text, "", None)
    if sum(marks) >= _WHOLE * len(marks) and len(text) <= _LONGEST_HEADING:
        style = Counter(types).most_common(1)[0][0]
        return _Marked(text, "", (style, text.isupper()))
    opening = marks.index(False) if False in marks else len(marks)
    after = marks[opening:]
    if opening < _SHORTEST_LEAD or len(after) < _SHORTEST_REST or sum(after) > len(after) // 4:
        return _Marked(text, "", None)
    return _Marked(text, _lead(text, opening), None)


def _lead(text: str, opening: int) -> str:
    """Return the text of the first letters with the marks that close it, if they end a lead."""
    seen = 0
    for place, character in enumerate(text):
        if seen == opening and (character.isspace() or _LETTERS.match(character.lower())):
            lead = text[:place].rstrip()
            return lead if _LEAD_ENDS.search(lead) else ""
        seen += bool(_LETTERS.match(character.lower()))
    return ""


def _leveled(marked: Sequence[_Marked]) -> list[Labelled]:
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


def _kind(one: _Marked, below: _Marked | None, titles: set[tuple[int, bool]]) -> str:
    if one.style is None:
        return BODY
    open_ended = len(one.paragraph) <= _LONGEST_TITLE and not _LEAD_ENDS.search(one.paragraph)
    if one.style in titles or (open_ended and _GROUP.search(one.paragraph)):
        return TITLE
    if below is None or (below.style is not None and (open_ended or below.style == one.style)):
        return TITLE
    return STANDING


def _title_styles(marked: Sequence[_Marked], *, run_in: bool, leads: int) -> set[tuple[int, bool]]:
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

"""The type of each paragraph of a section, from the lines of its HTML: bold, italic, underlined.

    typed(paragraphs, lines)      # list of Typed, one for each paragraph, in order; or None

Paragraph and line are compared by their letters and digits only, so quotation marks, spaces,
bullets and page furniture do not matter. A paragraph may be joined from several lines. A letter is
emphasised if its type is not the usual one of the section.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from steps.prepare.styled.html_lines import CENTRED, Line

_LETTERS = re.compile(r"[0-9a-z]")
_WHOLE = 0.97  # of a paragraph's letters
_LONGEST_HEADING = 800  # characters
_SHORTEST_LEAD, _SHORTEST_REST = 8, 40  # letters
_LEAD_ENDS = re.compile(r"[.!?:;–—-][\"'”’)]*$")
_FURNITURE_LINES = 6  # between two halves of a paragraph
# A paragraph that is missing was looked for in all the lines that follow. So the search ends where
# the HTML is known to be of another text, and takes time in proportion to the HTML.
_MOST_MISSING = 0.05  # of a section's letters
_MOST_MISSING_PARAGRAPHS = 200


@dataclass(frozen=True)
class Typed:
    """A paragraph, its emphasised opening, and the type of a whole line."""

    paragraph: str
    lead: str = ""  # a run-in opening
    style: tuple[int, bool] | None = None  # of a whole line: its type, and whether in capitals


def letters(text: str) -> str:
    """Return the letters and digits that a text is compared by."""
    return "".join(_LETTERS.findall(text.lower()))


def ends_a_lead(text: str) -> bool:
    """Return whether a text ends as a sentence or a lead does."""
    return bool(_LEAD_ENDS.search(text))


def typed(paragraphs: Sequence[str], lines: Sequence[Line]) -> list[Typed] | None:
    """Return the type of each paragraph of the same section; None if it is another section."""
    counted = Counter(kind & ~CENTRED for line in lines for kind in line.types)
    usual = counted.most_common(1)[0][0] if counted else 0
    kept = [(letters(line.text), _types(line)) for line in lines]
    wanted = [letters(paragraph) for paragraph in paragraphs]
    most_missing = _MOST_MISSING * sum(map(len, wanted))
    marked, position, missing = list[Typed](), 0, list[int]()
    for paragraph, own in zip(paragraphs, wanted, strict=True):
        types, position = _found(own, kept, position)
        marked.append(_judged(paragraph, types, usual))
        if own and not types:
            missing.append(len(own))
        if sum(missing) > most_missing or len(missing) > _MOST_MISSING_PARAGRAPHS:
            return None
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
        elif types and number - first > _FURNITURE_LINES:
            break
        number += 1
    return (types, first) if not wanted else (b"", position)


def _judged(text: str, types: bytes, usual: int) -> Typed:
    marks = [kind & ~CENTRED & ~usual != 0 for kind in types]
    if not marks or not any(marks):
        return Typed(text)
    if sum(marks) >= _WHOLE * len(marks) and len(text) <= _LONGEST_HEADING:
        style = Counter(types).most_common(1)[0][0]
        return Typed(text, style=(style, text.isupper()))
    opening = marks.index(False) if False in marks else len(marks)
    after = marks[opening:]
    if opening < _SHORTEST_LEAD or len(after) < _SHORTEST_REST or sum(after) > len(after) // 4:
        return Typed(text)
    return Typed(text, lead=_lead(text, opening))


def _lead(text: str, opening: int) -> str:
    """Return the text of the first letters with the marks that close it, if they end a lead."""
    seen = 0
    for place, character in enumerate(text):
        if seen == opening and (character.isspace() or _LETTERS.match(character.lower())):
            lead = text[:place].rstrip()
            return lead if ends_a_lead(lead) else ""
        seen += bool(_LETTERS.match(character.lower()))
    return ""

"""Find the risk factors among the lines of a whole filing: Item 1A of a 10-K or a 10-Q.

section(lines)      # -> the lines between Item 1A's title and the next item's, or []
"""

import re
from collections.abc import Sequence

from steps.prepare.styled.html_lines import Line

SHORTEST = 4_000  # characters; a shorter section is a notice or a reference
_LONGEST = 900_000
_LONGEST_TITLE = 160
_ITEM = r"(?i)^\W*(?:part\s+i+\W+)?item\s*"
_STARTS = re.compile(_ITEM + r"1a\b(?!.*\bcontinued)")
_NAMED = re.compile(r"(?i)^\W*risk\s+factors\W*$")
_ENDS = re.compile(_ITEM + r"(?:1b|1c|[2-6])\b|^\W*unresolved\s+staff\s+comments\W*$")
_NEXT_NAMED = re.compile(
    r"(?i)^\W*(?:unresolved staff comments|properties|use of proceeds|legal proceedings"
    r"|unregistered sales of .*|cybersecurity|(?:special |cautionary )?(?:note|statement)s? "
    r"(?:regarding|concerning|about) forward.*|forward[- ]looking statements|quantitative and .*"
    r"|management[’']s discussion .*)\W*$"
)


def section(lines: Sequence[Line]) -> list[Line]:
    """Return the longest stretch that opens with the item's title and ends before the next."""
    for opens, ends in ((_STARTS, _ENDS), (_NAMED, _NEXT_NAMED)):
        found = _longest(lines, opens, ends)
        if SHORTEST <= sum(len(line.text) for line in found) <= _LONGEST:
            return found
    return []


def _longest(lines: Sequence[Line], opens: re.Pattern[str], ends: re.Pattern[str]) -> list[Line]:
    titles = [line.text if len(line.text) <= _LONGEST_TITLE else "" for line in lines]
    last = [number for number, title in enumerate(titles) if ends.search(title)]
    best: Sequence[Line] = ()
    for number, title in enumerate(titles):
        if opens.search(title):
            end = next((place for place in last if place > number), None)
            if end is not None and end - number > len(best):
                best = lines[number:end]
    return list(best)

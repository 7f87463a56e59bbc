"""Set a labelled section in the other styles that filings use, which gives labels without reading.

    STYLES["run_in"](section)      # list of Labelled -> the same factors, set in that style

Nothing is drawn at random: a choice is by the digest of the text that it concerns.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from steps.prepare.styled.kinds_by_type import Labelled
from steps.prepare.text.heading_sequence import BODY, RUN_IN, STANDING, TITLE

Section = Sequence[Labelled]

_ENDS = re.compile(r"[.!?:;]+([\"'”’)]*)$")
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]+")
_SMALL = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by can could for from have has if in into is it its may might "
        "must not of on or our ours such than that the their them these they this those to us we "
        "which who will with would your you any all also no other some upon when where been were "
        "was do does should there under between because including",
    )
)
_BETWEEN = re.compile(r"(?<=[a-z)][.!?])\s+(?=[A-Z])")
_EXCERPT = 6  # risk factors


def _chosen(text: str, among: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % among


def standing(section: Section) -> list[Labelled]:
    """Give every heading a separate line."""
    lines: list[Labelled] = []
    for one in section:
        if one.kind != RUN_IN:
            lines.append(one)
            continue
        head = one.paragraph[: one.paragraph.index(one.heading) + len(one.heading)]
        lines.append(replace(one, paragraph=head, kind=STANDING))
        lines.append(Labelled(one.paragraph[len(head) :].strip(), BODY))
    return lines


def run_in(section: Section) -> list[Labelled]:
    """Put every heading at the start of its text."""
    lines: list[Labelled] = []
    for one in standing(section):
        before = lines[-1] if lines else None
        free = before is not None and before.kind == STANDING
        if free and one.kind == BODY and not one.paragraph.startswith("•"):
            head = _stopped(lines.pop().heading)
            lines.append(Labelled(f"{head} {one.paragraph}", RUN_IN, head))
        else:
            lines.append(one)
    return lines


def without_titles(section: Section) -> list[Labelled]:
    """Leave the titles of groups out."""
    return [one for one in section if one.kind != TITLE]


def _stopped(heading: str) -> str:
    return heading if _ENDS.search(heading) else f"{heading}."


def _bare(heading: str) -> str:
    return _ENDS.sub(r"\1", heading)


def _in_title_case(heading: str) -> str:
    words = _bare(heading).split()
    return " ".join(
        word if number and word.lower() in _SMALL else word[:1].upper() + word[1:]
        for number, word in enumerate(words)
    )


def _topic(heading: str) -> str:
    """Return the longest run of words that carry meaning, at most four of them."""
    runs: list[list[str]] = [[]]
    for word in heading.split():
        bare = word.strip(',.;:()“”"')
        if _WORD.fullmatch(bare) and bare.lower() not in _SMALL:
            runs[-1].append(bare[0].upper() + bare[1:])
        if bare.lower() in _SMALL or bare != word:
            runs.append([])
    longest = max(runs, key=len)[: 1 + _chosen(heading, 4)]
    return " ".join(longest) or "General"


def _each(change: Callable[[str], str]) -> Callable[[Section], list[Labelled]]:
    def restyle(section: Section) -> list[Labelled]:
        lines = []
        for one in standing(section):
            if one.kind == STANDING:
                heading = change(one.heading)
                one = Labelled(heading, STANDING, heading.removeprefix("• "))
            lines.append(one)
        return lines

    return restyle


def numbered(section: Section) -> list[Labelled]:
    """Number the headings."""
    number, lines = 0, []
    for one in standing(section):
        if one.kind == STANDING:
            number += 1
            heading = f"{number}. {one.heading}"
            one = Labelled(heading, STANDING, heading)
        lines.append(one)
    return lines


def two_levels(section: Section) -> list[Labelled]:
    """Put a topic's title above every one to four run-in headings."""
    lines, left = [], 0
    for one in without_titles(run_in(section)):
        if one.kind in (RUN_IN, STANDING):
            if left == 0:
                lines.append(Labelled(_topic(one.heading), TITLE))
                left = 1 + _chosen(one.heading, 4)
            left -= 1
        lines.append(one)
    return lines


def excerpt(section: Section) -> list[Labelled]:
    """Return one to six risk factors, as a quarterly report has them."""
    starts = [number for number, one in enumerate(section) if one.heading]
    first = _chosen(section[starts[0]].heading, len(starts))
    last = first + 1 + _chosen(section[starts[-1]].heading, _EXCERPT)
    end = starts[last] if last < len(starts) else len(section)
    return list(section[starts[first] : end])


def brief(section: Section) -> list[Labelled]:
    """Keep one to three sentences of each body, and one further paragraph of three."""
    lines: list[Labelled] = []
    for one in standing(section):
        before = lines[-1].kind if lines else BODY
        if one.kind == BODY and before == STANDING:
            sentences = _BETWEEN.split(one.paragraph)
            short = " ".join(sentences[: 1 + _chosen(one.paragraph, 3)])
            lines.append(replace(one, paragraph=short))
        elif one.kind != BODY or _chosen(one.paragraph, 3) == 0:
            lines.append(one)
    return lines


def run_in_brief(section: Section) -> list[Labelled]:
    """Put every heading at the start of a short text."""
    return run_in(brief(section))


topics = _each(lambda heading: f"{_topic(heading)}.")
STYLES: Mapping[str, Callable[[Section], list[Labelled]]] = {
    "run_in": run_in,
    "run_in_only": lambda section: without_titles(run_in(section)),
    "bare": _each(_bare),
    "capitals": _each(lambda heading: _bare(heading).upper()),
    "title_case": _each(_in_title_case),
    "topics": topics,
    "bare_topics": _each(_topic),
    "run_in_topics": lambda section: run_in(topics(section)),
    "capital_topics": _each(lambda heading: _topic(heading).upper()),
    "brief": brief,
    "run_in_brief": run_in_brief,
    "run_in_brief_excerpt": lambda section: excerpt(without_titles(run_in_brief(section))),
    "bulleted": _each(lambda heading: f"• {heading}"),
    "numbered": numbered,
    "two_levels": two_levels,
    "excerpt": excerpt,
    "run_in_excerpt": lambda section: excerpt(without_titles(run_in(section))),
}

"""The labelled sections that the weights are fitted on, as a file outside the repository.

    write(path, sections); sections = read(path)

One JSON line a section: where it comes from, its company, and its paragraphs with their labels.
Sections of the sample come from the gold of `scripts.heading_score`: a person read them.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scripts import heading_score
from scripts.heading_model import labels, sources
from scripts.heading_model.section_of_filing import section
from steps.prepare.styled import html_lines
from steps.prepare.styled.kinds_by_type import Labelled
from steps.prepare.styled.paragraph_type import letters
from steps.prepare.text.heading_sequence import BODY, RUN_IN, STANDING, TITLE

LOCKED_PERCENT = 25  # of the companies; looked at once, at the end
_EDGE = 60  # letters, as in the gold
_LONGEST_TITLE = 150  # characters


@dataclass(frozen=True)
class Section:
    """One section: the filing it is of, and its labelled paragraphs."""

    repository: str
    commit: str
    path: str
    sha256: str
    company: str
    lines: Sequence[Labelled]

    @property
    def locked(self) -> bool:
        """Whether its company is kept for the last look."""
        return int(hashlib.sha256(self.company.encode()).hexdigest()[:8], 16) % 100 < LOCKED_PERCENT


def of_mirrors(mirrors: Path) -> Iterator[Section]:
    """Yield the sections of public filings whose type can be trusted, each text once."""
    seen = set()
    for source in sources.read(mirrors):
        found = section(html_lines.lines(source.html))
        lines = labels.labelled(found) if found else []
        text = "\n".join(one.paragraph for one in lines)
        if lines and text not in seen:
            seen.add(text)
            yield Section(
                source.repository, source.commit, source.path, source.sha256, source.company, lines
            )


def of_sample(filings: Path) -> Iterator[Section]:
    """Yield the sections of the sample that a person read."""
    gold = json.loads(heading_score.GOLD.read_text())
    for content in filings.read_bytes().splitlines():
        row = json.loads(content)
        if row["filename"] in gold:
            lines = list(_read_by_a_person(row["item_1A"], gold[row["filename"]]))
            digest = hashlib.sha256(content).hexdigest()
            yield Section("sample", "", row["filename"], digest, str(int(row["cik"])), lines)


def write(path: Path, sections: Sequence[Section]) -> None:
    """Write the sections, one JSON object a line."""
    path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in sections), encoding="utf-8")


def read(path: Path) -> list[Section]:
    """Return the sections in the file's order."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        replace(Section(**row), lines=[Labelled(**line) for line in row["lines"]]) for row in rows
    ]


def _read_by_a_person(text: str, entries: Sequence[Mapping[str, str]]) -> Iterator[Labelled]:
    ends = {entry["heading"]: entry["end"] for entry in entries}
    body, end = "", ""
    for paragraph in labels.split(text):
        heading = next((one for one in _heads(paragraph) if heading_digest(one) in ends), "")
        if heading:
            end = ends[heading_digest(heading)]
            body = letters(paragraph.split(heading, 1)[1])
            yield Labelled(paragraph, STANDING if not body else RUN_IN, heading)
            continue
        over = not end or heading_score.digest(body[-_EDGE:]) == end
        title = over and len(paragraph) <= _LONGEST_TITLE and paragraph[-1].isalnum()
        body += "" if over else letters(paragraph)
        yield Labelled(paragraph, TITLE if title else BODY)


def heading_digest(heading: str) -> str:
    """Return a heading's digest as the gold has it."""
    return heading_score.digest(letters(heading))


def _heads(paragraph: str) -> Iterator[str]:
    """Yield the paragraph, and each of its beginnings that ends with a full stop or a colon."""
    line = paragraph.removeprefix("• ")
    yield line
    for place, character in enumerate(line):
        if character in ".!?:" and line[place + 1 : place + 2] in ("", " ", "”", '"', "’"):
            closed = line[place + 1 : place + 2].strip()
            yield line[: place + 1] + closed

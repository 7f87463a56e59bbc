"""One risk factor: a heading and paragraphs about one cause, and its revision in the next year's
filing.

factor = written(draw, topic, company)
factor.paragraphs(2019)                   # its lines of text as the filing for 2019 prints them
revised(draw, factor)                     # a year later: the same, or with small edits
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.local.synthetic.companies import Company
from pipeline.local.synthetic.draw import Draw
from pipeline.local.synthetic.phrases import EFFECTS, SENTENCES
from pipeline.local.synthetic.topics import Topic

# Sentences of a body, as quantiles from the shortest to the longest; 62 real filings have bodies of
# 600 to 2,600 characters in the middle eight tenths, and the whole of them has longer ones.
_SENTENCES = (4, 6, 8, 9, 11, 13, 15, 17, 20, 26, 44)
_PARAGRAPH = (3, 4, 5, 6, 8, 12)  # sentences of a paragraph
_FACTS_SHARE = 0.3  # of the sentences in the middle of a paragraph
_LIST_SHARE = 0.12  # of the risk factors
_YEARLY_SHARE = 0.35
# of the factors that continue; the others are replaced and extended
_UNCHANGED, _REPLACED = 0.4, 0.35
_REWORDED = 0.15  # headings, of the factors that change


@dataclass(frozen=True)
class Paragraph:
    """Sentences, and the items of the list that they introduce, if they do."""

    sentences: tuple[str, ...]
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class RiskFactor:
    """A heading sentence and its body; `words` are the choices that all its sentences share."""

    topic: Topic
    words: dict[str, str]
    heading: str
    body: tuple[Paragraph, ...]

    def paragraphs(self, year: int) -> Iterator[Paragraph]:
        """Return the body in the filing for a fiscal year."""
        now, before = str(year), str(year - 1)
        for paragraph in self.body:
            yield replace(
                paragraph,
                sentences=tuple(
                    text.replace("%Y", now).replace("%P", before) for text in paragraph.sentences
                ),
            )


def written(draw: Draw, topic: Topic, company: Company) -> RiskFactor:
    """Return a new risk factor of a company."""
    words = {
        "company": company.short_name,
        "trade": company.sector.trade,
        "asset": draw.of(company.sector.assets),
        "parties": draw.of(company.sector.parties),
        "authority": draw.of(company.sector.authorities),
    }
    words["cause"] = SENTENCES.fill(topic.cause, draw, words)
    words["effect"], words["effect2"] = draw.some(EFFECTS, 2)
    return RiskFactor(
        topic,
        words,
        SENTENCES("heading", draw, words),
        tuple(_body(draw, words, company.verbosity)),
    )


def revised(draw: Draw, factor: RiskFactor) -> RiskFactor:
    """The factor a year later: as it was, or with a sentence replaced, another added, the heading
    reworded.
    """
    kind = draw.random()
    if kind < _UNCHANGED:
        return factor
    place = draw.whole(0, len(factor.body) - 1)
    sentences = list(factor.body[place].sentences)
    if not factor.body[place].items:
        sentences[draw.whole(0, len(sentences) - 1)] = SENTENCES("deepener", draw, factor.words)
        if kind >= _UNCHANGED + _REPLACED:
            sentences.insert(draw.whole(0, len(sentences)), SENTENCES("fact", draw, factor.words))
    body = list(factor.body)
    body[place] = replace(body[place], sentences=tuple(sentences))
    heading = SENTENCES("heading", draw, factor.words) if draw.chance(_REWORDED) else factor.heading
    return replace(factor, heading=heading, body=tuple(body))


def _body(draw: Draw, words: dict[str, str], verbosity: float) -> Iterator[Paragraph]:
    left = round(draw.along(_SENTENCES) * verbosity)
    last = [SENTENCES("yearly", draw, words)] if draw.chance(_YEARLY_SHARE) else []
    last.append(SENTENCES("closer", draw, words))
    opening = [SENTENCES("opener", draw, words)]
    if draw.chance(_LIST_SHARE):
        items = tuple(SENTENCES("item", draw, words) for _ in range(draw.whole(3, 8)))
        yield Paragraph((*opening, SENTENCES("list_lead", draw, words)), items)
        opening = [SENTENCES("continuation", draw, words)]
    while left > 0:
        length = min(round(draw.along(_PARAGRAPH)), left)
        length = left if left - length < _PARAGRAPH[0] else length
        left -= length
        more = [
            SENTENCES("fact" if draw.chance(_FACTS_SHARE) else "deepener", draw, words)
            for _ in range(length - 1)
        ]
        yield Paragraph((*opening, *more, *(last if left == 0 else ())))
        opening = [SENTENCES("continuation", draw, words)]

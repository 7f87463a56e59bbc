"""Set sections in other styles, fit, and measure on companies left out.

frame = training_frame(sections); results = left_out(sections, folds=5)
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from scripts.heading_model import fitting
from scripts.heading_model.corpus import Section
from scripts.heading_model.measured import Result, measure
from scripts.heading_model.restyled import STYLES
from steps.prepare.text import heading_model

VARIANTS = len(STYLES)  # styles that each section is also set in
_OWN_WEIGHT = 2.0  # of a paragraph in the style of its filing; 1 in another


def training_frame(sections: Sequence[Section]) -> pl.DataFrame:
    """Return every section in its own style and in some others, as rows for `fitting.fitted`."""
    rows = []
    for number, (section, own) in enumerate(_in_styles(sections)):
        weight = _OWN_WEIGHT if own else 1.0
        rows += [
            (number, one.paragraph, one.kind, one.heading, section.company, weight)
            for one in section.lines
        ]
    columns = {
        "row": pl.UInt32, "paragraph": pl.String, "kind": pl.String, "heading": pl.String,
        "company": pl.String, "weight": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, columns, orient="row")


def _in_styles(sections: Sequence[Section]) -> Iterator[tuple[Section, bool]]:
    for section in sections:
        yield section, True
        for name in styles_of(section):
            yield replace(section, lines=STYLES[name](section.lines)), False


def styles_of(section: Section, count: int = VARIANTS) -> list[str]:
    """Return the styles that a section is set in, chosen by its digest."""

    def order(name: str) -> str:
        return hashlib.sha256(f"{section.sha256} {name}".encode()).hexdigest()

    return sorted(STYLES, key=order)[:count]


def left_out(sections: Sequence[Section], folds: int = 5) -> dict[str, list[Result]]:
    """Return the results of each style, each company scored by weights that never saw it."""
    results: dict[str, list[Result]] = {}
    for number in range(folds):
        inside = [one for one in sections if fitting.fold(one.company, folds) != number]
        outside = [one for one in sections if fitting.fold(one.company, folds) == number]
        for style, scored in _scored(inside, outside).items():
            results.setdefault(style, []).extend(scored)
    return results


def locked(sections: Sequence[Section]) -> dict[str, list[Result]]:
    """Return the results of the locked companies, scored by weights fitted on the others."""
    return _scored(
        [one for one in sections if not one.locked], [one for one in sections if one.locked]
    )


def _scored(inside: Sequence[Section], outside: Sequence[Section]) -> dict[str, list[Result]]:
    model = heading_model.read_model(fitting.fitted(training_frame(inside)))
    results = {"own": measure(outside, model)}
    for name, restyle in STYLES.items():
        chosen = [one for one in outside if name in styles_of(one)]
        changed = [replace(one, lines=restyle(one.lines)) for one in chosen]
        results[name] = measure(changed, model) if changed else []
    return results

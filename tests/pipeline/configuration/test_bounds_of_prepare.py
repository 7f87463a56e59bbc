"""The bounds of Prepare in conf and in the step: the same names, kinds, defaults and forms."""

from dataclasses import asdict, fields
from typing import Any, get_args

import pytest

from pipeline.configuration.sections import screening
from steps.prepare import arguments, bounds


@pytest.mark.parametrize(
    ("section", "kind"),
    [(screening.Quality, bounds.Quality), (screening.Contract, bounds.Bounds)],
)
def test_names_and_defaults_are_the_same_and_the_word_is_read_back(section: Any, kind: Any) -> None:
    configured = section()
    assert [field.name for field in fields(section)] == [field.name for field in fields(kind)]
    assert asdict(kind()) == {name: getattr(configured, name) for name in asdict(kind())}
    changed = section(**dict.fromkeys(asdict(kind()), 0.123456789))
    assert bounds.numbers(kind, screening.word(changed)) == kind(
        **dict.fromkeys(asdict(kind()), 0.123456789)
    )
    largest = kind(**{name: _largest(section, name) for name in asdict(kind())})
    assert bounds.numbers(kind, screening.word(section(**asdict(largest)))) == largest


def _largest(section: Any, name: str) -> float:
    try:
        section(**{name: 1_000_000.0})
    except ValueError:
        return 1.0
    return 1_000_000.0


def test_the_kinds_of_personal_data_are_the_same() -> None:
    assert get_args(screening.Kind) == screening.ALL == bounds.KINDS
    assert arguments.Arguments.__dataclass_fields__["scrub"].default == bounds.KINDS


@pytest.mark.parametrize("text", ["*", "a.b.c", "a.*.*", "edgar.raw.*", "a-1.b_2.c"])
def test_sources_have_one_form(text: str) -> None:
    assert screening._sources((text,)) == bounds.SOURCES.parse(text) == (text,)


@pytest.mark.parametrize("text", ["", "a", "a.b", "*.b.c", "a.b.c.d", "a b.c.d", "a.b*.c"])
def test_other_sources_are_refused_on_both_sides(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        screening._sources((text,))
    with pytest.raises(ValueError, match=r".*"):
        bounds.SOURCES.parse(text)

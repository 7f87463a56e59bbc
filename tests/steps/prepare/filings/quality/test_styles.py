"""Each heading of an example has one style, which the manifest counts."""

import polars as pl
import pytest

from steps.prepare.filings import measures
from steps.prepare.filings.quality import screening

HEADINGS = {
    "We depend on three retailers, and the loss of one of them could harm us.": "standing",
    "Data Security.": "topic",
    "Intellectual Property": "bare",
    "WE MAY NEVER EARN A PROFIT": "bare",
    "4. We depend on a few customers.": "numbered",
    "(a) Competition": "numbered",
}


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_heading_on_its_line_has_one_style(heading: str) -> None:
    found = screening._styles(pl.Series([heading] * 2), pl.Series(["standing", "run_in"]))
    marked = {name: found[column].to_list() for name, column in measures.STYLES.items()}
    assert [name for name, (own, _) in marked.items() if own] == [HEADINGS[heading]]
    assert [name for name, (_, run_in) in marked.items() if run_in] == ["run_in"]

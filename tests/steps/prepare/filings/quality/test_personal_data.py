"""Personal data: recall and precision on a labelled sample, and that originals go nowhere."""

import re
from collections import Counter

import polars as pl
import pyarrow as pa
import pytest

from steps.prepare import bounds
from steps.prepare.filings import judge
from steps.prepare.filings.quality.personal_data import KINDS, scrubbed
from steps.prepare.filings.quality.screening import Screen
from tests.steps.prepare.filings.quality.labelled import sample
from tests.steps.prepare.support import fakes

RECALL, PRECISION = 0.95, 0.9
PLACEHOLDERS = {kind.placeholder.strip(): name for name, kind in KINDS.items()}


def scrub(texts: list[str]) -> list[str]:
    series = pl.Series(texts, dtype=pl.String)
    for kind in KINDS.values():
        series, _ = scrubbed(series, kind)
    return series.to_list()


def test_recall_and_precision_on_the_labelled_sample() -> None:
    labelled = list(sample(6_000, seed=20261129))
    there, hit, found = Counter[str](), Counter[str](), Counter[str]()
    for (_, items), clean in zip(labelled, scrub([text for text, _ in labelled]), strict=True):
        places = Counter(PLACEHOLDERS[word] for word in re.findall(r"\[[A-Z]+\]", clean))
        found += places
        for kind, words in items:
            there[kind] += 1
            name = words.removeprefix("/s/ ")
            if name not in clean and places[kind]:
                places[kind] -= 1
                hit[kind] += 1
    assert there.keys() == KINDS.keys()
    for kind in KINDS:
        recall, precision = hit[kind] / there[kind], hit[kind] / max(found[kind], 1)
        assert (recall >= RECALL, precision >= PRECISION) == (True, True), (kind, recall, precision)


def test_what_is_replaced_stays_replaced() -> None:
    once = scrub([text for text, _ in sample(500, seed=5)])
    assert scrub(once) == once


def test_the_names_of_the_configuration_are_those_of_the_patterns() -> None:
    assert tuple(KINDS) == bounds.KINDS


PRIVATE = {
    "email": "jane.doe@example.com",
    "phone": "(212) 555-0147",
    "social_security": "512-44-1234",
    "employer_id": "94-1234567",
    "street_address": "77 Oak Hill Street, Austin, Texas 78758",
    "signature": "Jane Q. Doe",
}


def filing() -> dict[str, str | None]:
    """A filing whose first risk factor has all kinds in its body, and e-mail in its heading."""
    row = fakes.corpus()[0]
    item = str(row["item_1a"])
    heading = next(line for line in item.splitlines() if "may" in line or "could" in line)
    body = item[item.index(heading) + len(heading) :].lstrip().split("\n")[0]
    private = (
        f"{body} Write to {PRIVATE['email']} or call {PRIVATE['phone']} about "
        f"{PRIVATE['social_security']} and {PRIVATE['employer_id']} "
        f"at {PRIVATE['street_address']}. "
        f"/s/ {PRIVATE['signature']}"
    )
    changed = heading.rstrip(".") + f", writes {PRIVATE['email']}."
    return row | {"item_1a": item.replace(body, private, 1).replace(heading, changed, 1)}


def judged(screen: Screen) -> pa.RecordBatch:
    batch = pa.RecordBatch.from_pylist([filing()], schema=fakes.RAW_SCHEMA)
    return judge.kernel(batch, judge.Settings(screen))


def test_no_original_leaves_the_kernel_and_each_is_counted() -> None:
    rows = judged(Screen())
    text = str(rows.to_pylist())
    assert not [words for words in PRIVATE.values() if words in text]
    totals = {kind: sum(filter(None, rows[f"scrubbed_{kind}"].to_pylist())) for kind in KINDS}
    assert totals == dict.fromkeys(KINDS, 1) | {"email": 2}
    assert any("[EMAIL]" in (row["completion"] or "") for row in rows.to_pylist())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_can_be_switched_off(kind: str) -> None:
    rows = judged(Screen(scrub=tuple(name for name in KINDS if name != kind)))
    prompts = "".join(filter(None, rows["prompt"].to_pylist()))
    assert [name for name, words in PRIVATE.items() if words in prompts] == [kind]
    assert sum(filter(None, rows[f"scrubbed_{kind}"].to_pylist())) == 0

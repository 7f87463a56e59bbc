"""Templates are drawn by hash, and every answer is text of the filing."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from steps.prepare import task_mix
from steps.prepare.filings import examination, examples, judge, tasks
from steps.prepare.task_mix import AMONG_FOUR, COMPARE, GROUP, HEADING, Mix
from tests.steps.prepare.support import fakes

MIX = task_mix.parse(f"{GROUP}=0.25,{HEADING}=0.5,{AMONG_FOUR}=0.25")
BODY = "We sell most of our products to a few customers. " * 6
TITLE = "Risks Related to Our Business"


def factors(count: int, *, group: str | None = TITLE) -> list[dict[str, str | None]]:
    return [
        {"heading": f"The loss of customer {at} could harm us.", "body": BODY, "group": group}
        for at in range(count)
    ]


def write(found: list[dict[str, str | None]], mix: Mix, seed: int = 17) -> list[dict[str, Any]]:
    row = {
        "source_filing": "a.htm", "filing_id": "0000001001/0000001001-21-000001",
        "cik": "0000001001", "company": "Acme Inc", "filing_type": "10-K", "year": 2020,
        "filing_date": "2021-02-01",
        "risk_factors": found,
    }  # fmt: skip
    batch = pa.RecordBatch.from_pylist([row], schema=examination.SCHEMA)
    return list(examples.write(batch, mix, seed=seed).to_pylist())


def test_shares_are_kept_and_a_seed_draws_the_same_each_time() -> None:
    def drawn(seed: int) -> list[str]:
        return [MIX.drawn("0000001001/x", at, seed=seed) for at in range(4000)]

    counts = Counter(drawn(17))
    assert drawn(17) == drawn(17) != drawn(18)
    for template, share in MIX.shares:
        assert counts[template] / 4000 == pytest.approx(share, abs=0.03)


def test_every_answer_is_text_of_the_filing() -> None:
    given = factors(60)
    found = write(given, MIX)
    assert {row["template"] for row in found} == {GROUP, HEADING, AMONG_FOUR}
    for row, factor in zip(found, given, strict=True):
        expected = factor["group"] if row["template"] == GROUP else factor["heading"]
        assert row["completion"] == expected
        assert row["prompt"].endswith(BODY)
        assert row["reason"] is None


def test_four_headings_are_listed_in_an_order_that_hides_the_right_one() -> None:
    places = Counter[int]()
    for row in write(factors(200), MIX):
        if row["template"] == AMONG_FOUR:
            listed = row["prompt"].split("\n\n")[1].splitlines()
            assert len(set(listed)) == len(listed) == 4
            places[listed.index(f"- {row['completion']}")] += 1
    assert min(places[at] for at in range(4)) >= 3


def test_the_heading_is_asked_for_where_the_filing_has_no_other_answer() -> None:
    few = write(factors(3, group=None), MIX)
    assert {row["template"] for row in few} == {HEADING}
    ids = [row["example_id"] for row in few]
    assert ids == [row["example_id"] for row in write(factors(3), task_mix.ONLY_HEADINGS)]
    same = write([factors(1)[0]] * 50, MIX)
    assert AMONG_FOUR not in {row["template"] for row in same}


@pytest.mark.parametrize("group", [None, "", "Overview of our Markets", "Risk " * 60])
def test_a_line_that_names_no_risks_is_not_a_group(group: str | None) -> None:
    assert tasks.asked(GROUP, "id", factors(1, group=group), 0) is None


def test_a_group_that_the_heading_repeats_is_not_asked_for() -> None:
    factor = {"heading": f"{TITLE}: we may fail.", "body": BODY, "group": TITLE}
    assert tasks.asked(GROUP, "id", [factor], 0) is None


def test_an_id_names_the_template() -> None:
    one, other = write(factors(60), MIX), write(factors(60), task_mix.ONLY_HEADINGS)
    for left, right in zip(one, other, strict=True):
        assert (left["example_id"] == right["example_id"]) == (left["template"] == HEADING)


def test_the_title_before_a_heading_is_its_group() -> None:
    text = fakes.section("Acme Inc", 4)
    titled = f"{text}\n\n{TITLE}\n\n" + fakes.section("Other Corp", 4, seed=5).split("\n", 1)[1]
    row = fakes.filing(1001, 2021, item_1a=titled)
    batch = examination.examine(pa.RecordBatch.from_pylist([row], schema=fakes.RAW_SCHEMA))
    groups = [factor["group"] for factor in batch["risk_factors"][0].as_py()]
    assert groups == [None] * 4 + [TITLE] * 4


def test_a_group_is_asked_for_without_personal_data() -> None:
    title = "Risks Related to Mail to jane.doe@example.com"
    text = f"{title}\n\n" + fakes.section("Acme Inc", 8).split("\n", 1)[1]
    row = fakes.filing(1001, 2021, item_1a=text)
    batch = pa.RecordBatch.from_pylist([row], schema=fakes.RAW_SCHEMA)
    mix = task_mix.parse(f"{GROUP}=0.9,{HEADING}=0.1")
    rows = judge.kernel(batch, judge.Settings(tasks=mix)).to_pylist()
    answers = {row["completion"] for row in rows if row["template"] == GROUP}
    assert answers == {"Risks Related to Mail to [EMAIL]"}
    assert "jane.doe" not in str(rows)


@pytest.mark.parametrize("template", [AMONG_FOUR, GROUP, COMPARE])
def test_other_words_need_another_version(template: str) -> None:
    words = {AMONG_FOUR: "2cf11b0e3c18a588", GROUP: "5c082dfea1a1205a", COMPARE: "a8e589de7b94458c"}
    assert examples.text_sha256(template, tasks.INSTRUCTIONS[template])[:16] == words[template]

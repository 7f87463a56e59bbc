"""The data contract of a run: what breaks it, what is then written, and which run it compares."""

import logging
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from scripts.prepare_bench.broken_input import kinds as broken_input
from scripts.prepare_bench.corpus import filings
from steps.governance.documents.manifest import Prepared
from steps.governance.errors import GovernanceError
from steps.prepare import bounds, job
from steps.prepare.bounds import Bounds, Quality
from steps.prepare.contract import checks
from steps.prepare.contract.profile import Profile, distance
from steps.prepare.filings.decision import CONTRACT_BROKEN
from tests.steps.prepare.support.world import World, another

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GOOD = Profile(
    rows=1_000, rejected=0.2, invalid=0.01, repeats=0.3, dropped=0.02, injections=0.0,
    scrubbed=0.1, eval=0.1, without_sic=0.02, heading=120.0, body=1_500.0,
    years={"2020": 400, "2021": 600}, words=[10] * 64,
)  # fmt: skip
# Each check with a profile that only it refuses, after a run with the profile GOOD.
BROKEN: dict[str, dict[str, Any]] = {
    "rows": {"rows": 1},
    "rejected": {"rejected": 0.99},
    "invalid": {"invalid": 0.51},
    "repeats": {"repeats": 0.96},
    "dropped": {"dropped": 0.99},
    "injections": {"injections": 0.06},
    "scrubbed": {"scrubbed": 1.1},
    "eval": {"eval": 0.0},
    "heading": {"heading": 9.0},
    "body": {"body": 30_000.0},
    "first_year": {"years": {"1900": 1, "2020": 399, "2021": 600}},
    "last_year": {"years": {"2020": 400, "2021": 599, "2201": 1}},
    "growth": {"rows": 3_001},
    "rejected_change": {"rejected": 0.41},
    "invalid_change": {"invalid": 0.22},
    "repeats_change": {"repeats": 0.09},
    "dropped_change": {"dropped": 0.23},
    "without_sic_change": {"without_sic": 0.23},
    "heading_change": {"heading": 160.0},
    "body_change": {"body": 1_000.0},
    "years": {"years": {"2022": 1_000}},
    "words": {"words": [100] * 8 + [10] * 56},
}


GIVEN = {"source": 1.0, "overlap": 0.003}


def names(profile: Profile, earlier: Profile | None = GOOD, **given: float) -> set[str]:
    made = checks.checked(profile, earlier, Bounds(), given=GIVEN | given)
    return {check.name for check in checks.broken(made)}


@pytest.mark.parametrize("check", BROKEN)
def test_each_check_refuses_a_number_beyond_its_bound(check: str) -> None:
    assert check in names(replace(GOOD, **BROKEN[check]))


def test_the_same_numbers_again_break_nothing_and_every_check_has_a_case() -> None:
    made = checks.checked(GOOD, GOOD, Bounds(), given=GIVEN)
    assert checks.broken(made) == []
    assert {check.name for check in made} == {*BROKEN, *GIVEN}
    assert names(GOOD, source=0.0) == {"source"}
    assert names(GOOD, overlap=0.6) == {"overlap"}


def test_small_runs_get_an_allowance_for_their_noise_and_large_ones_the_bounds() -> None:
    for count, wide in ((60, True), (100_000, False)):
        earlier = replace(GOOD, filings=count, rows=count * 10)
        made = checks.checked(earlier, earlier, Bounds(), given=GIVEN)
        most = {check.name: check.most for check in made}
        assert (most["rejected_change"] > 0.15) == wide
        assert (most["repeats_change"] > 0.05) == wide
        assert most["invalid_change"] <= 0.05 + (0.01 if wide else 0)
        assert most["years"] == pytest.approx(0.3)
        assert most["words"] == pytest.approx(0.1)
        more = {"rejected": 0.2 + 0.15, "invalid": 0.01, "repeats": 0.3}
        assert ("rejected_change" in names(replace(earlier, **more), earlier)) == (not wide)
        assert "invalid_change" in names(replace(earlier, invalid=0.11), earlier)


def test_a_run_of_an_earlier_build_has_no_number_of_filings_and_no_allowance() -> None:
    text = GOOD.text().replace('"filings":0,', "")
    assert "filings" not in text
    earlier = Profile.parse(text)
    assert earlier == GOOD
    assert Profile.parse(text.replace('"rows"', '"filing"')) is None
    assert "rejected_change" in names(replace(GOOD, rejected=0.26, filings=60), earlier)


def test_clean_samples_of_one_source_are_rarely_beyond_the_allowance() -> None:
    draw = random.Random(7)  # noqa: S311 - test data

    def rejected(count: int) -> float:
        return sum(draw.random() < 0.1 for _ in range(count)) / count

    for count in (20, 60, 200):
        beyond = 0
        for _ in range(300):
            earlier = replace(GOOD, filings=count, rejected=rejected(count))
            found = replace(GOOD, filings=count, rejected=rejected(count))
            beyond += "rejected_change" in names(found, earlier)
        assert beyond <= 300 * 0.09, count
    assert Profile.parse(GOOD.text()) == GOOD
    assert [Profile.parse(text) for text in (None, "{}", "[", "7")] == [None] * 4


def test_the_distance_is_0_for_equal_shares_and_1_for_disjoint_ones() -> None:
    assert distance({"a": 1, "b": 3}, {"a": 2, "b": 6}) == 0
    assert distance({"a": 5}, {"b": 1}) == 1
    assert distance({"a": 1, "b": 1}, {"a": 1}) == 0.5


def test_bounds_are_read_from_words_and_faults_are_refused() -> None:
    assert bounds.numbers(Quality, "symbols=0.2") == Quality(symbols=0.2)
    assert bounds.numbers(Bounds, "none") == Bounds()
    for text in (
        "",
        "symbols",
        "symbols=",
        "symbols=-1",
        "symbols=nan",
        "x=1",
        "symbols=1,symbols=1",
    ):
        with pytest.raises(ValueError, match=r".*"):
            bounds.numbers(Quality, text)


def test_a_source_is_allowed_by_its_name_or_by_a_star() -> None:
    assert bounds.allowed("edgar.raw.filings", ("a.b.c", "edgar.raw.*"))
    assert bounds.allowed("edgar.raw.filings", ("*",))
    assert not bounds.allowed("edgar.raw.filings", ("edgar.curated.*", "edgar.raw.filing"))


@pytest.fixture
def world(spark: "SparkSession", tmp_path: Path) -> World:
    return World(spark, tmp_path)


pytestmark = pytest.mark.spark


def test_the_manifest_has_every_check_and_the_next_run_is_compared_with_this_one(
    world: World,
) -> None:
    first = world.run(contract=Bounds())
    assert first.contract is not None
    assert first.contract.compared_with is None
    assert Prepared.from_bytes(first.to_bytes(), origin="manifest") == first
    second = world.run(**another("bbbbbbbbbbbb"), contract=Bounds()).contract
    assert second is not None
    assert second.compared_with == first.target.version
    found = {check.name: check.found for check in second.checks}
    assert (found["growth"], found["words"], found["years"]) == (1, 0, 0)
    third = world.run(**another("cccccccccccc"), contract=Bounds()).contract
    assert third is not None
    assert third.compared_with == first.target.version + 1


def test_a_table_without_a_usable_profile_is_named_before_the_absolute_bounds_alone_count(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.run()
    assert "compared with no earlier one" not in caplog.text
    monkeypatch.setattr(Profile, "parse", lambda _: None)  # as of another build
    contract = world.run(**another("bbbbbbbbbbbb")).contract
    assert contract is not None
    assert contract.compared_with is None
    assert "compared with no earlier one: none of the newest" in caplog.text


def test_a_broken_contract_commits_no_example_and_lists_all_numbers(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    tight = Bounds(least_rows=10_000, longest_heading=20)
    with caplog.at_level(logging.DEBUG), pytest.raises(GovernanceError) as caught:
        world.run(contract=tight)
    message = str(caught.value)
    for part in ("rows at least 10000", "heading 10 to 20", "no example was written"):
        assert part in message
    assert not DeltaTable.is_deltatable(str(world.curated))
    assert world.evidence.documents == {}
    quarantined = [
        row for row in world.rows("examples_rejected") if row["reason"] == CONTRACT_BROKEN
    ]
    assert len(quarantined) > 10
    assert {len(row["detail"]) for row in quarantined} == {len("sha256 ") + 64}
    with pytest.raises(GovernanceError, match="the run breaks its data contract"):
        world.run(contract=tight)  # again: the same commit is found
    assert DeltaTable(str(world.curated.with_name("examples_rejected"))).version() == 0


def test_a_second_attempt_is_compared_with_the_first_one_s_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.run(contract=Bounds())
    real = job.published

    def crash(*_: Any) -> Prepared:
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "published", crash)
    with pytest.raises(KeyboardInterrupt):
        world.run(**another("bbbbbbbbbbbb"), contract=Bounds())
    monkeypatch.setattr(job, "published", real)
    world.run(**another("cccccccccccc"), contract=Bounds())
    again = world.run(**another("bbbbbbbbbbbb"), contract=Bounds()).contract
    assert again is not None
    assert again.compared_with == first.target.version


def test_a_source_that_is_not_allowed_is_not_read(world: World) -> None:
    with pytest.raises(GovernanceError, match="not an allowed source"):
        world.run(sources=("edgar.other.*",))
    assert world.catalog.vended == []


def test_a_sample_of_broken_input_is_found_and_clean_input_is_not(spark: "SparkSession") -> None:
    clean = [list(filings(60, seed=seed, shape=broken_input.SHAPE)) for seed in (1, 2)]
    earlier = broken_input.profiled(spark, clean[0])
    assert broken_input.alarms(broken_input.profiled(spark, clean[1]), earlier) == []
    for kind, check in (
        ("other words", "words"),
        ("nulls", "invalid_change"),
        ("cut off", "body_change"),
    ):
        rows = broken_input.broken(clean[0], kind, 0.8, seed=5)
        found = broken_input.alarms(broken_input.profiled(spark, rows), earlier)
        assert check in {one.name for one in found}, kind

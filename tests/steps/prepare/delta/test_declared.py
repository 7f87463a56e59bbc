"""Each engine's answer to an owner's declaration, on tables of real Spark 4.0 and Delta 4.0.

docs/data.md lists the answers. By default one table of each kind of answer is tried; `make
test-long` tries every line of the page.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steps.prepare.delta.delta_rs import DeltaRsStore
from tests.steps.prepare.support import declared_answers, declared_tables
from tests.steps.prepare.support.declared_tables import RAWS, TARGETS
from tests.steps.prepare.support.real_spark import REPOSITORY, RealSpark, needed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ENGINES = ("delta-rs", "unity-connector")
TARGET_LINES, RAW_LINES = "### Curated and rejected table", "### Raw table"

pytestmark = needed


@dataclass(frozen=True)
class Tried:
    """The tables of one run on real Spark, and each engine's answers."""

    folder: Path
    targets: list[declared_tables.Target]
    raws: list[declared_tables.Raw]
    found: dict[str, Any]


@pytest.fixture(scope="module", params=["kinds", pytest.param("all", marks=pytest.mark.long)])
def tried(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, real_spark: RealSpark
) -> Tried:
    """One Spark context creates all tables and tries both engines on them."""
    folder = tmp_path_factory.mktemp("declared")
    real_spark.run("declared_on_spark", folder, request.param)
    found = json.loads((folder / "found.json").read_text())
    return Tried(folder, *declared_tables.chosen(request.param), found)


def documented(heading: str) -> list[list[str]]:
    """Return the rows of the table below a line of docs/data.md."""
    text = (REPOSITORY / "docs" / "data.md").read_text().split(f"\n{heading}\n", 1)[1]
    lines = text.strip().split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def answers_in_the_page(heading: str) -> dict[str, list[str]]:
    return {declaration: answers for declaration, *answers in documented(heading)}


def cell(answer: Any, honoured: str) -> str:
    """Return an engine's answer as the page writes it: `honoured`, or the refusal's text."""
    if not isinstance(answer, dict):
        return honoured
    if "shallow clone" in answer["what"]:
        return "refused: `a shallow clone`"
    what = answer["what"].partition(": ")[2] if answer["what"].startswith("version") else ""
    return f"refused: `{what or answer['got']}`"


def test_the_page_has_a_line_for_each_table() -> None:
    for heading, tables in ((TARGET_LINES, TARGETS), (RAW_LINES, RAWS)):
        assert [line[0] for line in documented(heading)] == [one.declaration for one in tables]


def test_the_page_has_each_engines_answer_to_a_target(tried: Tried) -> None:
    page = answers_in_the_page(TARGET_LINES)
    for target in tried.targets:
        answers = tried.found["targets"][target.name]
        real = [cell(answers[engine], "honoured") for engine in ENGINES]
        assert page[target.declaration] == real, target.name


def test_the_page_has_each_engines_answer_to_a_raw_table(tried: Tried) -> None:
    page = answers_in_the_page(RAW_LINES)
    for raw in tried.raws:
        real = [cell(tried.found["raws"][raw.name][engine], "read") for engine in ENGINES]
        assert page[raw.declaration] == real, raw.name


def test_real_delta_reads_what_was_appended_and_nothing_of_what_was_refused(tried: Tried) -> None:
    for target in tried.targets:
        answers = tried.found["targets"][target.name]
        committed = [
            declared_answers.EXECUTIONS[engine] for engine in ENGINES if answers[engine] == 1
        ]
        assert tried.found["rows"][target.name] == committed, target.name


def test_each_engine_reads_the_same_two_rows_or_refuses(tried: Tried) -> None:
    for raw in tried.raws:
        for answer in tried.found["raws"][raw.name].values():
            assert isinstance(answer, dict) or answer == [["1", "x"], ["2", "y"]], raw.name


def test_on_sail_a_declaration_is_honoured_or_refused_with_the_same_text(
    spark: "SparkSession", tried: Tried
) -> None:
    for target in tried.targets:
        store, location = DeltaRsStore(spark), tried.folder / "made" / target.name
        answer = declared_answers.appended(store, spark, target, location, engine="sail")
        assert answer == tried.found["targets"][target.name]["delta-rs"], target.name
        assert isinstance(answer, int) or not list(location.rglob("*.parquet")), target.name


def test_on_sail_a_raw_table_is_read_or_refused_as_on_spark(
    spark: "SparkSession", tried: Tried
) -> None:
    for raw in tried.raws:
        location = tried.folder / "made" / f"raw_{raw.name}"
        answer = declared_answers.read(DeltaRsStore(spark), raw, location)
        on_spark = tried.found["raws"][raw.name]["delta-rs"]
        assert isinstance(answer, dict) == isinstance(on_spark, dict), raw.name

"""What owners declare, on tables that real Spark 4.0 and Delta 4.0 made: each engine's answer, and docs/data.md says the same."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steps.prepare.delta_rs import DeltaRsStore
from tests.steps.prepare import declared_answers, declared_tables
from tests.steps.prepare.declared_tables import RAWS, TARGETS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPOSITORY = Path(__file__).resolve().parents[3]
SPARK = REPOSITORY / "build" / "spark-venv" / "bin" / "python"
ENGINES = ("delta-rs", "unity-connector")

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        shutil.which("java") is None,
        reason="real Spark needs Java 17, and there is no java on the PATH",
    ),
    pytest.mark.skipif(
        not SPARK.exists(), reason="build/spark-venv is not there: run scripts/spark-venv"
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One Spark start makes all tables, and tries both engines on them."""
    there = tmp_path_factory.mktemp("declared")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
    environment = kept | {
        "PYTHONPATH": str(REPOSITORY),
        "AWS_REGION": "us-east-1",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = [str(SPARK), str(Path(__file__).with_name("declared_on_spark.py")), str(there)]
    done = subprocess.run(
        command,
        env=environment,
        cwd=there,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )  # some minutes where the machine is shared: 50 tables, 100 appends and reads
    assert done.returncode == 0, done.stderr[-4000:]
    return there


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "found.json").read_text()))


def documented(heading: str) -> list[list[str]]:
    """The rows of the table below a line of docs/data.md."""
    text = (REPOSITORY / "docs" / "data.md").read_text().split(f"\n{heading}\n", 1)[1]
    lines = text.strip().split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def cell(answer: Any, honoured: str) -> str:
    """An engine's answer as the documentation writes it: `honoured`, or the refusal's words."""
    if not isinstance(answer, dict):
        return honoured
    what = answer["what"].partition(": ")[2] if answer["what"].startswith("version") else ""
    return f"refused: `{what or answer['got']}`"


def test_the_documentation_has_each_declaration_of_a_target_with_what_really_happens(
    found: dict[str, Any],
) -> None:
    real = [
        [
            target.declaration,
            *(cell(found["targets"][target.name][engine], "honoured") for engine in ENGINES),
        ]
        for target in TARGETS
    ]
    assert documented("### Curated and rejected table") == real


def test_the_documentation_has_each_declaration_of_a_raw_table_with_what_really_happens(
    found: dict[str, Any],
) -> None:
    real = [
        [raw.declaration, *(_read(found["raws"][raw.name][engine]) for engine in ENGINES)]
        for raw in RAWS
    ]
    assert documented("### Raw table") == real


def _read(answer: Any) -> str:
    if isinstance(answer, dict) and "shallow clone" in answer["what"]:
        return "refused: `a shallow clone`"
    return cell(answer, "read")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_real_delta_reads_what_was_appended_and_nothing_of_what_was_refused(
    target: declared_tables.Target, found: dict[str, Any]
) -> None:
    answers = found["targets"][target.name]
    committed = [declared_answers.EXECUTIONS[engine] for engine in ENGINES if answers[engine] == 1]
    assert found["rows"][target.name] == committed


@pytest.mark.parametrize("raw", RAWS, ids=lambda raw: raw.name)
def test_each_engine_reads_the_same_two_rows_or_refuses(
    raw: declared_tables.Raw, found: dict[str, Any]
) -> None:
    for answer in found["raws"][raw.name].values():
        assert isinstance(answer, dict) or answer == [["1", "x"], ["2", "y"]]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_on_sail_a_declaration_is_honoured_and_refused_with_the_same_words(
    spark: "SparkSession", folder: Path, found: dict[str, Any], target: declared_tables.Target
) -> None:
    store, location = DeltaRsStore(spark), folder / "made" / target.name
    answer = declared_answers.appended(store, spark, target, location, engine="sail")
    assert answer == found["targets"][target.name]["delta-rs"]
    assert isinstance(answer, int) or not list(location.rglob("*.parquet"))


@pytest.mark.parametrize("raw", RAWS, ids=lambda raw: raw.name)
def test_on_sail_a_raw_table_is_read_and_refused_alike(
    spark: "SparkSession", folder: Path, found: dict[str, Any], raw: declared_tables.Raw
) -> None:
    assert isinstance(found["raws"][raw.name]["delta-rs"], dict) == isinstance(
        declared_answers.read(DeltaRsStore(spark), raw, folder / "made" / f"raw_{raw.name}"), dict
    )

"""Prepare's command line: all of it is checked before anything heavy is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from steps.governance.errors import UsageError
from steps.prepare.arguments import ENGINES, LATEST, parse

REPOSITORY = Path(__file__).resolve().parents[3]
GOOD = {
    "--execution-arn": "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/p/execution/abcdefghijkl",
    "--raw-table": "edgar.raw.filings",
    "--raw-version": "-1",
    "--curated-table": "edgar.curated.examples",
    "--curated-root": "s3://governed/curated",
    "--manifest-uri": "s3://evidence/executions/abcdefghijkl/prepare/manifest.json",
    "--eval-fraction": "0.1",
    "--seed": "17",
    "--delta-engine": "delta-rs",
    "--model-name": "edgar.models.risk_analyst",
    "--model-alias": "challenger",
    "--register-principal": "0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f",
    "--databricks-host": "https://dbc-1.cloud.databricks.com",
    "--databricks-secret-id": "p/databricks/prepare",
    "--region": "eu-west-1",
}


def argv(**changes: str | None) -> list[str]:
    values = GOOD | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [part for flag, value in values.items() if value is not None for part in (flag, value)]


@pytest.mark.parametrize("argument", ["curated_table", "model_name"])
def test_catalogs_that_only_databricks_writes_to_can_be_read_but_not_written(argument: str) -> None:
    assert parse(argv(raw_table="samples.a.b")).raw_table.catalog == "samples"
    with pytest.raises(UsageError, match="outside the catalogs"):
        parse(argv(**{argument: "samples.a.b"}))


def test_a_good_command_line_becomes_checked_values() -> None:
    arguments = parse(argv())
    assert arguments.raw_table.schema_name == "edgar.raw"
    assert (arguments.raw_version, arguments.eval_fraction, arguments.seed) == (LATEST, 0.1, 17)
    assert arguments.execution_id == "abcdefghijkl"


@pytest.mark.parametrize("engine", ENGINES)
def test_each_delta_engine_is_accepted(engine: str) -> None:
    assert parse(argv(delta_engine=engine)).delta_engine == engine


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("execution_arn", "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/p"),
        ("raw_table", "edgar.raw.filings'; DROP"),
        ("raw_table", "../../filings"),
        ("raw_version", "-2"),
        ("raw_version", "1.5"),
        ("curated_root", "s3://governed/../other"),
        ("curated_root", "file:///tmp"),
        ("manifest_uri", "s3://evidence"),
        ("eval_fraction", "0"),
        ("eval_fraction", "0.6"),
        ("eval_fraction", "nan"),
        ("model_name", "edgar.models/../x"),
        ("model_alias", "Challenger!"),
        ("model_alias", "latest"),
        ("model_alias", "v12"),
        ("register_principal", "register"),
        ("seed", "2147483648"),
        ("delta_engine", "iceberg"),
        ("databricks_host", " "),
        ("region", "mars"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_flag(name: str, value: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(argv(**{name: value}))
    assert f"--{name.replace('_', '-')}:" in str(refused.value)
    assert repr(value)[:20] in str(refused.value)


def test_one_error_names_all_faults() -> None:
    with pytest.raises(UsageError) as refused:
        parse(argv(seed="x", region="mars", raw_table=None))
    for part in (
        "--seed: a whole number from 0",
        "--region: an AWS region was expected",
        "--raw-table is missing",
    ):
        assert part in str(refused.value)


def test_the_curated_table_must_not_be_the_raw_table() -> None:
    with pytest.raises(UsageError, match="another table than --raw-table"):
        parse(argv(curated_table="edgar.raw.filings"))


def test_the_rejected_table_must_have_a_valid_name_and_not_be_the_raw_table() -> None:
    with pytest.raises(UsageError, match="a table whose _rejected table is not --raw-table"):
        parse(argv(raw_table="edgar.curated.examples_rejected"))
    assert parse(argv(curated_table=f"edgar.curated.{'x' * 54}"))
    with pytest.raises(UsageError, match="a name that is still one with _rejected after it"):
        parse(argv(curated_table=f"edgar.curated.{'x' * 55}"))


@pytest.mark.parametrize("more", [["--databricks", "https://x"], ["--unknown", "1"], ["stray"]])
def test_an_unknown_argument_is_refused(more: list[str]) -> None:
    with pytest.raises(UsageError, match="was not started"):
        parse([*argv(), *more])


def test_help_and_refusals_need_no_engine() -> None:
    code = (
        "import sys; from steps.prepare.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert main(['--seed', 'x']) == 2\n"
        "heavy = {'pyspark', 'pyarrow', 'polars', 'boto3', 'databricks.sdk.core', 'pydantic'}\n"
        "heavy |= {'deltalake'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--curated-root ROOT" in done.stdout
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("UsageError: Prepare was not started")
    assert "--region is missing" in last

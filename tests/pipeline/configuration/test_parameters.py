"""The parameter table has the rows of docs/architecture.md, and its checks report every fault."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.configuration import combinations, parameters
from pipeline.configuration.parameters import BY_NAME, TABLE
from pipeline.errors import UsageError

ARCHITECTURE = Path(__file__).resolve().parents[3] / "docs" / "architecture.md"


def test_the_table_is_the_one_in_the_architecture_page() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (String|Integer|Float) \| (\S+) \|", ARCHITECTURE.read_text(), re.MULTILINE
    )
    written = [(name, type_, default.strip("`")) for name, type_, default in rows]
    assert written == [(p.name, p.type, str(p.default)) for p in TABLE]
    assert len(written) == 22


@pytest.mark.parametrize("parameter", TABLE, ids=lambda parameter: parameter.name)
def test_every_default_is_within_its_own_range(parameter: parameters.Parameter) -> None:
    assert parameters.fault(parameter, parameter.default) is None


def test_all_faults_of_a_command_line_are_reported() -> None:
    values, faults = parameters.chosen(
        {"LoraRnk": "8", "Epochs": "many", "MaxEvalLoss": "-1", "LearningRate": "nan", "Seed": "3"}
    )
    assert values == {"Seed": 3}
    assert faults == [
        ("LoraRnk", "is not a parameter; did you mean 'LoraRank'?"),
        ("Epochs", "expected a whole number (≥ 1 and ≤ 20), got 'many'"),
        ("MaxEvalLoss", "expected ≥ 1e-06 and ≤ 1000000000, got -1.0"),
        ("LearningRate", "expected a number (≥ 1e-12 and ≤ 0.1), got 'nan'"),
    ]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("RawTable", "a.b.c", "a.b"),
        ("RawTable", "edgar.raw.filings", "edgar.raw.filings`; DROP"),
        ("CuratedTable", "edgar.curated.x", "edgar/../x.y.z"),
        ("ModelName", "a.b.c", "a.b.c\n"),
        ("ModelName", "a.b.c", "Edgar.models.x"),
        ("RawTableVersion", "-1", "-2"),
        ("RawTableVersion", "2147483647", "2147483648"),
        ("RawTableVersion", "0", "1" + "0" * 400),
        ("CuratedTable", "edgar.system.x", "system.curated.x"),
        ("CuratedTable", "edgar.information.x", "edgar.information_schema.x"),
        ("ModelName", "hive.models.x", "hive_metastore.models.x"),
        ("ModelName", "samples_2.models.x", "samples.nyctaxi.x"),
        ("CuratedTable", "databricks_internal.a.b", "__databricks_internal.a.b"),
        ("RawTable", "system.billing.usage", "system.billing"),
        ("RawTable", "samples.tpch.orders", "samples.tpch"),
        ("ModelAlias", "champion", "Champion"),
        ("ModelAlias", "latest_1", "latest"),
        ("ModelAlias", "v1a", "v1"),
        ("ModelAlias", "v", "v12"),
        ("Epochs", "20", "21"),
        ("MaxSteps", "-1", "0"),
        ("MaxSteps", "1000000000", "1000000001"),
        ("Seed", "2147483647", "9" * 5000),
        ("LearningRate", "0.1", "0.11"),
        ("LearningRate", "1e-4", "0"),
        ("LearningRate", "1e-12", "1e-100"),
        ("LoraRank", "128", "12"),
        ("SequenceLength", "256", "300"),
        ("Seed", "0", "2147483648"),
        ("MaxEvalLoss", "0.01", "inf"),
        ("MaxEvalLoss", "1e9", "1e308"),
        ("MaxEvalLoss", "1e-6", "5e-324"),
        ("TrainInstanceType", "ml.p5.4xlarge", "ml.g5"),
        ("Fp8Mode", "nf4", "fp8"),
        ("Optimizer", "paged_adamw_8bit", "adam"),
        ("EvalSteps", "1000000", "1000001"),
        ("EvalSteps", "1", "0"),
        ("EarlyStoppingPatience", "0", "-1"),
        ("EarlyStoppingPatience", "100", "101"),
        ("MaxEvalExamples", "-1", "0"),
        ("MaxEvalExamples", "1000000", "1000001"),
        ("Determinism", "full", "yes"),
        ("MergedExport", "bfloat16", "float16"),
        ("Compile", "layers", "all"),
    ],
)
def test_each_range_has_its_edges(name: str, good: str, bad: str) -> None:
    assert parameters.parsed(BY_NAME[name], good)[1] is None
    assert parameters.parsed(BY_NAME[name], bad)[1] is not None


@pytest.mark.parametrize("text", ["1_0", "٣", "１", " 3", "3 ", "3\n", "", "+", "0x3", "1__0"])
def test_only_plain_digits_are_a_number(text: str) -> None:
    for name in ("Epochs", "MaxEvalLoss"):
        value, fault = parameters.parsed(BY_NAME[name], text)
        assert value is None
        assert fault is not None
        assert fault.endswith(f"got {text!r}")


def test_a_rate_is_read_in_every_usual_form() -> None:
    for text in ("2e-4", "2.0E-04", "+.0002", "0.0002"):
        assert parameters.parsed(BY_NAME["LearningRate"], text) == (0.0002, None)
    assert parameters.parsed(BY_NAME["Epochs"], "+3") == (3, None)


def test_a_default_of_another_type_is_refused() -> None:
    assert parameters.faults_in_defaults(
        {"ModelAlias": 3, "Epochs": True, "Epoch": 1, "MaxEvalLoss": 2}
    ) == [
        ("Epoch", "unknown parameter; did you mean 'Epochs'?"),
        (
            "ModelAlias",
            (
                "expected a string "
                "(a-z, then at most 62 of a-z, 0-9, _; neither latest nor v<number>), got 3"
            ),
        ),
        ("Epochs", "expected a whole number (≥ 1 and ≤ 20), got True"),
    ]


def test_a_command_line_whose_values_contradict_each_other_is_refused() -> None:
    with pytest.raises(UsageError, match="native needs FP8 arithmetic"):
        parameters.check({"Fp8Mode": "native", "TrainInstanceType": "ml.g5.xlarge"})
    for instance in ("ml.g6.xlarge", "ml.g6e.xlarge", "ml.p5.4xlarge"):
        parameters.check({"Fp8Mode": "native", "TrainInstanceType": instance})


@pytest.mark.parametrize(
    ("alone", "named"),
    [
        ({"RawTable": "edgar.curated.risk_factor_examples"}, "CuratedTable"),
        ({"RawTable": "edgar.curated.risk_factor_examples_rejected"}, "CuratedTable"),
        ({"CuratedTable": "edgar.raw.filings"}, "CuratedTable"),
        ({"Fp8Mode": "native"}, "Fp8Mode"),
    ],
)
def test_a_value_that_contradicts_the_default_of_another_is_refused(
    alone: dict[str, str], named: str
) -> None:
    with pytest.raises(UsageError, match=rf"(?m)^  {named}  "):
        parameters.check(alone)


def test_the_default_of_an_environment_replaces_the_tables() -> None:
    parameters.check({"Fp8Mode": "native"}, {"TrainInstanceType": "ml.g6.xlarge"})
    with pytest.raises(UsageError, match="expected another table than RawTable"):
        parameters.check({"RawTable": "a.b.c"}, {"CuratedTable": "a.b.c"})


def test_a_faulty_value_is_not_replaced_by_the_default() -> None:
    with pytest.raises(UsageError) as refused:
        parameters.check({"Fp8Mode": "native", "TrainInstanceType": "ml.g6"})
    assert "native needs" not in str(refused.value)


TABLES = {"RawTable": "a.b.filings", "CuratedTable": "a.b.examples"}


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (
            {"CuratedTable": "a.b.filings"},
            "expected another table than RawTable, got 'a.b.filings' for both",
        ),
        (
            {"RawTable": "a.b.examples_rejected"},
            "expected a table whose _rejected table is not RawTable",
        ),
        (
            {"CuratedTable": f"a.b.{'x' * 55}"},
            "at most 54 characters after the last dot (Prepare also writes",
        ),
        ({"MergedExport": "bfloat16", "Fp8Mode": "nf4"}, "bfloat16 does not go with Fp8Mode nf4"),
    ],
)
def test_two_values_that_prepare_or_train_would_refuse_together_are_refused_first(
    changed: dict[str, str], text: str
) -> None:
    parameters.check(
        TABLES | {"CuratedTable": f"a.b.{'x' * 54}", "MergedExport": "bfloat16", "Fp8Mode": "off"}
    )
    with pytest.raises(UsageError, match=re.escape(text)):
        parameters.check(TABLES | changed)


@pytest.mark.parametrize(
    ("changed", "hosts", "refused"),
    [
        ({"Fp8Mode": "nf4", "TrainInstanceType": "ml.g5.12xlarge"}, 1, ["Fp8Mode"]),
        ({"Optimizer": "adamw_8bit", "TrainInstanceType": "ml.p4d.24xlarge"}, 1, ["Optimizer"]),
        (
            {
                "Optimizer": "paged_adamw_8bit",
                "Fp8Mode": "nf4",
                "TrainInstanceType": "ml.g6.xlarge",
            },
            2,
            ["Fp8Mode", "Optimizer"],
        ),
        ({"Optimizer": "adamw_8bit", "TrainInstanceType": "ml.g6.16xlarge"}, 1, []),
        ({"TrainInstanceType": "ml.g5.48xlarge"}, 4, []),
    ],
)
def test_bitsandbytes_is_refused_with_a_sharded_base(
    changed: dict[str, str], hosts: int, refused: list[str]
) -> None:
    split = combinations.Cluster("fsdp", hosts)
    assert [name for name, _ in parameters.faults_in_defaults(changed, split)] == refused
    for sharding in ("auto", "ddp"):
        assert parameters.faults_in_defaults(changed, combinations.Cluster(sharding, hosts)) == []


@given(st.text())
def test_only_three_plain_parts_are_a_table_name(text: str) -> None:
    value, fault = parameters.parsed(BY_NAME["RawTable"], text)
    if fault is None:
        assert value == text
        assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+){2}", text)


def test_the_help_shows_every_parameter_with_its_default_and_range() -> None:
    table = parameters.help_table({"Epochs": 20}).splitlines()
    assert len(table) == len(TABLE)
    assert re.fullmatch(
        r"  Epochs +Integer +20 +passes over the training examples +≥ 1 and ≤ 20", table[6]
    )

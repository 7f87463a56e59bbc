"""A step takes every value of a parameter that `pipeline.run` takes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.configuration import parameters, step_limits
from pipeline.configuration.parameters import BY_NAME, TABLE, Value
from pipeline.execution import reuse
from steps.governance.documents.record import Starter
from steps.governance.errors import GovernanceError
from steps.prepare.contract import settings as prepare_settings
from steps.register.facts import Execution
from tests.compiled_steps import EXECUTION_ID, arguments, defaults, definition
from tests.steps.prepare.support import fakes

ARN = f"arn:aws:sagemaker:us-east-1:111111111111:pipeline/p/execution/{EXECUTION_ID}"
WORDS = [
    f"a.b.{'x' * 54}",
    f"a.b.{'x' * 55}",
    "",
    "auto",
    "none",
    "x",
    "a.b.c",
    "a.b",
    "A.b.c",
    "system.b.c",
    "samples.b.c",
    "hive_metastore.b.c",
    "__databricks_internal.b.c",
    "a.information_schema.c",
    "systems.samples.system",
    "latest",
    "v7",
    "challenger",
    f"a.b.{'x' * 63}",
    f"a.b.{'x' * 64}",
]
WHOLE = [
    -2,
    -1,
    0,
    1,
    4,
    5,
    20,
    21,
    100,
    101,
    256,
    300,
    8192,
    10**6,
    10**6 + 1,
    10**9,
    10**9 + 1,
    2**31 - 1,
    2**31,
    2**63 - 1,
]
NUMBERS = [-1.0, 0.0, 1e-300, 1e-12, 2e-4, 0.1, 0.11, 2.5, 1e9, 1e20, 1e308]


def steps_take(name: str, value: Value) -> bool:
    """Return whether Prepare, Train and Register take a value, with defaults for the others."""
    from steps.prepare.arguments import parse as parse_prepare
    from steps.train.arguments import parse as parse_train

    given_values = defaults(definition("dev")) | {name: value}
    texts = {parameter: str(each) for parameter, each in given_values.items()}
    execution = Execution(
        arn=ARN,
        pipeline_arn=ARN,
        definition={},
        definition_sha256="0" * 64,
        started_at=datetime(2026, 11, 1, tzinfo=UTC),
        started_by=Starter(),
        pipeline_version_id=None,
        parameters=texts,
    )
    try:
        parse_prepare(arguments("Prepare", "dev", {name: value}))
        parse_train(arguments("Train", "dev", {name: value}))
        execution.require_registrable()
    except GovernanceError:
        return False
    # Gate compares with it, and no loss is below 0
    return name != "MaxEvalLoss" or float(value) > 0


def candidates(parameter: parameters.Parameter) -> list[Value]:
    """Values around every limit, and those in the table."""
    of_type: dict[str, list[Any]] = {"String": WORDS, "Integer": WHOLE, "Float": NUMBERS}
    return [*of_type[parameter.type], *parameter.choices, parameter.default]


@pytest.mark.parametrize(
    "parameter", [p for p in TABLE if p.name != "TrainInstanceType"], ids=lambda p: p.name
)
def test_step_limits_are_those_of_the_steps_and_the_table_admits_no_more(
    parameter: parameters.Parameter,
) -> None:
    values = candidates(parameter)
    taken = [value for value in values if steps_take(parameter.name, value)]
    assert [value for value in values if step_limits.takes(parameter.name, value)] == taken
    assert [value for value in values if parameter.admits(value) and value not in taken] == []
    assert {value for value in values if value not in taken} != set(), (
        "the candidates reach beyond the limit"
    )


@settings(max_examples=300)
@given(
    st.sampled_from(["RawTable", "CuratedTable", "ModelName", "ModelAlias"]), st.text(max_size=80)
)
@example("ModelAlias", "latest\n")
@example("ModelName", "a.b.c\n")
def test_a_name_that_passes_the_table_passes_the_step(name: str, text: str) -> None:
    if parameters.parsed(BY_NAME[name], text)[1] is None:
        assert steps_take(name, text)


@pytest.mark.parametrize(
    "text",
    [
        "2.0E-4",
        "2.0E-04",
        "2e-4",
        "0.00020",
        "1.0E-12",
        ".0002",
        "0.000200000000000000009584164209155735",
        "1E-1",
    ],
)
def test_train_reads_a_rate_in_every_form_that_a_service_writes(text: str) -> None:
    from steps.train.arguments import parse

    assert parse(arguments("Train", "dev", {"LearningRate": text})).learning_rate == float(text)


def test_a_start_compares_what_prepare_records_of_its_settings() -> None:
    recorded = prepare_settings.of(fakes.arguments(Path("/")))
    assert sorted(reuse.DECIDING) == sorted(f"--{name.replace('_', '-')}" for name in recorded)

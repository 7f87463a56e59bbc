"""pipeline/ and steps/ never import each other; they meet in the compiled definition, and this is where they are compared.

Every compiled argv and every hyperparameter must parse with the step's own parser, for the defaults and for every value
the parameter table admits, and every metric must be found in the lines that docs/architecture.md shows.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import config, metrics, parameters, register_worker
from pipeline.configuration import hosts
from pipeline.errors import ConfigError
from pipeline.parameters import TABLE, Parameter, Value

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"
ENVIRONMENTS = ("local", "dev", "prod")
EXECUTION_ID = "4x7k2m9p1q0z"
ACCOUNTS = {"local": "000000000000", "dev": "111111111111", "prod": "222222222222"}


def definition(environment: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((GOLDEN / f"definition.{environment}.json").read_text())
    return parsed


def resolved(node: Any, environment: str, parameters: dict[str, Value]) -> Any:
    """The node as the service would hand it to the job."""
    execution = {
        "PipelineExecutionId": EXECUTION_ID,
        "PipelineExecutionArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNTS[environment]}:pipeline/p/execution/{EXECUTION_ID}",
    }
    if isinstance(node, list):
        return [resolved(item, environment, parameters) for item in node]
    if not isinstance(node, dict):
        return node
    if "Get" in node:
        kind, _, name = node["Get"].partition(".")
        return {"Parameters": parameters, "Execution": execution}[kind][name]
    if "Std:Join" in node:
        join = node["Std:Join"]
        return join["On"].join(
            str(resolved(value, environment, parameters)) for value in join["Values"]
        )
    return {key: resolved(value, environment, parameters) for key, value in node.items()}


def defaults(tree: dict[str, Any]) -> dict[str, Value]:
    return {parameter["Name"]: parameter["DefaultValue"] for parameter in tree["Parameters"]}


def told(step: str, environment: str, changed: dict[str, Value] | None = None) -> Any:
    """What a step is told: Prepare's argv, Train's hyperparameters."""
    tree = definition(environment)
    [found] = [candidate for candidate in tree["Steps"] if candidate["Name"] == step]
    arguments = resolved(found["Arguments"], environment, defaults(tree) | (changed or {}))
    if step == "Prepare":
        return arguments["JobConfig"]["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    return arguments["HyperParameters"]


def values(parameter: Parameter) -> st.SearchStrategy[Value]:
    """Every value of a parameter that the table admits (numbers up to a milliard, rates from 1e-9)."""
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if parameter.pattern:
        return st.from_regex(parameter.pattern, fullmatch=True)
    numbers = (
        st.integers(int(parameter.at_least or 0), int(min(parameter.at_most or 10**9, 10**9)))
        if parameter.type == "Integer"
        else st.floats(1e-9, parameter.at_most or 1e9, allow_nan=False)
    )
    return numbers if parameter.also is None else numbers | st.just(parameter.also)


ADMITTED = st.fixed_dictionaries({parameter.name: values(parameter) for parameter in TABLE}).filter(
    lambda chosen: chosen["RawTable"] != chosen["CuratedTable"]
)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_prepare_parses_its_compiled_command_line(environment: str) -> None:
    from steps.prepare.arguments import parse

    argv = told("Prepare", environment)
    assert all(isinstance(word, str) for word in argv)
    parsed = parse(argv)
    assert parsed.execution_arn.endswith(EXECUTION_ID)
    assert str(parsed.raw_table) == defaults(definition(environment))["RawTable"]
    assert (
        parsed.manifest_uri
        == f"s3://governed-finetune-{environment}-evidence/executions/{EXECUTION_ID}/prepare/manifest.json"
    )


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_train_parses_its_compiled_hyperparameters(environment: str) -> None:
    from steps.train.arguments import parse

    hyperparameters = told("Train", environment)
    assert all(isinstance(value, str) for value in hyperparameters.values())
    parsed = parse(hyperparameters)
    assert parsed.max_steps == defaults(definition(environment))["MaxSteps"]
    assert (
        parsed.train_manifest_uri("job-1")
        == f"s3://governed-finetune-{environment}-evidence/executions/{EXECUTION_ID}/train/job-1/manifest.json"
    )


@settings(max_examples=200, deadline=None)
@given(ADMITTED)
def test_whatever_the_table_admits_the_steps_accept(chosen: dict[str, Value]) -> None:
    from steps.prepare.arguments import parse as parse_prepare
    from steps.train.arguments import parse as parse_train

    assert parse_prepare(told("Prepare", "dev", chosen)).seed == chosen["Seed"]
    parsed = parse_train(told("Train", "dev", chosen))
    assert parsed.lora_rank == chosen["LoraRank"]
    assert parsed.learning_rate == pytest.approx(chosen["LearningRate"])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_worker_parses_its_settings(environment: str) -> None:
    from steps.register.arguments import parse

    variables = dict(line.split("=", 1) for line in (GOLDEN / "local.env").read_text().splitlines())
    configured = config.load(environment, environ=variables)
    parsed = parse(register_worker.arguments(configured))
    assert parsed.pipeline_name == configured.pipeline.name
    assert parsed.evidence_uri == f"s3://governed-finetune-{environment}-evidence/executions"


ALIASES = [
    *(
        "challenger",
        "champion",
        "latest",
        "Latest",
        "LATEST",
        "v1",
        "v12",
        "V3",
        "v",
        "v_1",
        "v1a",
        "xv1",
        "latest1",
    ),
    *("", "1", "a-b", "a b", "ä", "Champion", "a" * 63, "a" * 64, "latest\n", "v1\n", "v१"),
]


@pytest.mark.parametrize("alias", ALIASES)
def test_both_sides_take_the_same_aliases(alias: str) -> None:
    from steps.governance.errors import NameRefused
    from steps.governance.names import checked_alias

    try:
        taken = checked_alias(alias) == alias
    except NameRefused:
        taken = False
    assert taken == (parameters.fault(parameters.BY_NAME["ModelAlias"], alias) is None)


def test_both_sides_and_the_sdk_have_the_same_workspace_zones() -> None:
    """A zone that the SDK adds fails here, so that configuration and steps get it together."""
    from databricks.sdk.environments import ALL_ENVS

    from steps.governance import hosts as of_the_steps

    assert (hosts.WORKSPACE, hosts.LOOPBACK) == (of_the_steps.WORKSPACE, of_the_steps.LOOPBACK)
    known = {
        each.dns_zone for each in ALL_ENVS if not each.dns_zone.startswith((".dev.", ".staging."))
    }
    assert known | {".cloud.databricks.mil"} == {*hosts.AWS_ZONES, *hosts.NUMBERED_ZONES}


HOSTS = [
    *(f"https://dbc-1{zone}" for zone in (*hosts.AWS_ZONES, *hosts.NUMBERED_ZONES)),
    *(
        "https://adb-12.7.azuredatabricks.net",
        "https://adb-12.7.cloud.databricks.com",
        "https://xn--bcher.gcp.databricks.com",
    ),
    *(
        "https://dbc-1.cloud.databricks.us/",
        "https://dbc-1.cloud.databricks.us//",
        "https://dbc-1.cloud.databricks.us/x",
    ),
    *(
        "https://DBC-1.cloud.databricks.us",
        "https://u@dbc-1.cloud.databricks.us",
        "https://dbc-1.cloud.databricks.us:443",
    ),
    *(
        "https://dbc-1.cloud.databricks.us.",
        "https://dbc-1.cloud.databricks.us.evil.example",
        "https://accounts.cloud.databricks.us",
    ),
    *(
        "http://127.0.0.1:8080",
        "http://localhost",
        "https://localhost:1",
        "http://0.0.0.0:80",
        "ftp://dbc-1.cloud.databricks.us",
    ),
]


@pytest.mark.parametrize("environment", ["local", "dev"])
@pytest.mark.parametrize("host", HOSTS)
def test_both_sides_take_the_same_hosts(host: str, environment: str) -> None:
    from steps.governance.errors import UsageError
    from steps.governance.hosts import checked_host

    variables = dict(line.split("=", 1) for line in (GOLDEN / "local.env").read_text().splitlines())
    text = re.sub(
        r"^  host: \S+",
        f"  host: {host}",
        (config.CONF / f"{environment}.yaml").read_text(),
        flags=re.MULTILINE,
    )
    try:
        configured = config.parse(text, environment, variables).databricks.host
    except ConfigError as error:
        configured = None
        assert [path for path, _ in error.faults] == ["databricks.host"]  # noqa: PT017 - either outcome is asserted
    try:
        step = checked_host(
            host, {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"} if environment == "local" else {}
        )
    except UsageError:
        step = None
    assert configured == step


def names(step: str) -> set[str]:
    """The names that docs/architecture.md lists for a step."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    block = text.split(f"**{step}**", 1)[1].split("```")[1]
    return set(re.findall(r"--[a-z-]+" if step != "Train" else r"[a-z][a-z0-9_]+", block))


def test_each_step_is_told_exactly_what_the_architecture_page_lists() -> None:
    assert set(told("Prepare", "dev")[::2]) == names("Prepare")
    assert set(told("Train", "dev")) == names("Train")
    variables = dict(line.split("=", 1) for line in (GOLDEN / "local.env").read_text().splitlines())
    assert set(register_worker.arguments(config.load("local", environ=variables))[::2]) == names(
        "Register"
    )


def test_the_worker_notes_what_it_waits_for_as_run_finds_it_and_as_the_architecture_page_says() -> (
    None
):
    from pipeline.execution import outcome
    from steps.register.delivery import waiting

    assert outcome.REGISTER_WAITS == waiting.MARK
    assert (
        f"`{waiting.MARK}<reason>; next attempt in <seconds> s (attempt <i> of <n>)`"
        in (ROOT / "docs" / "architecture.md").read_text()
    )


TRAIN_LINE = (
    "[train] step=12 train_loss=3.2107; grad_norm=0.8123; learning_rate=0.00018; tokens_per_second=1812.4; mfu=0.312; "
    "memory_gib=11.4; eta_seconds=410;"
)
BEFORE_LINE = "[eval] step=0 eval_loss_before=7.6301; eval_tokens=8123;"
AFTER_LINE = "[eval] step=50 eval_loss=2.6843; eval_perplexity=14.647; eval_tokens=8123;"


@pytest.mark.parametrize(
    ("metric", "line", "value"),
    [
        ("train:loss", TRAIN_LINE, "3.2107"),
        ("train:grad_norm", TRAIN_LINE, "0.8123"),
        ("train:learning_rate", TRAIN_LINE, "0.00018"),
        ("train:tokens_per_second", TRAIN_LINE, "1812.4"),
        ("train:mfu", TRAIN_LINE, "0.312"),
        ("train:memory_gib", TRAIN_LINE, "11.4"),
        ("train:eta_seconds", TRAIN_LINE, "410"),
        ("eval:loss_before", BEFORE_LINE, "7.6301"),
        ("eval:perplexity", AFTER_LINE, "14.647"),
        ("eval:loss", AFTER_LINE, "2.6843"),
        ("eval:loss", "[eval] eval_loss=nan; eval_tokens=8123;", "nan"),
        ("eval:loss", "[eval] eval_loss=inf; eval_tokens=8123;", "inf"),
        ("train:learning_rate", "[train] step=1 learning_rate=1.8e-05;", "1.8e-05"),
    ],
)
def test_each_metric_is_found_in_its_line(metric: str, line: str, value: str) -> None:
    assert re.findall(metrics.regex(metric), line) == [value]
    float(value)


def test_no_metric_is_found_in_the_line_of_another() -> None:
    found = {
        metric: re.findall(metrics.regex(metric), BEFORE_LINE + AFTER_LINE)
        for metric in metrics.KEYS
    }
    assert {metric: hits for metric, hits in found.items() if hits} == {
        "eval:loss_before": ["7.6301"],
        "eval:loss": ["2.6843"],
        "eval:perplexity": ["14.647"],
    }


def test_every_metric_line_stands_in_the_architecture_page_as_it_does_here() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert [line for line in (TRAIN_LINE, BEFORE_LINE, AFTER_LINE) if f"`{line}`" not in page] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_definition_asks_for_these_metrics(environment: str) -> None:
    [train] = [step for step in definition(environment)["Steps"] if step["Name"] == "Train"]
    asked = {
        m["Name"]: m["Regex"]
        for m in train["Arguments"]["AlgorithmSpecification"]["MetricDefinitions"]
    }
    assert asked == {metric: metrics.regex(metric) for metric in metrics.KEYS}
    assert all(len(regex) <= 500 for regex in asked.values())

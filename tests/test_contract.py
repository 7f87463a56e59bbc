"""The compiled definition and the steps agree: arguments, aliases and hosts.

pipeline/ and steps/ never import each other, so tests compare them. Every compiled argv and every
hyperparameter must parse with the step's own parser, for the defaults and for every value that the
parameter table admits. Metrics, values, configuration and combinations are in
`test_contract_metrics`, `_values`, `_configuration` and `_combinations`.
"""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import approve, audit, register_worker
from pipeline.configuration import config, hosts, parameters
from pipeline.configuration.parameters import TABLE, Parameter, Value
from pipeline.errors import ConfigError
from pipeline.reconcile import __main__ as reconcile
from tests.compiled_steps import (
    ENVIRONMENTS,
    EXECUTION_ID,
    ROOT,
    arguments,
    defaults,
    definition,
    variables,
)


def values(parameter: Parameter) -> st.SearchStrategy[Value]:
    """Values of a parameter that the table admits: numbers up to 10⁹, rates from 1e-9."""
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


def evidence_bucket(environment: str) -> str:
    account = {"local": "0", "dev": "1", "prod": "2"}[environment] * 12
    return f"governed-finetune-{environment}-evidence-{account}-us-east-1"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_prepare_parses_its_compiled_command_line(environment: str) -> None:
    from steps.prepare.arguments import parse

    argv = arguments("Prepare", environment)
    assert all(isinstance(word, str) for word in argv)
    parsed = parse(argv)
    assert parsed.execution_arn.endswith(EXECUTION_ID)
    assert str(parsed.raw_table) == defaults(definition(environment))["RawTable"]
    evidence = f"s3://{evidence_bucket(environment)}/executions/{EXECUTION_ID}"
    assert parsed.manifest_uri == f"{evidence}/prepare/manifest.json"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_train_parses_its_compiled_hyperparameters(environment: str) -> None:
    from steps.train.arguments import parse

    hyperparameters = arguments("Train", environment)
    assert all(isinstance(value, str) for value in hyperparameters.values())
    parsed = parse(hyperparameters)
    assert parsed.max_steps == defaults(definition(environment))["MaxSteps"]
    evidence = f"s3://{evidence_bucket(environment)}/executions/{EXECUTION_ID}"
    assert parsed.train_manifest_uri("job-1") == f"{evidence}/train/job-1/manifest.json"


@settings(max_examples=200)
@given(ADMITTED)
def test_the_steps_accept_every_value_that_the_table_admits(chosen: dict[str, Value]) -> None:
    from steps.prepare.arguments import parse as parse_prepare
    from steps.train.arguments import parse as parse_train

    assert parse_prepare(arguments("Prepare", "dev", chosen)).seed == 17  # for each value of Seed
    parsed = parse_train(arguments("Train", "dev", chosen))
    assert parsed.lora_rank == chosen["LoraRank"]
    assert parsed.learning_rate == pytest.approx(chosen["LearningRate"])


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_worker_parses_its_settings(environment: str) -> None:
    from steps.register.arguments import parse

    configured = config.load(environment, environ=variables())
    parsed = parse(register_worker.arguments(configured))
    assert parsed.pipeline_name == configured.pipeline.name
    assert parsed.evidence_uri == f"s3://{evidence_bucket(environment)}/executions"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_auditor_parses_its_settings(environment: str) -> None:
    from steps.audit.arguments import parse

    configured = config.load(environment, environ=variables())
    parsed = parse([*audit.arguments(configured), "--deep"])
    assert parsed.deep
    assert parsed.evidence_uri == f"s3://{evidence_bucket(environment)}/executions"
    assert parsed.signing_public_key == configured.evidence.signing_public_key
    assert parsed.databricks_secret_id == f"governed-finetune-{environment}/databricks/auditor"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_reconciler_parses_its_settings(environment: str) -> None:
    from steps.reconcile.arguments import parse

    configured = config.load(environment, environ=variables())
    parsed = parse([*reconcile.arguments(configured), "--fix", "--grace-seconds=60"])
    assert (parsed.fix, parsed.grace_seconds, parsed.redrive) == (True, 60, False)
    assert parsed.queue_url == configured.register.queue_url
    assert parsed.databricks_secret_id == f"governed-finetune-{environment}/databricks/reconciler"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_approval_parses_its_settings(environment: str) -> None:
    from steps.approve.arguments import parse

    configured = config.load(environment, environ=variables())
    given = ["--model=edgar.models.risk_analyst@3", "--alias=champion", "--reason=-1 % is fine"]
    parsed = parse([*given, *approve.arguments(configured)])
    assert parsed.bucket_uri == f"s3://{evidence_bucket(environment)}"
    assert parsed.approval_key_arn == configured.evidence.approval_key_arn
    assert parsed.approvers_group == configured.evidence.approvers_group
    assert parsed.reason == "-1 % is fine"
    assert parsed.run_aliases == configured.limits.aliases
    assert parsed.databricks_secret_id == f"governed-finetune-{environment}/databricks/approver"


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
    """A zone that a new SDK adds fails here, so that configuration and steps get it together."""
    from databricks.sdk.environments import ALL_ENVS

    from steps.governance.unity_catalog import hosts as step_hosts

    assert (hosts.WORKSPACE, hosts.LOOPBACK) == (step_hosts.WORKSPACE, step_hosts.LOOPBACK)
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
    from steps.governance.unity_catalog.hosts import checked_host

    text = re.sub(
        r"^  host: \S+",
        f"  host: {host}",
        (config.CONF / f"{environment}.yaml").read_text(),
        flags=re.MULTILINE,
    )
    try:
        configured = config.parse(text, environment, variables()).databricks.host
    except ConfigError as error:
        configured = None
        paths = [path for path, _ in error.faults]
        assert paths == ["databricks.host"]
    try:
        step = checked_host(
            host, {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"} if environment == "local" else {}
        )
    except UsageError:
        step = None
    assert configured == step


def names(step: str) -> set[str]:
    """The names of arguments that docs/architecture.md lists for a step."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    block = text.split(f"**{step}**", 1)[1].split("```")[1]
    return set(re.findall(r"--[a-z-]+" if step != "Train" else r"[a-z][a-z0-9_]+", block))


def test_each_step_gets_exactly_the_arguments_in_the_architecture_page() -> None:
    assert set(arguments("Prepare", "dev")[::2]) == names("Prepare")
    assert set(arguments("Train", "dev")) == names("Train")
    configured = config.load("local", environ=variables())
    assert set(register_worker.arguments(configured)[::2]) == names("Register")
    assert set(audit.arguments(configured)[::2]) == names("Audit")


def test_the_workers_note_has_the_form_that_run_reads_and_the_architecture_page_shows() -> None:
    from pipeline.execution import outcome
    from steps.register.delivery import waiting

    assert outcome.REGISTER_WAITS == waiting.MARK
    end = "gives up at <time>; next attempt in <seconds> s (attempt <i> of <n>)"
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert f"`{waiting.MARK}<reason> · {end}`" in page


def test_a_worker_beats_and_renews_often_enough_for_the_reader() -> None:
    """Four beats may be late before `run --follow` reports that no worker lives."""
    from pipeline.execution.attention import UNTAKEN_SECONDS
    from steps.register.attempt import MAX_LEASE_SECONDS
    from steps.register.life.heartbeat import BEAT_SECONDS
    from steps.register.life.vital_signs import SILENT_SECONDS

    assert UNTAKEN_SECONDS == 120
    assert max(4 * BEAT_SECONDS, 3 * MAX_LEASE_SECONDS) <= UNTAKEN_SECONDS
    assert SILENT_SECONDS < UNTAKEN_SECONDS


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_worker_writes_the_heartbeat_that_the_reader_reads(environment: str) -> None:
    from pipeline import layout
    from steps.register.arguments import parse

    configured = config.load(environment, environ=variables())
    parsed = parse(register_worker.arguments(configured))
    assert parsed.heartbeat_uri == layout.heartbeat(configured)
    assert parsed.metrics == ("none" if environment == "local" else "emf")
    assert parsed.health_address is None

"""The compiled definition equals the golden one, and compiling it calls no service."""

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml

from pipeline import layout
from pipeline.configuration import config
from pipeline.deployment.validation import every_step
from pipeline.local.aws.pipelines import definition as engine
from pipeline.local.aws.pipelines import expressions
from scripts import golden

ROOT = Path(__file__).resolve().parents[2]
EXECUTION = {"Get": "Execution.PipelineExecutionId"}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every connection is refused; the list has their addresses."""
    tried: list[object] = []

    def refuse(_: object, address: object) -> NoReturn:
        tried.append(address)
        raise OSError("compiling opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    return tried


def step(tree: dict[str, Any], name: str) -> dict[str, Any]:
    return next(found for found in every_step(tree["Steps"]) if found["Name"] == name)


@pytest.fixture
def tree(compiled: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(compiled)
    return parsed


@pytest.mark.sdk
@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_the_definition_is_the_golden_one_and_compiling_it_opens_no_connection(
    environment: str, no_network: list[object]
) -> None:
    assert golden.rendered(environment) == golden.path(environment).read_text(), (
        "read the difference, then python -m scripts.golden"
    )
    assert no_network == []


@pytest.mark.sdk
def test_a_call_while_compiling_raises_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.graph import sdk

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    session = sdk.offline_session("us-east-1", "bucket")
    with pytest.raises(
        RuntimeError,
        match=r"compiling must not call AWS, but the SDK used sagemaker\.list_pipelines",
    ):
        session.sagemaker_client.list_pipelines()
    with pytest.raises(RuntimeError, match=r"the SDK used sts\.get_caller_identity"):
        session.boto_session.client("sts").get_caller_identity()
    with pytest.raises(RuntimeError, match=r"the SDK used s3\.Bucket"):
        session.boto_session.resource("s3").Bucket("bucket")


@pytest.mark.sdk
def test_two_processes_with_different_hash_seeds_print_the_same_bytes(tmp_path: Path) -> None:
    def dry_run(seed: str) -> bytes:
        # Another folder and hash seed, no credentials, no region: nothing of the machine may show.
        # Each process has another cache, so both compile.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / seed)}
        environ = kept | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)} | home
        command = [sys.executable, "-m", "pipeline.upsert", "--env", "dev", "--dry-run"]
        done = subprocess.run(
            command, env=environ, cwd=tmp_path, capture_output=True, check=True, timeout=120
        )
        assert done.stderr.decode() == "compiling the definition …\n"
        return done.stdout

    with ThreadPoolExecutor(2) as both:
        first, second = both.map(dry_run, ["1", "4242"])
    assert first == second
    assert json.loads(first)["Version"] == "2020-12-01"


@pytest.mark.sdk
def test_importing_and_compiling_leave_the_process_as_it_was(variables: dict[str, str]) -> None:
    program = """
import gc, logging, os
import jsonschema
root = logging.root
state = lambda: (
    dict(os.environ), root.level, list(root.handlers), root.manager.disable,
    gc.isenabled(), jsonschema.validate,
)
before = state()
from pipeline import definition
from pipeline.configuration import config
definition.compiled(config.load("dev"))
assert state() == before, (before, state())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.sdk
def test_no_defaults_file_of_the_user_is_read(
    configured: config.Config, compiled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline import definition

    file = tmp_path / "config.yaml"
    # Would be refused if it were read
    file.write_text('{"SchemaVersion": "1.0", "NoSuchSection": {}}')
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(file))
    assert json.loads(definition.compiled(configured)) == json.loads(compiled)


@pytest.mark.sdk
def test_no_telemetry_is_sent(configured: config.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline import definition

    sent: list[object] = []
    monkeypatch.setattr(
        "sagemaker.core.telemetry.telemetry_logging._send_telemetry_request",
        lambda *words, **_: sent.append(words),
    )
    definition.compiled(configured)
    assert sent == []


def test_the_steps_and_their_order(tree: dict[str, Any]) -> None:
    names = [(found["Name"], found["Type"]) for found in every_step(tree["Steps"])]
    assert names == [
        ("Limits", "Condition"),
        ("Prepare", "EMRServerless"),
        ("BeyondLimits", "Fail"),
        ("Train", "Training"),
        ("Gate", "Condition"),
        ("Register", "Callback"),
        ("Rejected", "Fail"),
    ]
    assert step(tree, "Train")["DependsOn"] == ["Prepare"]


def test_trains_only_channel_is_the_base_model(
    tree: dict[str, Any], configured: config.Config
) -> None:
    channels = step(tree, "Train")["Arguments"]["InputDataConfig"]
    assert [channel["ChannelName"] for channel in channels] == ["model"]
    uri = channels[0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri == layout.base_model(configured)
    assert uri.endswith(f"/{configured.train.base_model_revision}/")


def test_only_prepares_target_is_a_path_in_the_governed_bucket(
    tree: dict[str, Any],
) -> None:
    governed = "s3://governed-finetune-local-governed-000000000000-us-east-1"
    assert governed not in json.dumps(step(tree, "Train"))
    assert json.dumps(step(tree, "Prepare")).count(governed) == 1


def test_every_hyperparameter_and_argument_is_a_plain_string(tree: dict[str, Any]) -> None:
    texts = {parameter["Name"] for parameter in tree["Parameters"] if parameter["Type"] == "String"}

    def is_text(value: object) -> bool:
        if isinstance(value, dict) and "Get" in value:
            kind, _, name = value["Get"].partition(".")
            return kind == "Execution" or name in texts
        return isinstance(value, str) or list(value) == ["Std:Join"]  # type: ignore[call-overload]

    words = step(tree, "Prepare")["Arguments"]["JobConfig"]["jobDriver"]["sparkSubmit"][
        "entryPointArguments"
    ]
    hyperparameters = step(tree, "Train")["Arguments"]["HyperParameters"]
    assert [word for word in [*words, *hyperparameters.values()] if not is_text(word)] == []
    assert not any(
        isinstance(value, str) and value.startswith('"') for value in hyperparameters.values()
    )


def test_an_unconfigured_register_principal_is_unknown_to_prepare() -> None:
    from pipeline import definition

    raw = yaml.safe_load((ROOT / "conf" / "dev.yaml").read_text())
    raw["register"]["databricks_client_id"] = None
    compiled = json.loads(definition.compiled(config.parse(yaml.safe_dump(raw), "dev", {})))
    words = step(compiled, "Prepare")["Arguments"]["JobConfig"]["jobDriver"]["sparkSubmit"][
        "entryPointArguments"
    ]
    assert words[words.index("--register-principal") + 1] == "unknown"


def test_the_uris_that_an_execution_writes_contain_its_id(tree: dict[str, Any]) -> None:
    train = step(tree, "Train")["Arguments"]
    words = step(tree, "Prepare")["Arguments"]["JobConfig"]["jobDriver"]["sparkSubmit"][
        "entryPointArguments"
    ]
    manifest = words[words.index("--manifest-uri") + 1]
    assert manifest == train["HyperParameters"]["prepare_manifest_uri"], (
        "Train reads what Prepare wrote"
    )
    evidence, checkpoints = (
        train["HyperParameters"]["train_evidence_uri"],
        train["CheckpointConfig"]["S3Uri"],
    )
    for uri in (manifest, evidence, checkpoints, train["OutputDataConfig"]["S3OutputPath"]):
        assert EXECUTION in uri["Std:Join"]["Values"]


@pytest.mark.parametrize(("environment", "spot"), [("local", True), ("dev", True), ("prod", False)])
def test_spot_and_its_maximum_wait_are_set_together(environment: str, spot: bool) -> None:
    train = step(json.loads(golden.path(environment).read_text()), "Train")["Arguments"]
    assert train["EnableManagedSpotTraining"] is spot
    assert ("MaxWaitTimeInSeconds" in train["StoppingCondition"]) is spot
    assert train["CheckpointConfig"]["LocalPath"] == "/opt/ml/checkpoints"


def test_the_gate_compares_the_reported_loss_with_the_parameter(tree: dict[str, Any]) -> None:
    condition, ceiling = step(tree, "Gate")["Arguments"]["Conditions"]
    assert ceiling == condition | {"RightValue": 1000.0}  # for who starts without the first check
    assert condition == {
        "Type": "LessThanOrEqualTo",
        "LeftValue": {"Get": "Steps.Train.FinalMetricDataList['eval:loss'].Value"},
        "RightValue": {"Get": "Parameters.MaxEvalLoss"},
    }
    words = step(tree, "Rejected")["Arguments"]["ErrorMessage"]["Std:Join"]["Values"]
    assert condition["LeftValue"] in words
    assert condition["RightValue"] in words


@pytest.mark.parametrize(
    ("given", "passes"),
    [
        *((text, True) for text in ("1000", "1e3", "7.5", "1e-300")),
        *((text, False) for text in ("1000.000001", "1e300", "inf", "-inf", "nan", "0", "-1")),
    ],
)
def test_no_bound_of_the_gate_is_beyond_its_ceiling(
    compiled: str, tree: dict[str, Any], given: str, passes: bool
) -> None:
    """As the embedded SageMaker reads the parameter and evaluates the first check."""
    values = engine.parse(compiled).values({"MaxEvalLoss": given})
    conditions = step(tree, "Limits")["Arguments"]["Conditions"]
    assert expressions.all_hold(conditions, expressions.Scope(values)) is passes


def test_prepare_is_inside_the_first_check_and_nothing_runs_beside_it(compiled: str) -> None:
    steps = engine.parse(compiled).steps
    assert steps["Prepare"].branch == ("Limits", True)
    assert steps["BeyondLimits"].branch == ("Limits", False)
    assert [name for name, found in steps.items() if not found.requires] == ["Limits"]
    assert steps["Train"].requires == {"Prepare"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("ModelAlias", alias)
            for alias in ("champion", "Challenger", "challenger ", "", "CHALLENGER")
        ),
        *(("TrainInstanceType", kind) for kind in ("ml.m5.large", "ml.p6.48xlarge", "")),
        ("MaxEvalLoss", "high"),
    ],
)
def test_a_start_with_another_alias_or_instance_is_refused_by_sagemaker(
    compiled: str, name: str, value: str
) -> None:
    with pytest.raises(engine.DefinitionError, match=f"pipeline parameter {name}"):
        engine.parse(compiled).values({name: value})


def test_registers_message_has_no_arguments(
    tree: dict[str, Any], configured: config.Config
) -> None:
    register = step(tree, "Register")
    assert register["Arguments"] == {}
    assert register["SqsQueueUrl"] == configured.register.queue_url
    assert [output["OutputName"] for output in register["OutputParameters"]] == [
        "model_version",
        "model_uri",
        "record_uri",
        "report_url",
        "model_url",
        "run_url",
    ]


def test_only_faults_of_the_service_are_retried(tree: dict[str, Any]) -> None:
    kinds = {
        kind
        for name in ("Prepare", "Train")
        for policy in step(tree, name)["RetryPolicies"]
        for kind in policy["ExceptionType"]
    }
    assert kinds == {
        "Step.SERVICE_FAULT",
        "Step.THROTTLING",
        "SageMaker.RESOURCE_LIMIT",
        "SageMaker.JOB_INTERNAL_ERROR",
        "SageMaker.CAPACITY_ERROR",
    }


def test_the_uri_of_a_known_execution_contains_its_id(configured: config.Config) -> None:
    uri = layout.of_execution(layout.prepare_manifest(configured), "abc")
    assert (
        uri == "s3://governed-finetune-local-evidence-000000000000-us-east-1/executions/abc/prepare"
        "/manifest.json"
    )

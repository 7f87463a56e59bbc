"""conf/*.yaml are complete and have the same keys; one message reports every fault of a file."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from pipeline.configuration import config, hosts
from pipeline.configuration.sections.account import Principal
from pipeline.errors import ConfigError, UsageError

CONF = Path(__file__).resolve().parents[3] / "conf"
WORKSPACE = "The workspace whose Unity Catalog governs the data, and how its principals sign in"
QUOTES = "expected 12 digits in quotes, got 111111111111"
Change = Callable[[dict[str, Any]], object]
BUCKET = "governed-finetune-dev-governed-111111111111-us-east-1"


def faults(
    change: Change, variables: dict[str, str], environment: str = "dev"
) -> list[tuple[str, str]]:
    """The faults of a file after `change` is made to it."""
    raw = yaml.safe_load((CONF / f"{environment}.yaml").read_text())
    change(raw)
    with pytest.raises(ConfigError) as caught:
        config.parse(yaml.safe_dump(raw), environment, variables)
    return list(caught.value.faults)


def test_the_three_files_have_the_same_keys() -> None:
    def keys(node: object, path: str = "") -> set[str]:
        if not isinstance(node, dict):
            return {path}
        return set().union(*(keys(value, f"{path}.{key}") for key, value in node.items()))

    local, dev, prod = (
        keys(yaml.safe_load((CONF / f"{name}.yaml").read_text()))
        for name in ("local", "dev", "prod")
    )
    assert dev == prod
    # In `local` an image has a derived tag, the queue a port, and each principal a known id.
    assert dev - local == {".prepare.image", ".train.image", ".register.image"}
    ids = {f".databricks.client_ids.{name}" for name in get_args(Principal)}
    assert local - dev == {".register.queue_url", *ids}
    assert len(dev) > 40


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_each_file_loads_and_names_its_own_resources(
    environment: str, variables: dict[str, str]
) -> None:
    loaded = config.load(environment, environ=variables)
    prefix = f"governed-finetune-{environment}"
    assert (loaded.environment, loaded.pipeline.name) == (environment, prefix)
    assert loaded.storage.evidence_bucket.startswith(f"{prefix}-evidence-")
    assert loaded.train.databricks_secret_id == f"governed-finetune-{environment}/databricks/train"


def test_a_configuration_cannot_be_changed(configured: config.Config) -> None:
    with pytest.raises(FrozenInstanceError):
        configured.train.volume_gib = 1  # type: ignore[misc]


def test_every_fault_of_a_file_is_in_one_message(variables: dict[str, str]) -> None:
    def spoil(raw: dict[str, Any]) -> None:
        raw["train"]["max_runtime_second"] = raw["train"].pop("max_runtime_seconds")
        raw["train"]["image"] = "111111111111.dkr.ecr.us-east-1.amazonaws.com/train:latest"
        raw["parameters"]["MaxEvalLoss"] = -1
        raw["prepare"]["timeout_minutes"] = "120"

    raw = yaml.safe_load((CONF / "dev.yaml").read_text())
    spoil(raw)
    with pytest.raises(ConfigError) as caught:
        config.parse(yaml.safe_dump(raw), "dev", variables)
    assert str(caught.value) == (
        "conf/dev.yaml has 4 faults\n"
        "  prepare.timeout_minutes   expected whole minutes, 5 … 2880, got '120'\n"
        "  train.image               has a tag "
        "('111111111111.dkr.ecr.us-east-1.amazonaws.com/train:latest'); "
        "give a digest ('@sha256:<64 hex>'), so that the record names what ran\n"
        "  train.max_runtime_second  unknown key; did you mean 'max_runtime_seconds'?\n"
        "  parameters.MaxEvalLoss    expected ≥ 1e-06 and ≤ 1000000000, got -1"
    )


def given(section: str, **values: object) -> Change:
    """Set values of one section."""
    return lambda raw: raw[section].update(values)


SPARK_SECRET = {"spark.sql.catalog.x.auth.oauth.clientSecret": "dose1234"}
AT_LEAST = "expected at least train.max_runtime_seconds (14400) with use_spot"


@pytest.mark.parametrize(
    ("change", "path", "text"),
    [
        (lambda raw: raw.update(trian={}), "trian", "unknown key; did you mean 'train'?"),
        (lambda raw: raw.update(storage={"zzz": 1}), "storage.zzz", "unknown key; remove it"),
        (
            lambda raw: raw["aws"].pop("region"),
            "aws.region",
            "missing; expected an AWS region such as 'us-east-1'",
        ),
        (
            lambda raw: raw.pop("databricks"),
            "databricks",
            f"missing section: {WORKSPACE}",
        ),
        (given("aws", account_id=111111111111), "aws.account_id", QUOTES),
        (
            given("train", base_model_revision="main"),
            "train.base_model_revision",
            "expected the 40 hex digits of a commit, never a branch or tag, got 'main'",
        ),
        (
            given("prepare", role_arn="arn:aws:iam::999999999999:role/x"),
            "prepare.role_arn",
            "expected a role of account 111111111111 (aws.account_id), got 999999999999",
        ),
        (
            given("prepare", curated_root="s3://elsewhere/curated"),
            "prepare.curated_root",
            f"expected a prefix of the governed bucket (s3://{BUCKET}/…)",
        ),
        (
            given("prepare", delta_engine="jvm"),
            "prepare.delta_engine",
            "expected delta-rs or unity-connector, got 'jvm'",
        ),
        (
            lambda raw: raw["prepare"]["spark"].update(SPARK_SECRET),
            "prepare.spark",
            (
                f"{next(iter(SPARK_SECRET))!r} would be readable in the definition; "
                "the job reads its secret from Secrets Manager"
            ),
        ),
        (
            given("train", subnet_ids=["subnet-0123456789abcdef0"]),
            "train.subnet_ids",
            "expected subnets and security groups together, or neither",
        ),
        (
            given("register", queue_url="http://127.0.0.1:4566/000000000000/q"),
            "register.queue_url",
            (
                "expected the URL of an SQS queue "
                "(https://sqs.<region>.amazonaws.com/<account>/<name>), "
                "got 'http://127.0.0.1:4566/000000000000/q'"
            ),
        ),
        (
            given("train", use_spot=False, max_wait_seconds=43200),
            "train.max_wait_seconds",
            "expected null without train.use_spot, got 43200",
        ),
        (
            given("train", use_spot=True, max_wait_seconds=14399),
            "train.max_wait_seconds",
            f"{AT_LEAST}, got 14399",
        ),
        (
            given("train", use_spot=True, max_wait_seconds=None),
            "train.max_wait_seconds",
            f"{AT_LEAST}, got null",
        ),
        (
            given("register", databricks_client_id="register"),
            "register.databricks_client_id",
            (
                "expected the application id (a UUID) of the register principal, or null, "
                "got 'register'"
            ),
        ),
        (given("train", use_spot="yes"), "train.use_spot", "expected true or false, got 'yes'"),
        (
            given("train", sharding="fsdp2"),
            "train.sharding",
            "expected auto, ddp or fsdp, got 'fsdp2'",
        ),
        (
            given("train", mlflow_experiment="/Shared/../x"),
            "train.mlflow_experiment",
            (
                "expected the workspace path of an experiment (/Shared/…), or null, "
                "got '/Shared/../x'"
            ),
        ),
        (
            given("parameters", Fp8Mode="native", TrainInstanceType="ml.p4d.24xlarge"),
            "parameters.Fp8Mode",
            (
                "native needs FP8 arithmetic (g6 g6e p5 p5e p5en p6-b200 p6-b300), which "
                "ml.p4d.24xlarge lacks (A100, compute capability 8.0); auto takes the best"
            ),
        ),
        (
            given("parameters", Epoch=1),
            "parameters.Epoch",
            "unknown parameter; did you mean 'Epochs'?",
        ),
    ],
)
def test_a_fault_has_what_was_expected_and_got(
    change: Change, path: str, text: str, variables: dict[str, str]
) -> None:
    assert faults(change, variables) == [(path, text)]


@pytest.mark.parametrize(
    "host",
    [
        "http://dbc-00000000-0000.cloud.databricks.com",  # the secret would travel in the clear
        "https://dbc-00000000-0000.cloud.databricks.com.evil.example",
        "https://evil.example/dbc.cloud.databricks.com",
        "https://svc:dapi0123@dbc-00000000-0000.cloud.databricks.com",
        "https://dbc-00000000-0000.cloud.databricks.com/?o=1",
        "http://127.0.0.1:8443",  # the loopback is for local only
        "https://dbc-00000000-0000.cloud.databricks.com\n",
    ],
)
def test_a_host_outside_the_allow_list_is_refused(host: str, variables: dict[str, str]) -> None:
    zones = " ".join((*hosts.AWS_ZONES, *hosts.NUMBERED_ZONES))
    got = host.replace("svc:dapi0123", "…")
    wanted = f"expected https://<workspace> of {zones}, without path or port, got {got!r}"
    assert faults(lambda raw: raw["databricks"].update(host=host), variables) == [
        ("databricks.host", wanted)
    ]


def test_a_missing_variable_of_the_local_environment_names_the_command_that_sets_it(
    variables: dict[str, str],
) -> None:
    del variables["DATABRICKS_HOST"]
    assert faults(lambda raw: None, variables, "local") == [
        (
            "databricks.host",
            (
                "${DATABRICKS_HOST} is not set in the environment; "
                'start the embedded environment and run: eval "$(python -m pipeline.local env)"'
            ),
        )
    ]


def test_a_missing_variable_elsewhere_names_the_export(variables: dict[str, str]) -> None:
    found = faults(lambda raw: raw["train"].update(image="${TRAIN_IMAGE}"), variables)
    assert found == [
        ("train.image", "${TRAIN_IMAGE} is not set in the environment; export TRAIN_IMAGE=…")
    ]


def test_only_the_local_environment_may_speak_http_to_the_loopback(
    variables: dict[str, str],
) -> None:
    assert config.load("local", environ=variables).databricks.host == "http://127.0.0.1:8443"
    host = "http://192.168.0.1:8443"
    zones = " ".join((*hosts.AWS_ZONES, *hosts.NUMBERED_ZONES))
    text = f"expected https://<workspace> of {zones}, without path or port, or http on the loopback"
    assert faults(lambda raw: None, variables | {"DATABRICKS_HOST": host}, "local") == [
        ("databricks.host", f"{text}, got {host!r}")
    ]


def test_a_key_that_is_there_twice_is_refused(variables: dict[str, str]) -> None:
    text = (CONF / "dev.yaml").read_text() + "\naws:\n  region: eu-west-1\n"
    with pytest.raises(ConfigError, match="key 'aws' is there twice"):
        config.parse(text, "dev", variables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("- 1", "expected a mapping of sections, got list"), ("a: [", "is not YAML")],
)
def test_a_file_that_is_not_a_mapping_is_refused(
    text: str, expected: str, variables: dict[str, str]
) -> None:
    with pytest.raises(ConfigError, match=expected):
        config.parse(text, "dev", variables)


@pytest.mark.parametrize("name", ["../conf/dev", "dve", "local.yaml", ""])
def test_an_environment_is_a_file_in_conf_and_nothing_else(name: str) -> None:
    with pytest.raises(UsageError, match=r"no environment .* in conf/"):
        config.load(name)


def test_a_file_that_is_not_utf8_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "dev.yaml").write_bytes(b"aws: \xff")
    with pytest.raises(
        ConfigError,
        match=r"conf/dev.yaml has 1 fault\n  \(file\)  expected readable UTF-8 text, got",
    ):
        config.load("dev", conf=tmp_path)


def test_a_scalar_where_a_section_belongs_is_one_fault(variables: dict[str, str]) -> None:
    [(path, text)] = faults(lambda raw: raw.update(train="yes"), variables)
    assert (path, text) == ("train", "expected The SageMaker training job, got 'yes'")


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("pipeline", "name", "a" * 249, "letters, digits and hyphens, 248 at most"),
        ("pipeline", "name", f"a{'-' * 300}b", "letters, digits and hyphens, 248 at most"),
        ("storage", "artifact_bucket", "models..artifacts", "the name of an S3 bucket"),
        ("storage", "artifact_bucket", "models-", "the name of an S3 bucket"),
        ("prepare", "curated_root", f"s3://{BUCKET}/..", "s3://bucket/prefix without a final /"),
        ("train", "databricks_secret_id", "/databricks/train", "the name or ARN of a secret"),
        ("register", "databricks_secret_id", "s" * 501, "the name or ARN of a secret"),
        ("train", "base_model", "m" * 97, "a model's name or owner/name, 96 characters each"),
        (
            "train",
            "subnet_ids",
            ["subnet-0123456789abcdef0"] * 17,
            "a list of subnet ids, 16 at most",
        ),
        ("aws", "account_id", "١" * 12, "12 digits in quotes"),
        ("pipeline", "tags", {"aws:project": "x"}, "no key of AWS's own (aws:…)"),
        (
            "pipeline",
            "tags",
            {"git-commit": "x"},
            "none of config-sha256 definition-sha256 git-commit image",
        ),
        ("pipeline", "tags", {f"key{number}": "x" for number in range(37)}, "at most 36 tags"),
    ],
)
def test_what_a_service_or_a_step_would_refuse_is_refused(
    section: str, key: str, value: object, expected: str, variables: dict[str, str]
) -> None:
    found = faults(lambda raw: raw.setdefault(section, {}).update({key: value}), variables)
    assert [text for path, text in found if path == f"{section}.{key}" and expected in text]


def test_logging_may_be_left_out_and_other_words_are_refused(variables: dict[str, str]) -> None:
    raw = yaml.safe_load((CONF / "dev.yaml").read_text())
    del raw["logging"]
    left_out = config.parse(yaml.safe_dump(raw), "dev", variables)
    assert left_out.logging.variables == {"GOVERNED_FINETUNE_LOGGING": "text:INFO"}
    assert config.load("dev", environ=variables).logging.format == "json"
    found = faults(lambda raw: raw.update(logging={"format": "xml", "level": "TRACE"}), variables)
    assert sorted(path for path, _ in found) == ["logging.format", "logging.level"]
    assert "text or json" in dict(found)["logging.format"]

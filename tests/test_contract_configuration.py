"""A step takes every value that the configuration takes for it."""

from typing import Any

import pytest
import yaml

from pipeline import register_worker
from pipeline.configuration import config
from pipeline.errors import ConfigError
from steps.governance.errors import GovernanceError
from tests.compiled_steps import arguments

SECRETS = [
    "p/databricks/x",
    "/p",
    "-p",
    "p q",
    "",
    "s" * 500,
    "s" * 501,
    "arn:aws:secretsmanager:us-east-1:1:secret:x",
    "p!",
    "p:q",
    "federated:0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f",
    "federated:0A1B2C3D-0a1b-2c3d-4e5f-0a1b2c3d4e5f",
    "federated:prepare",
    "federated:",
    "Federated:0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f",
]
# Configuration keys that a step gets as text: its arguments, and values to try.
CONFIGURED: dict[str, tuple[list[tuple[str, str]], list[Any]]] = {
    "aws.region": (
        [("Prepare", "--region"), ("Train", "region"), ("Register", "--region")],
        [
            "us-east-1",
            "us-gov-west-1",
            "mars",
            "us-east-١",
            "US-EAST-1",
            "us-east-11",
            "us-east-1\n",
        ],
    ),
    "prepare.databricks_secret_id": ([("Prepare", "--databricks-secret-id")], SECRETS),
    "train.databricks_secret_id": ([("Train", "databricks_secret_id")], SECRETS),
    "register.databricks_secret_id": ([("Register", "--databricks-secret-id")], SECRETS),
    "prepare.curated_root": (
        [("Prepare", "--curated-root")],
        [
            f"s3://governed-finetune-dev-governed-111111111111-us-east-1{end}"
            for end in ("/c", "", "/", "/c/", "//c", "/../c", "/a/../c", "/c d", "/.c")
        ],
    ),
    "prepare.eval_fraction": (
        [("Prepare", "--eval-fraction")],
        [0.001, 0.0011, 0.5, 0.0009, 0.51, 0.1234567890123456, 1e-5],
    ),
    "prepare.delta_engine": (
        [("Prepare", "--delta-engine")],
        ["delta-rs", "unity-connector", "spark"],
    ),
    "train.base_model": (
        [("Train", "base_model")],
        [
            "m",
            "o/m",
            "o/m/x",
            "m" * 96,
            "m" * 97,
            f"{'o' * 96}/m",
            f"{'o' * 97}/m",
            "-m",
            "m/",
            "m m",
            "../m",
        ],
    ),
    "train.base_model_revision": (
        [("Train", "base_model_revision")],
        ["a" * 40, "a" * 39, "main", "A" * 40],
    ),
    "train.sharding": ([("Train", "sharding")], ["auto", "ddp", "fsdp", "zero3"]),
    "train.mlflow_experiment": (
        [("Train", "mlflow_experiment")],
        [
            "/Shared/x",
            "/x",
            "x",
            "/a/../b",
            "/Shared/x\n",
            f"/Shared/{'x' * 100}",
            f"/Shared/{'x' * 101}",
            "/a" * 8,
            "/a" * 9,
        ],
    ),
    "pipeline.name": (
        [("Register", "--pipeline-name")],
        ["p", "p-1", "p--1", "-p", "p-", "p_1", "p" * 248, "p" * 257],
    ),
    "register.queue_url": (
        [("Register", "--queue-url")],
        [
            f"https://sqs.us-east-1.amazonaws.com/111111111111/{name}"
            for name in ("q", "q.fifo", "q q", "")
        ],
    ),
}


@pytest.mark.parametrize("key", CONFIGURED)
def test_a_step_takes_every_value_that_the_configuration_takes(key: str) -> None:
    taken, (places, values) = [], CONFIGURED[key]
    section, name = key.split(".")
    for value in values:
        raw = yaml.safe_load((config.CONF / "dev.yaml").read_text())
        raw[section][name] = value
        try:
            configured = config.parse(yaml.safe_dump(raw, allow_unicode=True), "dev", {})
        except ConfigError:
            continue
        taken.append(value)
        for step, argument in places:
            assert step_reads(configured, step, argument, str(value)), (step, value)
    assert 0 < len(taken) < len(values)


def step_reads(configured: config.Config, step: str, argument: str, text: str) -> bool:
    """Return whether a step's parser takes the text of one key, with defaults for the others."""
    from steps.prepare.arguments import parse as parse_prepare
    from steps.register.arguments import parse as parse_register
    from steps.train.arguments import parse as parse_train

    try:
        if step == "Register":
            return text in vars(parse_register(register_worker.arguments(configured))).values()
        words = arguments(step, "dev")
        if step == "Train":
            return parse_train(words | {argument: text}) is not None
        words[words.index(argument) + 1] = text
        return parse_prepare(words) is not None
    except GovernanceError:
        return False

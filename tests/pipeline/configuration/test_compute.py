"""What the jobs may use: vCPUs within a new account's quota, and no key that SageMaker refuses."""

import json
from typing import Any

import pytest
import yaml

from pipeline import definition as pipeline_definition
from pipeline.configuration import config
from pipeline.configuration.file import CONF
from pipeline.errors import ConfigError
from tests.compiled_steps import definition, variables

NEW_ACCOUNT_VCPUS = 16  # EMR Serverless, all runs of an account and region at once


def faults(environment: str, section: str, **changes: Any) -> dict[str, str]:
    raw = yaml.safe_load((CONF / f"{environment}.yaml").read_text())
    raw[section] |= changes
    with pytest.raises(ConfigError) as caught:
        config.parse(yaml.safe_dump(raw), environment, variables())
    return dict(caught.value.faults)


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_each_environment_runs_within_the_quota_of_a_new_account(environment: str) -> None:
    prepare = config.load(environment, environ=variables()).prepare
    assert prepare.max_vcpus == NEW_ACCOUNT_VCPUS
    executors, cores = (
        int(prepare.spark[f"spark.executor.{key}"]) for key in ("instances", "cores")
    )
    assert 4 + executors * cores <= NEW_ACCOUNT_VCPUS


@pytest.mark.parametrize(
    ("spark", "most", "got"),
    [
        ({"spark.executor.instances": "4", "spark.executor.cores": "4"}, 16, "4 + 4 × 4 = 20"),
        ({"spark.driver.cores": "16"}, 16, "16 + 3 × 4 = 28"),
        ({}, 15, "4 + 3 × 4 = 16"),
    ],
)
def test_a_run_that_needs_more_than_the_application_has_is_refused(
    spark: dict[str, str], most: int, got: str
) -> None:
    found = faults("dev", "prepare", spark=spark, max_vcpus=most)
    assert found["prepare.spark"].endswith(f"driver and executors, got {got}")


def test_a_larger_quota_lets_a_larger_run_through() -> None:
    raw = yaml.safe_load((CONF / "dev.yaml").read_text())
    raw["prepare"] |= {"spark": {"spark.executor.instances": "8"}, "max_vcpus": 36}
    assert config.parse(yaml.safe_dump(raw), "dev", variables()).prepare.max_vcpus == 36


def test_sparks_own_delta_is_refused_without_the_catalogs_that_it_needs() -> None:
    found = faults("dev", "prepare", delta_engine="unity-connector")
    assert found["prepare.spark"].startswith("expected spark.sql.catalog.edgar_dev with ")
    raw = yaml.safe_load((CONF / "dev.yaml").read_text())
    raw["prepare"]["delta_engine"] = "unity-connector"
    raw["prepare"]["spark"]["spark.sql.catalog.edgar_dev"] = "io.unitycatalog.spark.UCSingleCatalog"
    assert config.parse(yaml.safe_dump(raw), "dev", variables()).prepare.spark


@pytest.mark.parametrize(("retries", "sent"), [(True, True), (False, False)])
def test_retries_of_prepare_can_be_switched_off_where_the_service_refuses_them(
    retries: bool, sent: bool
) -> None:
    """AWS's page of the steps with retry policies does not name EMR Serverless."""
    raw = yaml.safe_load((CONF / "dev.yaml").read_text())
    raw["prepare"]["retries"] = retries
    configured = config.parse(yaml.safe_dump(raw), "dev", variables())
    text = pipeline_definition.compiled(configured)
    prepare, train = (part_of(json.loads(text), name) for name in ("Prepare", "Train"))
    assert ("RetryPolicies" in prepare) is sent
    assert "RetryPolicies" in train


def part_of(node: Any, name: str) -> dict[str, Any]:
    """Return the step of that name, which may be inside another."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    if isinstance(node, dict) and node.get("Name") == name:
        return node
    return next((found for each in inner if (found := part_of(each, name))), {})


def test_a_key_for_volumes_is_not_configured_because_every_listed_type_refuses_it() -> None:
    """Volumes of types with local NVMe are encrypted by the instance; SageMaker refuses a key."""
    assert "train.kms_key_arn" in faults("dev", "train", kms_key_arn=None)
    assert "KmsKeyId" not in str(definition("dev"))

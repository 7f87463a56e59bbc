"""Quotas, and secrets that end soon: answers in the shapes of the services."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from pipeline.configuration import config as configuration
from pipeline.doctor import objects, quotas
from pipeline.doctor.check import MISSING, OK, UNKNOWN

NOW = datetime(2026, 11, 29, tzinfo=UTC)
SPARK, SPOT = "Max concurrent vCPUs per account", "ml.g5.16xlarge for spot training job usage"


def service_quotas(spark: float, spot: float, *, named: str = SPOT) -> Any:
    client = boto3.client("service-quotas", region_name="us-east-1")
    stubbed = Stubber(client)
    for service, name, value in (("emr-serverless", SPARK, spark), ("sagemaker", named, spot)):
        other = {"QuotaName": "another", "QuotaCode": "L-0", "Value": 0.0}
        first = {"Quotas": [other], "NextToken": "more"}
        found = {"QuotaName": name, "QuotaCode": "L-1", "Value": value}
        stubbed.add_response("list_service_quotas", first, {"ServiceCode": service})
        more = {"ServiceCode": service, "NextToken": "more"}
        stubbed.add_response("list_service_quotas", {"Quotas": [found]}, more)
    stubbed.activate()
    return client


@pytest.mark.parametrize(
    ("spark", "spot", "states"),
    [
        (16.0, 1.0, [OK, OK]),
        (15.0, 1.0, [MISSING, OK]),
        (16.0, 0.0, [OK, MISSING]),
    ],
)
def test_a_quota_below_what_conf_asks_for_is_missing(
    spark: float, spot: float, states: list[str]
) -> None:
    found = list(quotas.checked(configuration.load("dev"), service_quotas(spark, spot)))
    assert [each.state for each in found] == states
    for each in found:
        if each.state == MISSING:
            assert "--quota-code L-1" in each.fix


def test_a_quota_that_is_not_listed_is_unknown() -> None:
    client = service_quotas(16, 1, named="ml.p5.48xlarge for spot training job usage")
    _, found = quotas.checked(configuration.load("dev"), client)
    assert (found.state, found.name) == (UNKNOWN, f"quota of sagemaker: {SPOT}")


def test_on_demand_instances_have_a_quota_of_their_own() -> None:
    dev = configuration.load("dev")
    on_demand = replace(dev, train=replace(dev.train, use_spot=False))
    client = service_quotas(16, 1, named="ml.g5.16xlarge for training job usage")
    assert [each.state for each in quotas.checked(on_demand, client)] == [OK, OK]


class Admin:
    """A workspace with one principal and its secrets, as the SDK's classes show them."""

    def __init__(self, *days: int) -> None:
        principal = SimpleNamespace(
            id="7", application_id="a", display_name="governed-finetune-dev-train"
        )
        self.service_principals = SimpleNamespace(list=lambda: [principal])
        ends = [(NOW + timedelta(days=each)).isoformat() for each in days]
        kept = [SimpleNamespace(expire_time=each) for each in ends]
        self.service_principal_secrets_proxy = SimpleNamespace(list=lambda number: kept)


@pytest.mark.parametrize(
    ("days", "wrong"),
    [
        ((31,), []),
        ((1, 31), []),
        ((29,), ["the newest lasts"]),
        ((-3,), ["the newest lasts"]),
        ((90,) * 5, ["there is room for another"]),
    ],
)
def test_a_secret_that_ends_soon_or_the_fifth_is_named(
    days: tuple[int, ...], wrong: list[str]
) -> None:
    found = list(objects._secrets(configuration.load("dev"), Admin(*days), NOW))
    named = [each for each in found if each.state == MISSING]
    assert [each.name.partition(": ")[2] for each in named] == wrong
    assert all("pipeline.rotate --env dev --principal train" in each.fix for each in named)

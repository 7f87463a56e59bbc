"""What AWS lets an account use at once, against what conf asks for. New accounts have little.

    for check in quotas.checked(config, client("service-quotas")): ...

A quota is found by its name, which AWS may change [unverified in an account]: one that is not
listed is "unknown". The embedded environment has no quotas.
"""

from collections.abc import Iterator
from typing import Any

from pipeline.configuration.config import Config
from pipeline.configuration.fields import LOCAL
from pipeline.configuration.parameters import DEFAULTS
from pipeline.doctor.check import UNKNOWN, Check

_SPARK = "Max concurrent vCPUs per account"


def checked(config: Config, client: Any) -> Iterator[Check]:
    """Yield a check for Prepare's processors and one for Train's instances."""
    if config.environment == LOCAL:
        return
    yield _enough(client, "emr-serverless", _SPARK, config.prepare.max_vcpus)
    instance = str(config.parameters.get("TrainInstanceType", DEFAULTS["TrainInstanceType"]))
    kind = "spot training job usage" if config.train.use_spot else "training job usage"
    yield _enough(client, "sagemaker", f"{instance} for {kind}", config.train.instance_count)


def _enough(client: Any, service: str, name: str, wanted: int) -> Check:
    title = f"quota of {service}: {name}"
    found = _named(client, service, name)
    page = f"Service Quotas > {service} > {name}"
    if found is None:
        return Check(title, UNKNOWN, f"at least {wanted}", "no quota of this name", page)
    value = float(found["Value"])
    ask = (
        f"aws service-quotas request-service-quota-increase --service-code {service} "
        f"--quota-code {found['QuotaCode']} --desired-value {wanted}"
    )
    return Check.of(title, value >= wanted, expected=f"{wanted}", found=f"{value:g}", fix=ask)


def _named(client: Any, service: str, name: str) -> Any:
    pages = client.get_paginator("list_service_quotas").paginate(ServiceCode=service)
    every = (each for page in pages for each in page["Quotas"])
    return next((each for each in every if each["QuotaName"] == name), None)

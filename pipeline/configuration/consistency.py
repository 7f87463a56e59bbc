"""What no value of a configuration shows alone: faults between the keys of one file.

    list(consistency.faults(raw))     # [("train.max_wait_seconds", "expected null without use_spot, got 7200")]

Written for trees that may have other faults: all of a file's faults are told at once.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.configuration.combinations import Cluster
from pipeline.configuration.messages import Fault
from pipeline.parameters import faults_in_defaults


def faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Every fault between the keys of a file."""
    yield from _accounts(raw)
    bucket, curated = _at(raw, "storage.governed_bucket"), _at(raw, "prepare.curated_root")
    if (
        isinstance(bucket, str)
        and isinstance(curated, str)
        and not curated.startswith(f"s3://{bucket}/")
    ):
        yield "prepare.curated_root", f"expected a prefix of the governed bucket (s3://{bucket}/…)"
    if bool(_at(raw, "train.subnet_ids")) != bool(_at(raw, "train.security_group_ids")):
        yield "train.subnet_ids", "expected subnets and security groups together, or neither"
    yield from _spot(raw)
    if isinstance(defaults := raw.get("parameters"), dict):
        yield from (
            (f"parameters.{name}", text)
            for name, text in faults_in_defaults(defaults, _cluster(raw))
        )


def _cluster(raw: Mapping[str, Any]) -> Cluster:
    sharding, hosts = _at(raw, "train.sharding"), _at(raw, "train.instance_count")
    return Cluster(str(sharding), hosts if isinstance(hosts, int) else 1)


def _accounts(raw: Mapping[str, Any]) -> Iterator[Fault]:
    account = _at(raw, "aws.account_id")
    for section in ("pipeline", "prepare", "train", "register"):
        parts = str(_at(raw, f"{section}.role_arn")).split(":")
        if isinstance(account, str) and len(parts) == 6 and parts[4] != account:
            yield (
                f"{section}.role_arn",
                f"expected a role of account {account} (aws.account_id), got {parts[4]}",
            )


def _spot(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Waiting is part of spot and of nothing else, and it includes the running (botocore: StoppingCondition)."""
    wait, runtime, spot = (
        _at(raw, f"train.{key}") for key in ("max_wait_seconds", "max_runtime_seconds", "use_spot")
    )
    if spot is False and wait is not None:
        yield "train.max_wait_seconds", f"expected null without train.use_spot, got {wait!r}"
    if spot is not True or not isinstance(runtime, int):
        return
    if wait is None or (isinstance(wait, int) and wait < runtime):
        got = "null" if wait is None else wait
        yield (
            "train.max_wait_seconds",
            f"expected at least train.max_runtime_seconds ({runtime}) with use_spot, got {got}",
        )


def _at(raw: Mapping[str, Any], path: str) -> Any:
    section, key = path.split(".")
    inner = raw.get(section)
    return inner.get(key) if isinstance(inner, dict) else None

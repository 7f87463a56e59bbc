"""Faults between the keys of one configuration file.

    list(consistency.faults(document))
    # [("train.max_wait_seconds", "expected null without use_spot, got 7200")]

The document may have other faults too, because one message reports all faults of a file.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from pipeline.configuration import spark_workers
from pipeline.configuration.combinations import Cluster
from pipeline.configuration.fields import PLACEHOLDER_KEY
from pipeline.configuration.messages import Fault
from pipeline.configuration.parameters import DEFAULTS, faults_in_defaults
from pipeline.configuration.sections import limits, openlineage
from pipeline.configuration.sections.account import Principal
from pipeline.configuration.sections.prepare import MAX_VCPUS

_MOST_IMAGE = 255  # characters


def faults(document: Mapping[str, Any], *, ids_known: bool = True) -> Iterator[Fault]:
    """Yield every fault between the keys of a file whose derived values are filled in.

    Unless the ids are known, a federated principal needs no application id.
    """
    yield from _accounts(document)
    yield from _keys(document)
    bucket, curated = (
        _at(document, "storage.governed_bucket"),
        _at(document, "prepare.curated_root"),
    )
    if (
        isinstance(bucket, str)
        and isinstance(curated, str)
        and not curated.startswith(f"s3://{bucket}/")
    ):
        yield "prepare.curated_root", f"expected a prefix of the governed bucket (s3://{bucket}/…)"
    if bool(_at(document, "train.subnet_ids")) != bool(_at(document, "train.security_group_ids")):
        yield "train.subnet_ids", "expected subnets and security groups together, or neither"
    if ids_known:
        yield from _identities(document)
    yield from _vcpus(document)
    yield from _connector(document)
    yield from _spot(document)
    yield from _packages(document)
    yield from openlineage.faults(document)
    if isinstance(defaults := document.get("parameters"), dict):
        yield from (
            (f"parameters.{name}", text)
            for name, text in faults_in_defaults(defaults, _cluster(document))
        )
    yield from _beyond_limits(document)


def _beyond_limits(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Faults of defaults beyond a ceiling, if each ceiling itself is valid."""
    try:
        ceilings = TypeAdapter(limits.Limits).validate_json(json.dumps(document.get("limits")))
    except (ValidationError, TypeError):
        return  # reported with the section's own values
    defaults = document.get("parameters")
    values = {**DEFAULTS, **(defaults if isinstance(defaults, dict) else {})}
    for name, text in limits.faults(values, ceilings):
        yield f"parameters.{name}", text
    runtime = _at(document, "train.max_runtime_seconds")
    if isinstance(runtime, int) and runtime > ceilings.max_runtime_seconds:
        most = f"at most {ceilings.max_runtime_seconds} (limits.max_runtime_seconds)"
        yield "train.max_runtime_seconds", f"expected {most}, got {runtime}"


def _cluster(document: Mapping[str, Any]) -> Cluster:
    sharding, hosts = _at(document, "train.sharding"), _at(document, "train.instance_count")
    return Cluster(str(sharding), hosts if isinstance(hosts, int) else 1)


def _accounts(document: Mapping[str, Any]) -> Iterator[Fault]:
    account = _at(document, "aws.account_id")
    for section in ("pipeline", "prepare", "train", "register"):
        parts = str(_at(document, f"{section}.role_arn")).split(":")
        if isinstance(account, str) and len(parts) == 6 and parts[4] != account:
            yield (
                f"{section}.role_arn",
                f"expected a role of account {account} (aws.account_id), got {parts[4]}",
            )


def _keys(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Faults of the signing keys: of another account or region, or one key for both purposes."""
    place = (_at(document, "aws.region"), _at(document, "aws.account_id"))
    for key in ("signing_key_arn", "approval_key_arn"):
        parts = str(_at(document, f"evidence.{key}")).split(":")
        if all(isinstance(part, str) for part in place) and len(parts) == 6:
            got = (parts[3], parts[4])
            if got != place:
                yield (
                    f"evidence.{key}",
                    (
                        f"expected a key in {':'.join(place)} (aws.region, aws.account_id), "
                        f"got {':'.join(got)}"
                    ),
                )
    for first, second in (
        ("signing_key_arn", "approval_key_arn"),
        ("signing_public_key", "approval_public_key"),
    ):
        value = _at(document, f"evidence.{second}")
        if value == _at(document, f"evidence.{first}") and value not in (None, PLACEHOLDER_KEY):
            yield (
                f"evidence.{second}",
                f"expected another key than evidence.{first}: who registers must not approve",
            )


def _identities(document: Mapping[str, Any]) -> Iterator[Fault]:
    """A fault for each principal whose application id a federated workspace needs."""
    if _at(document, "databricks.identity") != "federated":
        return
    known = _at(document, "databricks.client_ids")
    for principal in get_args(Principal):
        if not isinstance(known, dict) or principal not in known:
            yield (
                f"databricks.client_ids.{principal}",
                "expected its application id, since databricks.identity is federated",
            )


def _vcpus(document: Mapping[str, Any]) -> Iterator[Fault]:
    """A fault if driver and executors need more than the application may use: the run would wait
    for capacity that never comes. The defaults are EMR Serverless's own.
    """
    spark, most = _at(document, "prepare.spark"), _at(document, "prepare.max_vcpus")
    if not isinstance(spark, dict):
        return
    most = MAX_VCPUS if most is None else most
    numbers = [
        str(spark.get(f"spark.{key}", spark_workers.DEFAULTS[f"spark.{key}"]))
        for key in ("driver.cores", "executor.instances", "executor.cores")
    ]
    if isinstance(most, int) and all(number.isdecimal() for number in numbers):
        driver, executors, cores = map(int, numbers)
        if (needed := driver + executors * cores) > most:
            yield (
                "prepare.spark",
                (
                    f"expected at most {most} vCPUs (prepare.max_vcpus) for driver and executors, "
                    f"got {driver} + {executors} × {cores} = {needed}"
                ),
            )


def _connector(document: Mapping[str, Any]) -> Iterator[Fault]:
    """A fault if Spark's Delta shall read tables of a catalog that the session does not know."""
    spark, tables = _at(document, "prepare.spark"), document.get("parameters")
    if _at(document, "prepare.delta_engine") != "unity-connector" or not isinstance(spark, dict):
        return
    given = tables if isinstance(tables, dict) else {}
    names = (given.get(name, DEFAULTS[name]) for name in ("RawTable", "CuratedTable"))
    catalogs = sorted({str(name).partition(".")[0] for name in names})
    missing = [f"spark.sql.catalog.{name}" for name in catalogs]
    if missing := [key for key in missing if key not in spark]:
        yield (
            "prepare.spark",
            (
                f"expected {' and '.join(missing)} with prepare.delta_engine unity-connector, "
                "whose jars the image lacks too (docs/data.md)"
            ),
        )


def _spot(document: Mapping[str, Any]) -> Iterator[Fault]:
    """Faults of the maximum wait, which only spot has, and which includes the running.

    (botocore: StoppingCondition)
    """
    wait, runtime, spot = (
        _at(document, f"train.{key}")
        for key in ("max_wait_seconds", "max_runtime_seconds", "use_spot")
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


def _packages(document: Mapping[str, Any]) -> Iterator[Fault]:
    """A fault of a package's image: without a group nothing has it, and without it no package can
    be deployed. SageMaker takes 255 characters (botocore 1.44.5, ContainerImage).
    """
    group, image = (
        _at(document, f"register.{key}") for key in ("model_package_group", "serving_image")
    )
    if (group is None) != (image is None):
        missing, given = (
            ("serving_image", "model_package_group")
            if image is None
            else ("model_package_group", "serving_image")
        )
        yield f"register.{missing}", f"missing; register.{given} needs it"
    if isinstance(image, str) and len(image) > _MOST_IMAGE:
        yield (
            "register.serving_image",
            f"expected at most {_MOST_IMAGE} characters, got {len(image)}",
        )


def _at(document: Mapping[str, Any], path: str) -> Any:
    section, key = path.split(".")
    inner = document.get(section)
    return inner.get(key) if isinstance(inner, dict) else None

"""The AWS account beyond its templates: caller, clock, secrets, keys, image, worker, mirror."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from pipeline import layout, rights
from pipeline.configuration.config import Config
from pipeline.doctor import layers
from pipeline.doctor.check import Check
from pipeline.doctor.statements import Client, asked

SKEW_SECONDS = 60  # AWS refuses signatures of clocks that differ by more than 5 minutes
SECRET_DAYS = 90
HEARTBEAT_SECONDS = 120  # four heartbeats, as pipeline.execution.attention


def checked(config: Config, client: Client) -> Iterator[Check]:
    """Yield the checks that need AWS alone."""
    yield from _caller(config, client("sts"))
    yield from _keys(config, client("kms"))
    yield from _image(config, client("emr-serverless"), client("cloudformation"))
    s3, artifacts = client("s3"), urlsplit(layout.heartbeat(config)).netloc
    if asked(partial(s3.head_bucket, Bucket=artifacts)) is not None:
        yield from _mirror(config, s3)  # without the bucket, its own check is enough
        yield from _worker(config, s3)


def _caller(config: Config, sts: Any) -> Iterator[Check]:
    answer = sts.get_caller_identity()
    yield Check.of(
        "AWS account",
        answer["Account"] == config.aws.account_id,
        expected=f"{config.aws.account_id} (aws.account_id)",
        found=answer["Account"],
        fix="sign in to the account of the configuration",
    )
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date:
        skew = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
        yield Check.of(
            "clock",
            skew <= SKEW_SECONDS,
            expected=f"at most {SKEW_SECONDS} s from AWS's",
            found=f"{skew:.0f} s",
            fix="synchronise this machine's clock",
        )


def _keys(config: Config, kms: Any) -> Iterator[Check]:
    evidence = config.evidence
    for name, arn, pinned in (
        ("signing_public_key", evidence.signing_key_arn, evidence.signing_public_key),
        ("approval_public_key", evidence.approval_key_arn, evidence.approval_public_key),
    ):
        found = asked(partial(_public_key, kms, arn))
        if found is None and f"alias/governed-finetune-{config.environment}-" in str(arn):
            continue  # the layer foundation has the alias, and its check names it
        text = base64.b64encode(found["PublicKey"]).decode() if found else "no such key"
        yield Check.of(
            f"evidence.{name} is the key's",
            text == pinned,
            expected=str(pinned),
            found=text,
            fix=f"find out who changed the key of {arn}; else pin the other in conf, with a reason",
        )


def _public_key(kms: Any, arn: str) -> Any:
    try:
        return kms.get_public_key(KeyId=arn)
    except (kms.exceptions.KMSInvalidStateException, kms.exceptions.DisabledException):
        return None  # its check names the state


def _image(config: Config, emr: Any, cloudformation: Any) -> Iterator[Check]:
    prepare = config.prepare
    found = asked(lambda: emr.get_application(applicationId=prepare.application_id)["application"])
    if found is not None and found.get("state") == "TERMINATED":
        found = None
    if found is None and prepare.application_id == _of_compute(config, cloudformation):
        return  # the layer compute has it, and its check names it
    fix = "deploy the layer compute with PrepareImage, and put its output ApplicationId in conf"
    yield Check.of(
        "prepare.application_id",
        found is not None,
        expected=f"the application {prepare.application_id}",
        found="none",
        fix=fix,
    )
    if found is None:
        return
    yield Check.of(
        "architecture of Prepare's application",
        found.get("architecture", "X86_64") == "X86_64",
        expected="X86_64, which scripts/images builds",
        found=str(found.get("architecture")),
        fix=fix,
    )


def _of_compute(config: Config, cloudformation: Any) -> str | None:
    stack = layers.stack(cloudformation, f"governed-finetune-{config.environment}-compute") or {}
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}
    return outputs.get("ApplicationId")


def secrets(config: Config, client: Any, application_ids: dict[str, str]) -> Iterator[Check]:
    """Yield whether each principal's secret holds its identity, and is not old."""
    for principal in rights.PRINCIPALS:
        name = f"governed-finetune-{config.environment}/databricks/{principal}"
        described = asked(partial(client.describe_secret, SecretId=name))
        gone = described is None or "DeletedDate" in described
        if gone or principal not in application_ids:
            continue  # another check names what is missing: the secret, or the principal
        value = asked(partial(client.get_secret_value, SecretId=name))
        fix = (
            "make an OAuth secret of the service principal and store it as DatabricksSPSecret: "
            f"aws secretsmanager put-secret-value --secret-id {name} --secret-string file://…"
        )
        held = _client_id(value) == application_ids[principal]
        found = "another identity, or none"
        yield Check.of(
            f"secret {name}", held, expected=f"the identity of {principal}", found=found, fix=fix
        )
        if value is not None:
            days = (datetime.now(UTC) - value["CreatedDate"]).days
            yield Check.of(
                f"age of secret {name}",
                days <= SECRET_DAYS,
                expected=f"at most {SECRET_DAYS} days",
                found=f"{days} days",
                fix=fix,
            )


def _client_id(value: Any) -> str | None:
    try:
        return str(json.loads(value["SecretString"])["clientId"])
    except (KeyError, TypeError, ValueError):
        return None


def mirrored(config: Config, s3: Any) -> bool:
    """Return whether the base model's mirror is there."""
    place = urlsplit(layout.base_model(config))
    key = f"{place.path.strip('/')}/mirror.json"
    return asked(lambda: s3.head_object(Bucket=place.netloc, Key=key)) is not None


def _mirror(config: Config, s3: Any) -> Iterator[Check]:
    yield Check.of(
        "base model's mirror",
        mirrored(config, s3),
        expected=f"{layout.base_model(config)}mirror.json",
        found="none",
        fix=f"scripts/mirror-model --env {config.environment}",
    )


def _worker(config: Config, s3: Any) -> Iterator[Check]:
    place = urlsplit(layout.heartbeat(config))
    found = asked(lambda: s3.head_object(Bucket=place.netloc, Key=place.path.strip("/")))
    age = (datetime.now(UTC) - found["LastModified"]).total_seconds() if found else None
    yield Check.of(
        "register worker alive",
        age is not None and age <= HEARTBEAT_SECONDS,
        expected=f"a heartbeat within {HEARTBEAT_SECONDS} s",
        found="none" if age is None else f"one {age:.0f} s old",
        fix="start the register worker, or see the Lambda's log: without it executions wait",
    )

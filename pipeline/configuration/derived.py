"""Values of a configuration that follow from its environment, account and region.

    document, derived = complete({"aws": {...}, "train": {...}, ...}, "dev")
    document["train"]["role_arn"]        # "arn:aws:iam::111…:role/governed-finetune-dev-train"
    derived["train.role_arn"].sources    # ("environment", "aws.account_id", "aws.region")

conf/infrastructure names its resources by the same rules, so a file states one of these
values only where a resource has another name.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

from pipeline.configuration.fields import LOCAL

_ROLE = "arn:{partition}:iam::{account}:role/governed-finetune-{environment}-"
_ALIAS = "arn:{partition}:kms:{region}:{account}:alias/governed-finetune-{environment}-"
_SECRET = "governed-finetune-{environment}/databricks/"  # noqa: S105  the name of a secret
_REPOSITORY = "{account}.dkr.ecr.{region}.{domain}/governed-finetune/"

_RULES = {
    "pipeline.name": "governed-finetune-{environment}",
    "pipeline.role_arn": _ROLE + "pipeline",
    "pipeline.tags.environment": "{environment}",
    "storage.governed_bucket": "governed-finetune-{environment}-governed-{account}-{region}",
    "storage.evidence_bucket": "governed-finetune-{environment}-evidence-{account}-{region}",
    "storage.artifact_bucket": "governed-finetune-{environment}-artifacts-{account}-{region}",
    "prepare.role_arn": _ROLE + "prepare",
    "prepare.curated_root": "s3://{governed_bucket}/curated",
    "prepare.databricks_secret_id": _SECRET + "prepare",
    "train.role_arn": _ROLE + "train",
    "train.databricks_secret_id": _SECRET + "train",
    "train.mlflow_experiment": "/Shared/governed-finetune-{environment}",
    "register.role_arn": _ROLE + "register",
    "register.queue_url": (
        "https://sqs.{region}.{domain}/{account}/governed-finetune-{environment}-register"
    ),
    "register.databricks_secret_id": _SECRET + "register",
    "evidence.signing_key_arn": _ALIAS + "register",
    "evidence.approval_key_arn": _ALIAS + "approval",
    "evidence.approver_secret_id": _SECRET + "approver",
    "evidence.auditor_secret_id": _SECRET + "auditor",
    "evidence.reconciler_secret_id": _SECRET + "reconciler",
    "evidence.scientist_secret_id": _SECRET + "scientist",
}
_FEDERATED = "federated:{client_id}"  # steps/governance/sign_in/identities.py reads it
_STEPS = ("prepare", "train", "register")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Which key of the file each field of a rule comes from.
_SOURCES = {
    "environment": "environment",
    "account": "aws.account_id",
    "region": "aws.region",
    "partition": "aws.region",
    "domain": "aws.region",
    "governed_bucket": "storage.governed_bucket",
}
# Sections that a file may leave out, because all of their values are derived or have defaults.
_OPTIONAL_SECTIONS = ("storage", "limits", "logging")


@dataclass(frozen=True)
class Derived:
    """What was derived of one value, and the keys that it follows from."""

    part: str  # "value", or "repository" of an image whose digest is in the file
    sources: tuple[str, ...]


def complete(
    document: Mapping[str, Any], environment: str
) -> tuple[dict[str, Any], dict[str, Derived]]:
    """Return a copy of the document with every value that it leaves out and that can be derived,
    and what was derived, by key path.

    Sources are used as they are. Whether they are valid is checked later, with the whole document.
    """
    completed: dict[str, Any] = copy.deepcopy(dict(document))
    for optional in _OPTIONAL_SECTIONS:
        completed.setdefault(optional, {})
    derived = {}
    for path, rule in _RULES.items():
        *sections, key = path.split(".")
        section = _inner(completed, sections)
        if section is None or key in section:
            continue
        if found := _federated(completed, rule):
            section[key], derived[path] = found
        else:
            section[key] = rule.format_map(_fields(completed, environment))
            derived[path] = Derived("value", _sources(rule))
    for step in _STEPS:
        section = _inner(completed, [step])
        if section is not None and (found := _image(section, step, environment)):
            rule, derived[f"{step}.image"] = found
            section["image"] = rule.format_map(_fields(completed, environment))
    return completed, derived


def _federated(document: dict[str, Any], rule: str) -> tuple[str, Derived] | None:
    """The identity of a principal that has no secret, if the rule is of one."""
    principal = rule.removeprefix(_SECRET)
    databricks = _inner(document, ["databricks"]) or {}
    client_id = (_inner(databricks, ["client_ids"]) or {}).get(principal)
    if principal == rule or databricks.get("identity") != "federated" or client_id is None:
        return None
    sources = ("databricks.identity", f"databricks.client_ids.{principal}")
    return _FEDERATED.format(client_id=client_id), Derived("value", sources)


def _image(section: Mapping[str, Any], step: str, environment: str) -> tuple[str, Derived] | None:
    """The rule for an image of which only the digest is given, or, in `local`, nothing."""
    repository = _REPOSITORY + step
    given = section.get("image")
    if isinstance(given, str) and _DIGEST.fullmatch(given):
        return f"{repository}@{given}", Derived("repository", _sources(repository))
    if "image" not in section and environment == LOCAL:
        rule = repository + ":{environment}"
        return rule, Derived("value", _sources(rule))
    return None


def _inner(document: dict[str, Any], sections: list[str]) -> dict[str, Any] | None:
    """The section at a path, or None if the document lacks it."""
    inner: Any = document
    for section in sections:
        inner = inner.get(section) if isinstance(inner, dict) else None
    return inner if isinstance(inner, dict) else None


def _fields(document: dict[str, Any], environment: str) -> dict[str, str]:
    aws = _inner(document, ["aws"]) or {}
    storage = _inner(document, ["storage"]) or {}
    region = str(aws.get("region"))
    china = region.startswith("cn-")
    return {
        "environment": environment,
        "account": str(aws.get("account_id")),
        "region": region,
        "partition": "aws-cn" if china else "aws-us-gov" if "-gov-" in region else "aws",
        "domain": "amazonaws.com.cn" if china else "amazonaws.com",
        "governed_bucket": str(storage.get("governed_bucket")),
    }


def _sources(rule: str) -> tuple[str, ...]:
    names = [name for _, name, _, _ in Formatter().parse(rule) if name]
    used = {_SOURCES[name] for name in names}
    return tuple(source for source in dict.fromkeys(_SOURCES.values()) if source in used)

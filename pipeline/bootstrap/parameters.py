"""The parameters of a layer: of conf/<env>.yaml, of a file next to the templates, of other layers.

    wanted = parameters.of(config, declared, given, outputs)
    given = parameters.file("dev")       # conf/infrastructure/parameters/dev.yaml

A parameter without a value there keeps the value that is deployed, or the template's default.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from pipeline.configuration.config import Config
from pipeline.configuration.file import CONF
from pipeline.configuration.sections import openlineage
from pipeline.errors import UsageError

FOLDER = CONF / "infrastructure" / "parameters"
_ELSEWHERE = "elsewhere"


def file(environment: str) -> dict[str, str]:
    """Return the parameters of an environment's file, or an empty mapping without one.

    Raises:
        UsageError: it is not a mapping of names to values.
    """
    path = FOLDER / f"{environment}.yaml"
    if not path.exists():
        return {}
    found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected parameters, as `AlarmEmail: me@example.com`")
    return {str(name): _text(value) for name, value in found.items() if value is not None}


def of(
    config: Config, declared: Iterable[str], given: Mapping[str, str], outputs: Mapping[str, str]
) -> dict[str, str]:
    """Return the values of those parameters that conf, the file or an earlier layer states."""
    known = _of_conf(config) | dict(outputs) | dict(given)
    if known["WorkerKind"] != _ELSEWHERE:
        known = _of_worker(config) | known
    return {name: known[name] for name in declared if name in known}


def _of_conf(config: Config) -> dict[str, str]:
    subnets, groups = config.train.subnet_ids, config.train.security_group_ids
    values = {
        "Environment": config.environment,
        "DatabricksIdentity": config.databricks.identity,
        "TrainInVpc": _text(bool(subnets)),
        "EvidenceLockDays": str(config.evidence.object_lock_days),
        "DataEvents": _text(config.evidence.data_events),
        "PrepareImage": config.prepare.image,
        "MaxVcpus": str(config.prepare.max_vcpus),
        "WorkerKind": config.register.compute,
        # stated without a group too: otherwise the rights of an earlier one would stay
        "ModelPackageGroup": config.register.model_package_group or "",
    }
    if config.openlineage is not None and config.openlineage.domain:
        values["OpenLineageDomain"] = config.openlineage.domain
    if subnets:
        values |= {"SubnetIds": ",".join(subnets), "SecurityGroupIds": ",".join(groups)}
    return values


def _of_worker(config: Config) -> dict[str, str]:
    limits = config.limits
    return {
        "RegisterImage": config.register.image,
        "DatabricksHost": config.databricks.host,
        "DatabricksSecretId": config.register.databricks_secret_id,
        "MaxEvalLoss": repr(limits.max_eval_loss),
        "InstanceTypes": ",".join(limits.instance_types),
        "MaxRuntimeSeconds": str(limits.max_runtime_seconds),
        "Aliases": ",".join(limits.aliases),
        "GiveUpAfterSeconds": str(config.waits.register_seconds),
        "OpenLineage": openlineage.word(config.openlineage).get("openlineage", "none"),
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""An environment that cleanup removed is made again: nothing collides, and the audit is clean."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cleanup import order
from pipeline.doctor import __main__ as doctor
from pipeline.doctor import embedded, layers, template
from pipeline.doctor.check import OK

REPOSITORY = Path(__file__).parents[3]
GONE = [layer for layer in layers.LAYERS if layer not in order._STAY]


@pytest.mark.parametrize("layer", GONE)
def test_what_a_removed_layer_retains_has_a_name_that_the_next_one_imports(layer: str) -> None:
    """CloudFormation imports what is there by a name that the template states as it is."""
    text = (layers.FOLDER / f"{layer}.yaml").read_text()
    document = yaml.load(text, template._Loader)  # noqa: S506 - a SafeLoader
    kept = {
        name: body
        for name, body in document["Resources"].items()
        if body.get("DeletionPolicy") == "Retain"
    }
    names = [body["Properties"]["LogGroupName"] for body in kept.values()]
    assert all(isinstance(name, str) for name in names), "Fn::Sub would collide"
    assert tuple(names) == (order._LOGS if layer == "watch" else ()), "cleanup states them"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    assert command("pipeline.local", folder, "up", "--empty").returncode == 0
    yield folder
    assert command("pipeline.local", folder, "down").returncode == 0


def command(module: str, state: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    whole = [sys.executable, "-m", module, *words, "--state", str(state)]
    return subprocess.run(whole, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def done(module: str, state: Path, *words: str) -> str:
    ended = command(module, state, *words)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def cleaned(state: Path, *words: str) -> list[dict[str, Any]]:
    options = ("--env", "local", "--yes", "local", "--json", *words)
    found: list[dict[str, Any]] = json.loads(done("pipeline.cleanup", state, *options))
    return found


def audited(state: Path) -> "subprocess.CompletedProcess[str]":
    """Audit as the auditor, whose variables `env` prints for a shell."""
    script = 'eval "$("$0" -m pipeline.local env --as auditor --state "$1")"\n'
    script += 'exec "$0" -m pipeline.audit --env local --all'
    words = ["bash", "-c", script, sys.executable, str(state)]
    return subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.environment
def test_after_a_cleanup_bootstrap_a_run_and_the_audit_are_as_at_first(state: Path) -> None:
    done("pipeline.bootstrap", state, "--env", "local")
    done("pipeline.local", state, "run", "--json")
    first = cleaned(state)
    again = cleaned(state)
    assert {each["sign"] for each in again} == {"="}
    assert [each for each in first if each["sign"] == "="] == again, (
        "a second run prints them again"
    )
    assert all(each["details"] for each in again)
    everything_left_is_declared(state, again)
    done("pipeline.bootstrap", state, "--env", "local")
    nothing_is_missing(state)
    done("pipeline.local", state, "run", "--json")
    found = audited(state)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr
    assert "edgar.models.risk_analyst/2" in found.stdout
    assert {each["sign"] for each in cleaned(state, "--catalog")} >= {"-", "="}
    left = [each["what"] for each in cleaned(state) if not each["what"].startswith("log groups")]
    assert left == [f"stack governed-finetune-local-{layer}" for layer in order._STAY]


def nothing_is_missing(state: Path) -> None:
    config, client, admin = embedded.identities(str(state))
    deadline = time.monotonic() + 180  # the worker imports mlflow before its first heartbeat
    while wrong := [c for c in doctor.examined(config, client, admin) if c.state != OK]:
        assert time.monotonic() < deadline, wrong
        time.sleep(1)


def everything_left_is_declared(state: Path, stays: list[dict[str, Any]]) -> None:
    """Whatever the services list after cleanup, one of its lines has the name of."""
    text = "\n".join([line for each in stays for line in (each["what"], *each["details"])])
    declared = set(re.split(r"[\s,]+", text))
    _, client, admin = embedded.identities(str(state))
    left = [*in_aws(client), *in_workspace(admin())]
    assert len(left) > 25, "roles, buckets, secrets, keys, repositories"
    missing = [name for name in left if not any(each.endswith(name) for each in declared)]
    assert missing == [], " ".join(missing)


def in_aws(client: Any) -> Iterator[str]:
    listed = (
        ("iam", "list_roles", "Roles", "RoleName"),
        ("s3", "list_buckets", "Buckets", "Name"),
        ("secretsmanager", "list_secrets", "SecretList", "Name"),
        ("ecr", "describe_repositories", "repositories", "repositoryName"),
        ("logs", "describe_log_groups", "logGroups", "logGroupName"),
        ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
        ("sns", "list_topics", "Topics", "TopicArn"),
        ("events", "list_rules", "Rules", "Name"),
        ("emr-serverless", "list_applications", "applications", "id"),
        ("lambda", "list_functions", "Functions", "FunctionName"),
        ("sagemaker", "list_pipelines", "PipelineSummaries", "PipelineName"),
        ("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
        ("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
        ("ec2", "describe_addresses", "Addresses", "PublicIp"),
    )
    for service, operation, key, name in listed:
        for each in getattr(client(service), operation)().get(key, ()):
            if each.get("State") != "deleted" and each.get("state") != "TERMINATED":
                yield str(each[name])
    for url in client("sqs").list_queues().get("QueueUrls", ()):
        if not url.endswith("-notices"):  # the embedded environment's own, of no template
            yield url
    kms = client("kms")
    for key_id in [each["KeyId"] for each in kms.list_keys()["Keys"]]:
        if kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyManager"] == "CUSTOMER":
            yield key_id


def in_workspace(admin: Any) -> Iterator[str]:
    yield from (str(each.name) for each in admin.catalogs.list())
    yield from (str(each.name) for each in admin.external_locations.list())
    yield from (str(each.name) for each in admin.storage_credentials.list())
    yield from (str(each.display_name) for each in admin.groups.list())
    for each in admin.service_principals.list():
        if each.display_name != "metastore-admin":  # the embedded environment's own
            yield str(each.display_name)

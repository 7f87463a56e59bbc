"""The rules on a way: what they let pass, what they do not, and what they do not decide."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.configuration import config as configuration
from pipeline.doctor import layers, template
from pipeline.doctor.network import needs, rules

ALLOW = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def group(protocol: str = "tcp", ports: tuple[int, int] | None = (443, 443), **to: Any) -> Any:
    limits = {} if ports is None else {"FromPort": ports[0], "ToPort": ports[1]}
    return {"IpPermissionsEgress": [{"IpProtocol": protocol, **limits, **to}]}


def blocks(*named: str) -> list[dict[str, str]]:
    return [{"CidrIp": one} for one in named]


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (group(IpRanges=blocks("0.0.0.0/0")), "yes"),
        (group("-1", None, IpRanges=blocks("0.0.0.0/0")), "yes"),
        (group(ports=(0, 1024), IpRanges=blocks("0.0.0.0/0")), "yes"),
        (group(ports=(80, 442), IpRanges=blocks("0.0.0.0/0")), "no"),
        (group("udp", IpRanges=blocks("0.0.0.0/0")), "no"),
        (group(IpRanges=blocks("10.0.0.0/8")), "no"),
        (group(IpRanges=blocks("52.0.0.0/8")), "perhaps"),
        (group(PrefixListIds=[{"PrefixListId": "pl-s3"}]), "yes"),
        (group(PrefixListIds=[{"PrefixListId": "pl-mine"}]), "perhaps"),
        (group(UserIdGroupPairs=[{"GroupId": "sg-endpoints"}]), "yes"),
        (group(UserIdGroupPairs=[{"GroupId": "sg-others"}]), "no"),
        ({"IpPermissionsEgress": []}, "no"),
    ],
)
def test_a_security_group_lets_https_out(found: Any, verdict: str) -> None:
    to = {"members": ["sg-endpoints"], "prefix_lists": ["pl-s3"]}
    assert rules.out([found], rules.EVERYWHERE, **to) == verdict  # type: ignore[arg-type]


def entry(number: int, action: str, block: str, ports: tuple[int, int] | None = None) -> Any:
    limits = {} if ports is None else {"PortRange": {"From": ports[0], "To": ports[1]}}
    protocol = "-1" if ports is None else "6"
    start = {"RuleNumber": number, "RuleAction": action, "CidrBlock": block, "Egress": True}
    return start | {"Protocol": protocol} | limits


@pytest.mark.parametrize(
    ("entries", "verdict"),
    [
        ([], "no"),
        ([entry(1, "allow", "0.0.0.0/0")], "yes"),
        ([entry(2, "allow", "0.0.0.0/0"), entry(1, "deny", "0.0.0.0/0")], "no"),
        ([entry(1, "allow", "0.0.0.0/0"), entry(2, "deny", "0.0.0.0/0")], "yes"),
        ([entry(1, "deny", "52.0.0.0/8"), entry(2, "allow", "0.0.0.0/0")], "perhaps"),
        ([entry(1, "deny", "10.0.0.0/8"), entry(2, "allow", "0.0.0.0/0")], "yes"),
        ([entry(1, "deny", "0.0.0.0/0", (80, 80)), entry(2, "allow", "0.0.0.0/0")], "yes"),
        ([entry(1, "allow", "0.0.0.0/0", (80, 80))], "no"),
        ([entry(1, "allow", "0.0.0.0/0", (443, 443))], "yes"),
        ([entry(1, "allow", "0.0.0.0/0") | {"Egress": False}], "no"),
        ([entry(1, "allow", "0.0.0.0/0") | {"Protocol": "17"}], "no"),
    ],
)
def test_the_first_entry_of_an_access_list_decides(entries: Any, verdict: str) -> None:
    found = rules.passes(entries, rules.EVERYWHERE, egress=True, ports=rules.HTTPS)
    assert found == verdict


def test_answers_need_all_their_ports() -> None:
    few = [entry(1, "allow", "0.0.0.0/0", (32768, 60999))]
    verdict = rules.passes(few, rules.EVERYWHERE, egress=True, ports=rules.ANSWERS)
    assert verdict == "perhaps"


@pytest.mark.parametrize(
    ("statements", "verdict"),
    [
        ([ALLOW], "yes"),
        ([], "no"),
        ([ALLOW | {"Action": "kms:*"}], "yes"),
        ([ALLOW | {"Action": ["s3:*", "kms:*"]}], "yes"),
        ([ALLOW | {"Action": "s3:*"}], "no"),
        ([ALLOW | {"Action": "kms:Sign"}], "perhaps"),
        ([ALLOW | {"Resource": "arn:aws:kms:::key/1"}], "perhaps"),
        ([ALLOW | {"Principal": {"AWS": "arn:aws:iam::1:root"}}], "perhaps"),
        ([ALLOW | {"Principal": {"AWS": "*"}}], "yes"),
        ([ALLOW | {"Condition": {"Bool": {"aws:x": "true"}}}, ALLOW], "yes"),
        ([ALLOW, ALLOW | {"Effect": "Deny"}], "no"),
        ([ALLOW, ALLOW | {"Effect": "Deny", "Action": "kms:Decrypt"}], "perhaps"),
        ([ALLOW, ALLOW | {"Effect": "Deny", "Action": "s3:*"}], "yes"),
    ],
)
def test_an_endpoints_policy_lets_a_service_be_used(statements: Any, verdict: str) -> None:
    assert rules.allows(json.dumps({"Statement": statements}), "kms") == verdict


def test_an_endpoint_without_a_policy_lets_everything_pass() -> None:
    assert rules.allows(None, "kms") == "yes"


# The services of a role's actions, by the names of their endpoints.
ENDPOINTS = {
    "sagemaker": {"sagemaker.api"},
    "ecr": {"ecr.api", "ecr.dkr"},
    "cloudwatch": {"monitoring"},
    "ec2": set(),  # SageMaker makes the interfaces before the job starts
}


def actions(node: Any) -> set[str]:
    """The services of every allowed action."""
    if isinstance(node, list):
        return {one for each in node for one in actions(each)}
    if not isinstance(node, dict):
        return set()
    if node.get("Effect") == "Allow":
        named = node["Action"] if isinstance(node["Action"], list) else [node["Action"]]
        return {each.partition(":")[0] for each in named}
    return actions(list(node.values()))


@pytest.mark.parametrize("job", ["Prepare", "Train", "Register"])
def test_a_job_calls_the_services_that_its_role_may_use(job: str) -> None:
    dev = configuration.load("dev")
    federated = replace(dev, databricks=replace(dev.databricks, identity="federated"))
    called = {need.name for one in (dev, federated) for need in needs.of(job, one)}
    allowed: set[str] = {"sts"}  # by another policy, with a federated identity
    for layer in ("identity", "compute"):
        every = template._document(Path(layers.FOLDER / f"{layer}.yaml"))["Resources"]
        allowed |= actions(every.get(f"{job}Role", {}).get("Properties", {}).get("Policies", []))
        for policy in (one for one in every.values() if one["Type"] == "AWS::IAM::Policy"):
            if any(f"-{job.lower()}" in str(role) for role in policy["Properties"]["Roles"]):
                allowed |= actions(policy["Properties"]["PolicyDocument"])
    allowed.discard("datazone")  # only where conf sends run events there
    wanted = {one for each in allowed for one in ENDPOINTS.get(each, {each})}
    images = {"ecr.api", "ecr.dkr", "kms"}  # AWS pulls the image; the key's own policy lets sign
    assert wanted - images == called - images - {need_host(dev)}
    assert ("kms" in called) == (job == "Register")


def need_host(config: Any) -> str:
    return str(config.databricks.host).removeprefix("https://")


def test_the_worker_is_judged_by_the_network_of_its_function_or_service() -> None:
    dev = configuration.load("dev")

    class Service:
        def get_application(self, **_: Any) -> Any:
            return {"application": {}}

        def describe_stacks(self, **_: Any) -> Any:
            return {"Stacks": [{"Parameters": [lambda_worker]}]}

        def describe_services(self, **given: Any) -> Any:
            assert given == {
                "cluster": "governed-finetune-dev",
                "services": ["governed-finetune-dev-register"],
            }
            network = {"subnets": ["subnet-2"], "securityGroups": ["sg-2"]}
            return {"services": [{"networkConfiguration": {"awsvpcConfiguration": network}}]}

        def get_function_configuration(self, FunctionName: str) -> Any:  # noqa: N803
            assert FunctionName == "governed-finetune-dev-register"
            return {"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}

    lambda_worker = {"ParameterKey": "WorkerKind", "ParameterValue": "lambda"}
    found = {one.job: one for one in needs.places(dev, lambda name: Service())}
    assert found["Register"].subnets == ("subnet-1",)
    assert found["Prepare"].subnets == ()
    assert "Train" not in found, "SageMaker's own network reaches every host"
    assert any(need.by_aws for need in found["Register"].needs)
    lambda_worker["ParameterValue"] = "ecs"
    (service,) = [one for one in needs.places(dev, lambda name: Service()) if one.job == "Register"]
    assert (service.subnets, service.groups) == (("subnet-2",), ("sg-2",))
    assert not any(need.by_aws for need in service.needs), "the task pulls its own image"
    lambda_worker["ParameterValue"] = "elsewhere"
    assert "Register" not in {one.job for one in needs.places(dev, lambda name: Service())}

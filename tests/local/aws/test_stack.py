"""conf/infrastructure/stack.yaml: cfn-lint's findings and CloudFormation's result."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.local.aws import infrastructure


def test_the_template_has_no_findings():
    lint = Path(sys.executable).with_name("cfn-lint")
    found = subprocess.run(
        [lint, "--regions", "us-east-1", "--", infrastructure.TEMPLATE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.stdout, found.returncode) == ("", 0)


@pytest.mark.environment
def test_a_second_deployment_changes_nothing_and_answers_the_same(server):
    outputs = dict(server.outputs)
    before = server.client("cloudformation").describe_stack_events(
        StackName="governed-finetune-local"
    )["StackEvents"]
    server.deploy()
    after = server.client("cloudformation").describe_stack_events(
        StackName="governed-finetune-local"
    )["StackEvents"]
    assert (server.outputs, len(after)) == (outputs, len(before))
    assert (
        outputs["RegisterRoleArn"]
        == "arn:aws:iam::000000000000:role/governed-finetune-local-register"
    )


@pytest.mark.environment
def test_a_changed_parameter_updates_the_stack_in_place(new_server):
    new_server.start()
    new_server.deploy()
    first = dict(new_server.outputs)
    image = (
        "111122223333.dkr.ecr.us-east-1.amazonaws.com/governed-finetune/prepare@sha256:" + "1" * 64
    )
    changed = infrastructure.deploy(new_server.client("cloudformation"), {"PrepareImage": image})
    assert changed == first
    emr = new_server.client("emr-serverless")
    application = emr.get_application(applicationId=first["ApplicationId"])["application"]
    assert application["imageConfiguration"] == {"imageUri": image}
    assert (
        application["monitoringConfiguration"]["cloudWatchLoggingConfiguration"]["enabled"] is True
    )


@pytest.mark.environment
def test_only_the_steps_may_post_to_a_configured_datazone_domain(server, new_server):
    new_server.start()
    infrastructure.deploy(new_server.client("cloudformation"), {"OpenLineageDomain": "dzd_4x7k"})
    domain = "arn:aws:datazone:us-east-1:000000000000:domain/dzd_4x7k"
    steps = {"prepare", "train", "register"}
    assert _allowed_everywhere(new_server.client("iam"), "datazone:") == {
        (f"{infrastructure.PREFIX}-{step}", "datazone:PostLineageEvent", domain) for step in steps
    }
    assert _allowed_everywhere(server.client("iam"), "datazone:") == set()


def _allowed_everywhere(iam, prefix):
    """Every role, action and resource of the roles' own policies, of one service's actions."""
    found = set()
    for role in (each["RoleName"] for each in iam.list_roles()["Roles"]):
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for statement in _listed(policy["Statement"]):
                actions, resources = (_listed(statement[key]) for key in ("Action", "Resource"))
                found |= {(role, one, where) for one in actions for where in resources}
    return {each for each in found if each[1].startswith(prefix)}


def _listed(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.environment
def test_an_image_without_digest_is_refused_before_anything_changes(server):
    with pytest.raises(infrastructure.DeploymentFailed, match="PrepareImage"):
        infrastructure.deploy(
            server.client("cloudformation"), {"PrepareImage": "registry/prepare:latest"}
        )


@pytest.mark.environment
def test_a_failed_deployment_names_the_resource_and_its_reason(new_server, tmp_path):
    new_server.start()
    template = tmp_path / "broken.yaml"
    template.write_text(
        "Parameters: {Environment: {Type: String}}\n"
        "Resources:\n  Broken: {Type: AWS::EMRServerless::Application, Properties: {Type: "
        "HIVE, ReleaseLabel: x}}\n"
    )

    with pytest.raises(infrastructure.DeploymentFailed) as failed:
        infrastructure.deploy(
            OnlyEnvironment(new_server.client("cloudformation")), {}, template=template
        )
    assert "Broken: " in str(failed.value)
    assert "not implemented: CreateApplication type HIVE" in str(failed.value)


class OnlyEnvironment:
    """A client that leaves out the parameters which the broken template does not have."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return getattr(self._client, name)

    def create_stack(self, *, Parameters, OnFailure, **request):  # noqa: N803  # boto3's names
        kept = [item for item in Parameters if item["ParameterKey"] == "Environment"]
        return self._client.create_stack(Parameters=kept, **request)

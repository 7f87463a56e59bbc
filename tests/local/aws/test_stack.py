"""conf/infrastructure: cfn-lint's findings and CloudFormation's result."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.configuration import derived
from pipeline.local.aws import infrastructure


def test_the_layers_are_the_templates_and_have_no_findings():
    templates = [infrastructure.FOLDER / f"{layer}.yaml" for layer in infrastructure.LAYERS]
    assert sorted(infrastructure.FOLDER.glob("*.yaml")) == sorted(templates)
    lint = Path(sys.executable).with_name("cfn-lint")
    found = subprocess.run(
        [lint, "--regions", "us-east-1", "--", *templates],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.stdout, found.returncode) == ("", 0)


@pytest.mark.environment
def test_a_second_deployment_changes_nothing_and_answers_the_same(server):
    outputs = dict(server.outputs)
    before = _events(server)
    server.deploy()
    assert (server.outputs, _events(server)) == (outputs, before)
    assert (
        outputs["RegisterRoleArn"]
        == "arn:aws:iam::000000000000:role/governed-finetune-local-register"
    )


def _events(server):
    """How many events each layer's stack has."""
    describe = server.client("cloudformation").describe_stack_events
    stacks = (f"{infrastructure.PREFIX}-{layer}" for layer in infrastructure.LAYERS)
    return {stack: len(describe(StackName=stack)["StackEvents"]) for stack in stacks}


@pytest.mark.environment
def test_no_layer_is_deployed_before_the_one_that_it_imports_from(new_server):
    new_server.start()
    cloudformation = new_server.client("cloudformation")
    with pytest.raises(infrastructure.DeploymentFailed, match="RoleArn"):
        infrastructure.deploy_layer(cloudformation, infrastructure.FOLDER / "foundation.yaml", {})
    assert new_server.client("s3").list_buckets()["Buckets"] == []


@pytest.mark.environment
def test_a_layer_that_another_imports_from_is_not_deleted(server):
    cloudformation = server.client("cloudformation")
    with pytest.raises(cloudformation.exceptions.ClientError, match="imported by"):
        cloudformation.delete_stack(StackName=f"{infrastructure.PREFIX}-identity")


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
def test_what_costs_or_is_governed_has_the_tags_of_project_and_environment(server):
    """Bills and `cleanup` find resources by them."""
    s3, emr, outputs = server.client("s3"), server.client("emr-serverless"), server.outputs
    application = emr.get_application(applicationId=outputs["ApplicationId"])["application"]
    tagged = [application["tags"]]
    for name in ("GovernedBucket", "EvidenceBucket", "ArtifactsBucket"):
        tagged.append(_tags(s3.get_bucket_tagging(Bucket=outputs[name])["TagSet"]))
    iam, secrets, queue = (server.client(name) for name in ("iam", "secretsmanager", "sqs"))
    for role in server.made("AWS::IAM::Role"):
        tagged.append(_tags(iam.list_role_tags(RoleName=role)["Tags"]))
    for secret in server.made("AWS::SecretsManager::Secret"):
        tagged.append(_tags(secrets.describe_secret(SecretId=secret)["Tags"]))
    for url in server.made("AWS::SQS::Queue"):
        tagged.append(queue.list_queue_tags(QueueUrl=url)["Tags"])
    kms = server.client("kms")
    for name in ("SigningKeyArn", "ApprovalKeyArn"):
        found = kms.list_resource_tags(KeyId=outputs[name])["Tags"]
        tagged.append({tag["TagKey"]: tag["TagValue"] for tag in found})
    assert len(tagged) == 4 + 11 + 7 + 2 + 2
    expected = {"project": "governed-finetune", "environment": "local"}
    assert [each for each in tagged if not expected.items() <= each.items()] == []


def _tags(found):
    return {tag["Key"]: tag["Value"] for tag in found}


@pytest.mark.environment
def test_the_buckets_have_the_names_that_the_configuration_derives(server):
    aws = {"account_id": infrastructure.ACCOUNT_ID, "region": "us-east-1"}
    expected = derived.complete({"aws": aws}, infrastructure.ENVIRONMENT)[0]["storage"]
    assert sorted(server.made("AWS::S3::Bucket")) == sorted(expected.values())


@pytest.mark.environment
def test_prepare_runs_in_the_private_subnets_whose_way_out_is_nat(server):
    """Outside of a VPC, EMR Serverless reaches no workspace."""
    emr, ec2 = server.client("emr-serverless"), server.client("ec2")
    application = emr.get_application(applicationId=server.outputs["ApplicationId"])["application"]
    assert application["maximumCapacity"]["cpu"] == "16 vCPU"  # prepare.max_vcpus
    network = application["networkConfiguration"]
    assert network["subnetIds"] == server.outputs["SubnetIds"].split(",")
    assert network["securityGroupIds"] == server.outputs["SecurityGroupIds"].split(",")
    subnets = ec2.describe_subnets(SubnetIds=network["subnetIds"])["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2
    for subnet in network["subnetIds"]:
        only = [{"Name": "association.subnet-id", "Values": [subnet]}]
        (table,) = ec2.describe_route_tables(Filters=only)["RouteTables"]
        ways = {route["DestinationCidrBlock"]: route for route in table["Routes"]}
        assert ways["0.0.0.0/0"]["NatGatewayId"].startswith("nat-")
    gateways = ec2.describe_nat_gateways()["NatGateways"]
    assert {gateway["SubnetId"] for gateway in gateways}.isdisjoint(network["subnetIds"])
    (group,) = ec2.describe_security_groups(GroupIds=network["securityGroupIds"])["SecurityGroups"]
    out = [rule for rule in group["IpPermissionsEgress"] if rule["IpProtocol"] == "tcp"]
    assert [(rule["FromPort"], rule["IpRanges"][0]["CidrIp"]) for rule in out] == [
        (443, "0.0.0.0/0")
    ]


@pytest.mark.environment
def test_prepare_without_subnets_is_refused_before_anything_changes(server):
    with pytest.raises(infrastructure.DeploymentFailed, match="SubnetIds"):
        infrastructure.deploy(server.client("cloudformation"), {"SubnetIds": ""})


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
        infrastructure.deploy_layer(new_server.client("cloudformation"), template, {})
    assert "Broken: " in str(failed.value)
    assert "not implemented: CreateApplication type HIVE" in str(failed.value)


@pytest.mark.environment
def test_an_account_of_before_the_layers_is_refused_in_one_message(new_server):
    new_server.start()
    cloudformation = new_server.client("cloudformation")
    body = "Resources: {Old: {Type: AWS::SQS::Queue}}"
    cloudformation.create_stack(StackName=infrastructure.PREFIX, TemplateBody=body)
    with pytest.raises(infrastructure.DeploymentFailed, match="remove the state folder"):
        new_server.deploy()
    assert new_server.client("iam").list_roles()["Roles"] == []

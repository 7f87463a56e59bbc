"""The resources of a layer: each one exists in the account.

A route, an attachment and a subscription have no read of their own: see `connections`. A policy is
compared by its statements.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.doctor.check import UNKNOWN, Check
from pipeline.doctor.statements import Client
from pipeline.doctor.template import Layer


@dataclass(frozen=True)
class Read:
    """The call that shows a resource, the argument with its id, and the list in the answer."""

    service: str
    operation: str
    argument: str
    listed: str = ""
    many: bool = False  # the argument takes a list


_READS = {
    "AWS::IAM::Role": Read("iam", "get_role", "RoleName"),
    "AWS::S3::Bucket": Read("s3", "get_bucket_location", "Bucket"),
    "AWS::SecretsManager::Secret": Read("secretsmanager", "describe_secret", "SecretId"),
    "AWS::KMS::Key": Read("kms", "describe_key", "KeyId"),
    "AWS::KMS::Alias": Read("kms", "describe_key", "KeyId"),
    "AWS::ECR::Repository": Read(
        "ecr", "describe_repositories", "repositoryNames", "repositories", many=True
    ),
    "AWS::SQS::Queue": Read("sqs", "get_queue_url", "QueueName"),
    "AWS::EMRServerless::Application": Read("emr-serverless", "get_application", "applicationId"),
    "AWS::SageMaker::ModelPackageGroup": Read(
        "sagemaker", "describe_model_package_group", "ModelPackageGroupName"
    ),
    "AWS::CloudTrail::Trail": Read("cloudtrail", "get_trail", "Name"),
    "AWS::ECS::Cluster": Read("ecs", "describe_clusters", "clusters", "clusters", many=True),
    "AWS::ECS::TaskDefinition": Read("ecs", "describe_task_definition", "taskDefinition"),
    "AWS::Lambda::Function": Read("lambda", "get_function", "FunctionName"),
    "AWS::Logs::LogGroup": Read("logs", "describe_log_groups", "logGroupNamePrefix", "logGroups"),
    "AWS::SNS::Topic": Read("sns", "get_topic_attributes", "TopicArn"),
    "AWS::Events::Rule": Read("events", "describe_rule", "Name"),
    "AWS::CloudWatch::Alarm": Read(
        "cloudwatch", "describe_alarms", "AlarmNames", "MetricAlarms", many=True
    ),
    "AWS::CloudWatch::Dashboard": Read("cloudwatch", "get_dashboard", "DashboardName"),
    "AWS::EC2::VPC": Read("ec2", "describe_vpcs", "VpcIds", "Vpcs", many=True),
    "AWS::EC2::Subnet": Read("ec2", "describe_subnets", "SubnetIds", "Subnets", many=True),
    "AWS::EC2::SecurityGroup": Read(
        "ec2", "describe_security_groups", "GroupIds", "SecurityGroups", many=True
    ),
    "AWS::EC2::RouteTable": Read(
        "ec2", "describe_route_tables", "RouteTableIds", "RouteTables", many=True
    ),
    "AWS::EC2::InternetGateway": Read(
        "ec2", "describe_internet_gateways", "InternetGatewayIds", "InternetGateways", many=True
    ),
    "AWS::EC2::EIP": Read("ec2", "describe_addresses", "PublicIps", "Addresses", many=True),
    "AWS::EC2::NatGateway": Read(
        "ec2", "describe_nat_gateways", "NatGatewayIds", "NatGateways", many=True
    ),
    "AWS::EC2::VPCEndpoint": Read(
        "ec2", "describe_vpc_endpoints", "VpcEndpointIds", "VpcEndpoints", many=True
    ),
}
_ABSENT = ("NoSuch", "NotFound", "NonExistent", "404")  # in the code of an error


def existing(layer: Layer, client: Client, fix: str) -> Iterator[Check]:
    """Yield a check for each resource that has a read; `fix` is the command that deploys it."""
    for name, kind in layer.resources().items():
        if kind not in _READS:
            continue
        physical = layer.physical(name)
        title = f"{kind.removeprefix('AWS::')} {name}"
        if physical is None:
            yield Check.of(title, False, expected="in its stack", found="none", fix=fix)
        else:
            yield _check(f"{title} ({physical})", _READS[kind], physical, client, fix=fix)


def _check(title: str, read: Read, physical: str, client: Client, *, fix: str) -> Check:
    from botocore.exceptions import ClientError

    value = physical.rpartition("/")[2] if read.operation == "get_queue_url" else physical
    call: Callable[..., Any] = getattr(client(read.service), read.operation)
    try:
        answer = call(**{read.argument: [value] if read.many else value})
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        # SageMaker's registry has one code for all that it refuses
        absent = code == "ValidationException" and "does not exist" in str(error)
        if absent or any(word in code for word in _ABSENT):
            return Check.of(title, False, expected="to exist", found=code, fix=fix)
        return Check(title, UNKNOWN, "an answer", str(error)[:300], f"allow {read.operation}")
    if "DeletedDate" in answer:
        again = f"aws secretsmanager restore-secret --secret-id {physical}"
        return Check.of(title, False, expected="to stay", found="will be deleted", fix=again)
    alias = physical.startswith("alias/")  # the state is of the key, which has its own check
    state = answer.get("KeyMetadata", {}).get("KeyState", "Enabled")
    if state != "Enabled" and not alias:
        again = f"aws kms cancel-key-deletion, then enable-key, --key-id {physical}"
        return Check.of(title, False, expected="Enabled", found=state, fix=again)
    return Check.of(title, _there(answer, read, value), expected="to exist", found="none", fix=fix)


def _there(answer: dict[str, Any], read: Read, value: str) -> bool:
    """Return whether an answer shows the resource, and not another one or what is left of it."""
    if not read.listed:
        gone = answer.get("taskDefinition", {}).get("status") == "INACTIVE"
        return not gone and answer.get("application", {}).get("state") != "TERMINATED"
    listed = answer[read.listed]
    if read.listed == "logGroups":  # asked for by the beginning of the name
        return any(each["logGroupName"] == value for each in listed)
    state = ("deleted", "deleting", "INACTIVE")  # of NAT gateways and endpoints, and of clusters
    return any(each.get("State", each.get("status")) not in state for each in listed)

"""Every resource of the stacks and every object of the workspace, taken away, in an order.

for taken in taking.resources(client): taken.take()      # the doctor must name `taken.check` now

A type without a way to take it is a KeyError, so a new one in a template is noticed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.doctor import layers

Client = Callable[[str], Any]
PREFIX = "governed-finetune-local"


@dataclass(frozen=True)
class Taken:
    """What is taken away, and the beginning of its check's name, or of each of its checks."""

    check: str
    take: Callable[[], Any]
    several: bool = False  # a policy has a check for each statement


@dataclass(frozen=True)
class Resource:
    """A resource of a stack: its type, its names in template and account."""

    kind: str
    logical: str
    physical: str
    layer: str


def resources(client: Client) -> Iterator[Taken]:
    """Every resource of every stack; what others refer to comes after them."""
    found = sorted(_listed(client("cloudformation")), key=lambda each: _ORDER.index(each.kind))
    for each in found:
        name = f"{each.kind.removeprefix('AWS::')} {each.logical}"
        check = _POLICIES.get(each.kind, lambda one: "")(each) or name
        several = each.kind in _POLICIES
        yield Taken(check, lambda each=each: _TAKE[each.kind](client, each), several)


def _listed(cloudformation: Any) -> Iterator[Resource]:
    for layer in layers.LAYERS:
        pages = cloudformation.get_paginator("list_stack_resources")
        for page in pages.paginate(StackName=f"{PREFIX}-{layer}"):
            for each in page["StackResourceSummaries"]:
                kind, logical = each["ResourceType"], each["LogicalResourceId"]
                yield Resource(kind, logical, each["PhysicalResourceId"], layer)


def _role(client: Client, one: Resource) -> None:
    iam = client("iam")
    for name in iam.list_role_policies(RoleName=one.physical)["PolicyNames"]:
        iam.delete_role_policy(RoleName=one.physical, PolicyName=name)
    iam.delete_role(RoleName=one.physical)


def _policy(client: Client, one: Resource) -> None:
    iam, name = client("iam"), _policy_name(one)
    for role in iam.list_roles()["Roles"]:
        if name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            iam.delete_role_policy(RoleName=role["RoleName"], PolicyName=name)


def _policy_name(one: Resource) -> str:
    """`DescribePreparePolicy` is `describe-prepare`."""
    words = one.logical.removesuffix("Policy")
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in words).strip("-")


def _bucket(client: Client, one: Resource) -> None:
    """Its policy is gone already; root may then remove every version."""
    s3 = client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=one.physical):
        for each in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
            s3.delete_object(Bucket=one.physical, Key=each["Key"], VersionId=each["VersionId"])
    s3.delete_bucket(Bucket=one.physical)


def _bucket_of(one: Resource) -> str:
    return one.physical.removesuffix("-policy")


def _queue_of(one: Resource) -> str:
    return f"{PREFIX}-register{'-dead' if 'Dead' in one.logical else ''}"


def _queue_policy(client: Client, one: Resource) -> None:
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=_queue_of(one))["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})


def _topic(client: Client) -> str:
    return str(client("sns").list_topics()["Topics"][0]["TopicArn"])


def _rule(client: Client, one: Resource) -> None:
    events = client("events")
    ids = [each["Id"] for each in events.list_targets_by_rule(Rule=one.physical)["Targets"]]
    events.remove_targets(Rule=one.physical, Ids=ids)
    events.delete_rule(Name=one.physical)


def _route(client: Client, one: Resource) -> None:
    table, _, block = one.physical.partition("|")
    client("ec2").delete_route(RouteTableId=table, DestinationCidrBlock=block)


def _attachment(client: Client, one: Resource) -> None:
    ec2, vpc = client("ec2"), one.physical.partition("|")[2]
    for gateway in ec2.describe_internet_gateways()["InternetGateways"]:
        if [each["VpcId"] for each in gateway["Attachments"]] == [vpc]:
            number = gateway["InternetGatewayId"]
            ec2.detach_internet_gateway(InternetGatewayId=number, VpcId=vpc)


def _address(client: Client, one: Resource) -> None:
    ec2 = client("ec2")
    (found,) = ec2.describe_addresses(PublicIps=[one.physical])["Addresses"]
    ec2.release_address(AllocationId=found["AllocationId"])


def _of(service: str, operation: str, argument: str, *, many: bool = False) -> Any:
    def take(client: Client, one: Resource) -> None:
        value = [one.physical] if many else one.physical
        getattr(client(service), operation)(**{argument: value})

    return take


# In this order: what another type refers to comes after it.
_TAKE: dict[str, Callable[[Client, Resource], Any]] = {
    "AWS::Events::Rule": _rule,
    "AWS::CloudWatch::Alarm": _of("cloudwatch", "delete_alarms", "AlarmNames", many=True),
    "AWS::CloudWatch::Dashboard": _of(
        "cloudwatch", "delete_dashboards", "DashboardNames", many=True
    ),
    "AWS::SNS::TopicPolicy": lambda client, one: client("sns").set_topic_attributes(
        TopicArn=_topic(client), AttributeName="Policy", AttributeValue='{"Statement": []}'
    ),
    "AWS::SNS::Topic": _of("sns", "delete_topic", "TopicArn"),
    "AWS::Logs::LogGroup": _of("logs", "delete_log_group", "logGroupName"),
    "AWS::S3::BucketPolicy": lambda client, one: client("s3").delete_bucket_policy(
        Bucket=_bucket_of(one)
    ),
    "AWS::S3::Bucket": _bucket,
    "AWS::IAM::Policy": _policy,
    "AWS::EMRServerless::Application": _of("emr-serverless", "delete_application", "applicationId"),
    "AWS::SQS::QueuePolicy": _queue_policy,
    "AWS::SQS::Queue": _of("sqs", "delete_queue", "QueueUrl"),
    "AWS::EC2::Route": _route,
    "AWS::EC2::SubnetRouteTableAssociation": _of(
        "ec2", "disassociate_route_table", "AssociationId"
    ),
    "AWS::EC2::NatGateway": _of("ec2", "delete_nat_gateway", "NatGatewayId"),
    "AWS::EC2::EIP": _address,
    "AWS::EC2::VPCGatewayAttachment": _attachment,
    "AWS::EC2::VPCEndpoint": _of("ec2", "delete_vpc_endpoints", "VpcEndpointIds", many=True),
    "AWS::EC2::RouteTable": _of("ec2", "delete_route_table", "RouteTableId"),
    "AWS::EC2::Subnet": _of("ec2", "delete_subnet", "SubnetId"),
    "AWS::EC2::SecurityGroup": _of("ec2", "delete_security_group", "GroupId"),
    "AWS::EC2::InternetGateway": _of("ec2", "delete_internet_gateway", "InternetGatewayId"),
    "AWS::EC2::VPC": _of("ec2", "delete_vpc", "VpcId"),
    "AWS::KMS::Alias": _of("kms", "delete_alias", "AliasName"),
    "AWS::KMS::Key": _of("kms", "schedule_key_deletion", "KeyId"),
    "AWS::ECR::Repository": lambda client, one: client("ecr").delete_repository(
        repositoryName=one.physical, force=True
    ),
    "AWS::SageMaker::ModelPackageGroup": _of(
        "sagemaker", "delete_model_package_group", "ModelPackageGroupName"
    ),
    "AWS::SecretsManager::Secret": _of("secretsmanager", "delete_secret", "SecretId"),
    "AWS::IAM::Role": _role,
}
_ORDER = list(_TAKE)
_POLICIES: dict[str, Callable[[Resource], str]] = {
    "AWS::S3::BucketPolicy": lambda one: f"policy of bucket {_bucket_of(one)}: ",
    "AWS::SQS::QueuePolicy": lambda one: f"policy of queue {_queue_of(one)}: ",
    "AWS::SNS::TopicPolicy": lambda one: f"policy of topic {PREFIX}: ",
    "AWS::IAM::Policy": lambda one: f"policy {_policy_name(one)} of role ",
}


def objects(config: Any, admin: Any) -> Iterator[Taken]:
    """Every object that bootstrap makes in the workspace."""
    from pipeline import rights
    from pipeline.bootstrap import experiments, identities, workspace

    name = str(config.train.mlflow_experiment)
    number = experiments.experiment_id(admin, name)
    yield Taken(f"experiment {name}", lambda: admin.experiments.delete_experiment(number))
    yield Taken("table edgar.raw.filings", lambda: admin.tables.delete("edgar.raw.filings"))
    where = rights.places(config)
    for schema in where.schemas:
        yield Taken(f"schema {schema}", lambda schema=schema: admin.schemas.delete(schema))
    for catalog in where.catalogs:
        yield Taken(f"catalog {catalog}", lambda catalog=catalog: admin.catalogs.delete(catalog))
    for content in workspace.CONTENTS:
        one = rights.location(config.environment, content)
        take = admin.external_locations.delete
        yield Taken(f"external location {one}", lambda one=one, take=take: take(one))
    credential = workspace.credential_name(config)
    delete = admin.storage_credentials.delete
    yield Taken(f"storage credential {credential}", lambda: delete(credential))
    group = config.evidence.approvers_group
    (found,) = admin.groups.list(filter=f'displayName eq "{group}"')
    yield Taken(f"group {group}", lambda: admin.groups.delete(found.id))
    for principal, (one, _) in identities.existing(admin, config.environment).items():
        yield Taken(
            f"service principal {PREFIX}-{principal}",
            lambda one=one: admin.service_principals.delete(one),
        )

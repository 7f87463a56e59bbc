"""Resources that connect two others, or have a state or settings: read through what they connect.

    for check in connections.checked(layer, client, fix): ...

What connects something that is missing is not listed: the check of the missing one names it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pipeline.doctor import running
from pipeline.doctor.check import Check
from pipeline.doctor.running import Found, Properties, shown
from pipeline.doctor.statements import Client, asked
from pipeline.doctor.template import Layer


def checked(layer: Layer, client: Client, fix: str) -> Iterator[Check]:
    """Yield a check for each of them; `fix` is the command that deploys the layer."""
    for name, kind in layer.resources().items():
        if kind in _READS and (physical := layer.physical(name)) is not None:
            found = _READS[kind](layer.properties(name), physical, client)
            for what, (expected, got) in found.items():
                title = f"{kind.removeprefix('AWS::')} {name}{what}"
                yield Check.of(title, got == expected, expected=expected, found=got, fix=fix)


def _table(client: Client, number: str) -> Any:
    ec2 = client("ec2")
    tables = asked(lambda: ec2.describe_route_tables(RouteTableIds=[number])["RouteTables"])
    return tables[0] if tables else None


def _route(properties: Properties, physical: str, client: Client) -> Found:
    table = _table(client, properties["RouteTableId"])
    if table is None:
        return {}
    to = properties["DestinationCidrBlock"]
    through = str(properties.get("NatGatewayId") or properties.get("GatewayId"))
    found = [each for each in table["Routes"] if each.get("DestinationCidrBlock") == to]
    got = next((str(each.get("NatGatewayId") or each.get("GatewayId")) for each in found), "none")
    return {"": (through, got)}


def _association(properties: Properties, physical: str, client: Client) -> Found:
    table = _table(client, properties["RouteTableId"])
    if table is None or _absent(client, properties["SubnetId"]):
        return {}
    subnets = [each.get("SubnetId") for each in table["Associations"]]
    wanted = properties["SubnetId"]
    return {"": (wanted, wanted if wanted in subnets else "none")}


def _absent(client: Client, subnet: str) -> bool:
    ec2 = client("ec2")
    return not asked(lambda: ec2.describe_subnets(SubnetIds=[subnet])["Subnets"])


def _attachment(properties: Properties, physical: str, client: Client) -> Found:
    ec2, number = client("ec2"), properties["InternetGatewayId"]
    gateways = asked(
        lambda: ec2.describe_internet_gateways(InternetGatewayIds=[number])["InternetGateways"]
    )
    if not gateways:
        return {}
    wanted = properties["VpcId"]
    attached = [each.get("VpcId") for each in gateways[0]["Attachments"]]
    return {"": (wanted, wanted if wanted in attached else "none")}


def _rule(properties: Properties, physical: str, client: Client) -> Found:
    events = client("events")
    rule = asked(partial(events.describe_rule, Name=physical))
    if rule is None:
        return {}
    targets = sorted(each["Arn"] for each in events.list_targets_by_rule(Rule=physical)["Targets"])
    wanted = sorted(each["Arn"] for each in properties["Targets"])
    return {
        ": state": ("ENABLED", str(rule.get("State"))),
        ": targets": (" ".join(wanted), " ".join(targets)),
    }


def _subscription(properties: Properties, physical: str, client: Client) -> Found:
    sns, wanted = client("sns"), properties["Endpoint"]
    pages = sns.get_paginator("list_subscriptions_by_topic")
    listed = asked(
        lambda: [
            each
            for page in pages.paginate(TopicArn=properties["TopicArn"])
            for each in page["Subscriptions"]
            if each["Endpoint"] == wanted
        ]
    )
    if listed is None:
        return {}
    if not listed:
        return {"": (wanted, "none")}
    confirmed = str(listed[0]["SubscriptionArn"]).startswith("arn:")
    return {": confirmed": ("yes", "yes" if confirmed else "no: open the link in the message")}


def _mapping(properties: Properties, physical: str, client: Client) -> Found:
    found = asked(partial(client("lambda").get_event_source_mapping, UUID=physical))
    return {"": ("Enabled", str(found["State"]) if found else "none")}


def _bucket(properties: Properties, physical: str, client: Client) -> Found:
    s3 = client("s3")
    if asked(partial(s3.get_bucket_location, Bucket=physical)) is None:
        return {}
    return {
        f": {name}": (
            shown(wanted),
            shown(_setting(partial(getattr(s3, call), Bucket=physical), key)),
        )
        for name, (call, key) in _SETTINGS.items()
        if (wanted := properties.get(name)) is not None
    }


# The setting's property: the call that shows it, and where in the answer. ministack's encryption
# has a member more than the property, so its algorithm is compared alone.
_SETTINGS = {
    "VersioningConfiguration": ("get_bucket_versioning", ""),
    "PublicAccessBlockConfiguration": (
        "get_public_access_block",
        "PublicAccessBlockConfiguration",
    ),
    "ObjectLockConfiguration": ("get_object_lock_configuration", "ObjectLockConfiguration"),
    "OwnershipControls": ("get_bucket_ownership_controls", "OwnershipControls"),
    "BucketEncryption": ("get_bucket_encryption", "ServerSideEncryptionConfiguration"),
}


def _setting(read: Callable[[], Any], key: str) -> Any:
    """Return a setting of a bucket, or None without one."""
    from botocore.exceptions import ClientError

    try:
        answer = read()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if "NotFound" in code or code.startswith("NoSuch"):
            return None
        raise
    return answer.get(key) if key else {"Status": answer.get("Status", "none")}


_READS: dict[str, Callable[[Properties, str, Client], Found]] = {
    "AWS::EC2::Route": _route,
    "AWS::EC2::SubnetRouteTableAssociation": _association,
    "AWS::EC2::VPCGatewayAttachment": _attachment,
    "AWS::Events::Rule": _rule,
    "AWS::SNS::Subscription": _subscription,
    "AWS::Lambda::EventSourceMapping": _mapping,
    "AWS::S3::Bucket": _bucket,
} | running.READS

"""Resource types of `conf/infrastructure` that ministack's CloudFormation lacks, through its own
services: addresses, NAT gateways, OIDC providers, trails and the schedules of a rotation.

    provisioners._RESOURCE_HANDLERS |= handlers()

No packet passes these gateways: the jobs of the embedded environment are processes on the loopback.
No event is written to a trail, and no clock starts a rotation. They show that CloudFormation takes
the templates and that their references resolve.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.local.aws.store import Document

Made = tuple[str, dict[str, str]]


@dataclass(frozen=True)
class _Type:
    """One type: its service's own calls, which of the answer's elements names what was made, and
    what `Ref` and `GetAtt` give.
    """

    create: Callable[[Document], tuple[int, dict[str, str], bytes]]
    element: str
    described: Callable[[str], Made]
    delete: Callable[[str], Any]

    def handler(self) -> dict[str, Callable[..., Any]]:
        """The functions that ministack calls. An update replaces, unless only tags differ."""

        def create(logical_id: str, properties: Document, stack_name: str) -> Made:
            status, _, body = self.create(properties)
            found = re.search(rf"<{self.element}>([^<]+)<", body.decode())
            if status != 200 or found is None:
                raise ValueError(f"{logical_id}: {body.decode()}")
            return self.described(found[1])

        def update(physical_id: str, old: Document, new: Document, stack_name: str) -> Made:
            if any(old.get(key) != new.get(key) for key in {*old, *new} - {"Tags"}):
                raise ValueError(f"an update of {physical_id} is not implemented: make a new one")
            return self.described(physical_id)

        def delete(physical_id: str, properties: Document) -> None:
            self.delete(physical_id)

        return {"create": create, "update": update, "delete": delete}


def handlers() -> dict[str, dict[str, Callable[..., Any]]]:
    """Return the functions of each type."""
    from ministack.services import ec2, iam

    def address(name: str) -> Made:
        """`Ref` of an address is its number, what `GetAtt` gives its allocation."""
        (found,) = (one for one in ec2._addresses.values() if name in one.values())
        return found["PublicIp"], {"AllocationId": found["AllocationId"]}

    types = {
        "AWS::EC2::EIP": _Type(
            lambda properties: ec2._allocate_address({"Domain": "vpc"}),
            "allocationId",
            address,
            lambda name: ec2._release_address(address(name)[1]),
        ),
        "AWS::EC2::NatGateway": _Type(
            ec2._create_nat_gateway,
            "natGatewayId",
            lambda name: (name, {"NatGatewayId": name}),
            lambda name: ec2._delete_nat_gateway({"NatGatewayId": name}),
        ),
        "AWS::IAM::OIDCProvider": _Type(
            lambda properties: iam._create_oidc_provider(_numbered(properties)),
            "OpenIDConnectProviderArn",
            lambda name: (name, {"Arn": name}),
            lambda name: iam._delete_oidc_provider({"OpenIDConnectProviderArn": [name]}),
        ),
    }
    own = {"AWS::CloudTrail::Trail": _trail(), "AWS::SecretsManager::RotationSchedule": _rotation()}
    return {name: each.handler() for name, each in types.items()} | own


def _numbered(properties: Document) -> dict[str, list[str]]:
    """The properties of a provider as IAM's query API has them."""
    clients = properties.get("ClientIdList") or []
    numbered = {f"ClientIDList.member.{n}": [each] for n, each in enumerate(clients, 1)}
    return {"Url": [properties["Url"]], **numbered}


def _trail() -> dict[str, Callable[..., Any]]:
    """A trail with its selectors, and whether it writes; `Ref` is its name."""
    from ministack.services import cloudtrail

    def settings(properties: Document) -> Document:
        renamed = {"TrailName": "Name", "KMSKeyId": "KmsKeyId"}
        own = ("IsLogging", "AdvancedEventSelectors", "Tags")
        return {renamed.get(key, key): each for key, each in properties.items() if key not in own}

    def complete(properties: Document) -> Made:
        name = properties["TrailName"]
        selectors = properties["AdvancedEventSelectors"]
        asked = {"TrailName": name, "AdvancedEventSelectors": selectors}
        _answer(cloudtrail._put_event_selectors(asked))
        tags = {"ResourceId": cloudtrail._trail_arn(name), "TagsList": properties.get("Tags") or []}
        _answer(cloudtrail._add_tags(tags))
        started = cloudtrail._start_logging if properties["IsLogging"] else cloudtrail._stop_logging
        _answer(started({"Name": name}))
        return name, {"Arn": cloudtrail._trail_arn(name)}

    def create(logical_id: str, properties: Document, stack_name: str) -> Made:
        _answer(cloudtrail._create_trail(settings(properties)))
        return complete(properties)

    def update(physical_id: str, old: Document, new: Document, stack_name: str) -> Made:
        _answer(cloudtrail._update_trail(settings(new)))
        return complete(new)

    def delete(physical_id: str, properties: Document) -> None:
        cloudtrail._delete_trail({"Name": physical_id})

    return {"create": create, "update": update, "delete": delete}


def _rotation() -> dict[str, Callable[..., Any]]:
    """The schedule of a secret's rotation; `Ref` is the secret's ARN. Nothing is rotated now."""
    from ministack.services import secretsmanager

    def create(logical_id: str, properties: Document, stack_name: str) -> Made:
        _, secret = secretsmanager._resolve(properties["SecretId"])
        if secret is None:
            raise ValueError(f"{logical_id}: no secret {properties['SecretId']}")
        if properties.get("RotateImmediatelyOnUpdate", True):
            raise ValueError(f"{logical_id}: an immediate rotation is not implemented here")
        secret["RotationLambdaARN"] = properties["RotationLambdaARN"]
        days = int(properties["RotationRules"]["AutomaticallyAfterDays"])
        secret["RotationRules"] = {"AutomaticallyAfterDays": days}
        secret["RotationEnabled"] = True
        return secret["ARN"], {}

    def update(physical_id: str, old: Document, new: Document, stack_name: str) -> Made:
        return create(physical_id, new, stack_name)

    def delete(physical_id: str, properties: Document) -> None:
        _, secret = secretsmanager._resolve(physical_id)
        if secret is not None:
            secret["RotationEnabled"] = False

    return {"create": create, "update": update, "delete": delete}


def _answer(answered: tuple[int, dict[str, str], bytes]) -> Document:
    """Return the document of an answer.

    Raises:
        ValueError: the service refused; the stack fails with its text.
    """
    status, _, body = answered
    if status != 200:
        raise ValueError(body.decode())
    document: Document = json.loads(body or b"{}")
    return document

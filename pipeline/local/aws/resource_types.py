"""Resource types of `conf/infrastructure` that ministack's CloudFormation lacks, through its own
services: addresses, NAT gateways and OIDC providers.

    provisioners._RESOURCE_HANDLERS |= handlers()

No packet passes these gateways: the jobs of the embedded environment are processes on the loopback.
They show that CloudFormation takes the templates and that their references resolve.
"""

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
    return {name: each.handler() for name, each in types.items()}


def _numbered(properties: Document) -> dict[str, list[str]]:
    """The properties of a provider as IAM's query API has them."""
    clients = properties.get("ClientIdList") or []
    numbered = {f"ClientIDList.member.{n}": [each] for n, each in enumerate(clients, 1)}
    return {"Url": [properties["Url"]], **numbered}

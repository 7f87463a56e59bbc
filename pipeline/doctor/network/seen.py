"""What EC2 answers of a VPC: its subnets, routes, gateways, endpoints, groups and access lists.

vpc = seen.read(client("ec2"), "vpc-1", region="us-east-1")
vpc.table("subnet-1"), vpc.endpoints_of("sts"), vpc.access_list("subnet-1")
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Found = Mapping[str, Any]
Listed = tuple[Found, ...]


@dataclass(frozen=True)
class Vpc:
    """The answers of the describe calls, in their own form."""

    id: str
    region: str
    resolves: bool  # enableDnsSupport: AWS's resolver answers in this VPC
    has_hostnames: bool  # enableDnsHostnames: private names need both
    subnets: Mapping[str, Found]  # by id, as are the groups and the NAT gateways
    groups: Mapping[str, Found]
    nats: Mapping[str, Found]
    tables: Listed
    endpoints: Listed
    access_lists: Listed
    gateways: frozenset[str]  # internet gateways that are attached
    prefix_lists: Mapping[str, str]  # AWS's own, the name by id

    def table(self, subnet: str) -> Found:
        """Return the route table of a subnet: its own, or the VPC's main one."""
        main: Found = {"RouteTableId": "none", "Routes": ()}
        for table in self.tables:
            for one in table.get("Associations", ()):
                if one.get("SubnetId") == subnet:
                    return table
                if one.get("Main"):
                    main = table
        return main

    def access_list(self, subnet: str) -> Found:
        """Return the network ACL of a subnet: each has one."""
        for found in self.access_lists:
            if any(one.get("SubnetId") == subnet for one in found.get("Associations", ())):
                return found
        return next((one for one in self.access_lists if one.get("IsDefault")), {})

    def endpoints_of(self, service: str) -> list[Found]:
        """Return the available endpoints of a service."""
        end = f"amazonaws.{self.region}.{service}"
        return [
            one
            for one in self.endpoints
            if one["ServiceName"].endswith(end) and str(one["State"]).lower() == "available"
        ]

    def blocks(self, subnets: Iterable[str]) -> list[str]:
        """Return the addresses of subnets."""
        return [str(self.subnets[one]["CidrBlock"]) for one in subnets if one in self.subnets]


def read(ec2: Any, vpc: str, *, region: str) -> Vpc:
    """Read a VPC. EC2 answers lists in pages; botocore repeats what got lost."""
    here = [{"Name": "vpc-id", "Values": [vpc]}]

    def listed(operation: str, key: str, **filters: Any) -> Listed:
        pages = ec2.get_paginator(operation).paginate(**filters or {"Filters": here})
        return tuple(one for page in pages for one in page[key])

    def attribute(name: str) -> bool:
        answer = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=name)
        return bool(answer[f"{name[0].upper()}{name[1:]}"]["Value"])

    attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    gateways = listed("describe_internet_gateways", "InternetGateways", Filters=attached)
    nats = listed("describe_nat_gateways", "NatGateways", Filter=here)
    groups = listed("describe_security_groups", "SecurityGroups")
    named = any(rule.get("PrefixListIds") for one in groups for rule in one["IpPermissionsEgress"])
    prefixes = ec2.describe_prefix_lists()["PrefixLists"] if named else ()
    return Vpc(
        id=vpc,
        region=region,
        resolves=attribute("enableDnsSupport"),
        has_hostnames=attribute("enableDnsHostnames"),
        subnets={one["SubnetId"]: one for one in listed("describe_subnets", "Subnets")},
        groups={one["GroupId"]: one for one in groups},
        nats={one["NatGatewayId"]: one for one in nats},
        tables=listed("describe_route_tables", "RouteTables"),
        endpoints=listed("describe_vpc_endpoints", "VpcEndpoints"),
        access_lists=listed("describe_network_acls", "NetworkAcls"),
        gateways=frozenset(
            one["InternetGatewayId"]
            for one in gateways
            if any(each.get("VpcId") == vpc for each in one["Attachments"])
        ),
        prefix_lists={one["PrefixListId"]: one["PrefixListName"] for one in prefixes},
    )

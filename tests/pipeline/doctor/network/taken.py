"""What can be taken from the embedded network, one at a time, and put back.

with taken.TAKEN["the NAT route"](network): ...
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

EVERYWHERE = "0.0.0.0/0"
HTTPS_OUT = {
    "IpProtocol": "tcp",
    "FromPort": 443,
    "ToPort": 443,
    "IpRanges": [{"CidrIp": EVERYWHERE}],
}
INSIDE = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.64.0.0/20"}]}
HTTPS_IN = HTTPS_OUT | {"IpRanges": INSIDE["IpRanges"]}


@dataclass
class Network:
    """The stack's VPC: EC2's client and the ids."""

    ec2: Any
    physical: dict[str, str]  # by logical id of the layer `network`

    def __getitem__(self, logical: str) -> str:
        return self.physical[logical]

    def swap(self, table: str, **target: str) -> None:
        self.ec2.delete_route(RouteTableId=self[table], DestinationCidrBlock=EVERYWHERE)
        if target:
            where = {"RouteTableId": self[table], "DestinationCidrBlock": EVERYWHERE}
            self.ec2.create_route(**where, **target)


Take = Callable[[Network], AbstractContextManager[None]]


def _without_route(table: str) -> Take:
    return _with_route(table)


def _with_route(table: str, **target: str) -> Take:
    @contextmanager
    def made(network: Network) -> Iterator[None]:
        public = table == "PublicRoutes"
        network.swap(table, **{key: network.physical.get(v, v) for key, v in target.items()})
        yield
        back = {"GatewayId": "InternetGateway"} if public else {"NatGatewayId": "NatA"}
        network.swap(table, **{key: network[name] for key, name in back.items()})

    return made


@contextmanager
def _without_nats(network: Network) -> Iterator[None]:
    with ExitStack() as stack:
        for table in ("PrivateRoutesA", "PrivateRoutesB"):
            stack.enter_context(_without_route(table)(network))
        yield


def _without_rule(group: str, rule: dict[str, Any], way: str) -> Take:
    @contextmanager
    def made(network: Network) -> Iterator[None]:
        chosen = {"GroupId": network[group], "IpPermissions": [rule]}
        getattr(network.ec2, f"revoke_security_group_{way}")(**chosen)
        yield
        getattr(network.ec2, f"authorize_security_group_{way}")(**chosen)

    return made


def _with_policy(endpoint: str, *statements: dict[str, Any]) -> Take:
    @contextmanager
    def made(network: Network) -> Iterator[None]:
        change = network.ec2.modify_vpc_endpoint
        change(
            VpcEndpointId=network[endpoint], PolicyDocument=json.dumps({"Statement": statements})
        )
        yield
        change(VpcEndpointId=network[endpoint], ResetPolicy=True)

    return made


def _without_private_name(endpoint: str) -> Take:
    @contextmanager
    def made(network: Network) -> Iterator[None]:
        change = network.ec2.modify_vpc_endpoint
        with _without_nats(network):
            change(VpcEndpointId=network[endpoint], PrivateDnsEnabled=False)
            yield
            change(VpcEndpointId=network[endpoint], PrivateDnsEnabled=True)

    return made


@contextmanager
def _without_hostnames(network: Network) -> Iterator[None]:
    change = network.ec2.modify_vpc_attribute
    with _without_nats(network):
        change(VpcId=network["Vpc"], EnableDnsHostnames={"Value": False})
        yield
        change(VpcId=network["Vpc"], EnableDnsHostnames={"Value": True})


@contextmanager
def _without_resolver(network: Network) -> Iterator[None]:
    change = network.ec2.modify_vpc_attribute
    change(VpcId=network["Vpc"], EnableDnsSupport={"Value": False})
    yield
    change(VpcId=network["Vpc"], EnableDnsSupport={"Value": True})


@contextmanager
def _without_route_of_s3(network: Network) -> Iterator[None]:
    """The gateway's route of one subnet is gone, and NAT with it."""
    chosen = {"VpcEndpointId": network["S3Endpoint"]}
    tables = [network["PrivateRoutesA"]]
    with _without_nats(network):
        network.ec2.modify_vpc_endpoint(**chosen, RemoveRouteTableIds=tables)
        yield
        network.ec2.modify_vpc_endpoint(**chosen, AddRouteTableIds=tables)


ANY = {"Protocol": "6", "RuleAction": "allow", "CidrBlock": EVERYWHERE}
HTTPS, ANSWERS = {"From": 443, "To": 443}, {"From": 1024, "To": 65535}
ENTRIES = {  # what an access list of jobs' subnets needs
    "HTTPS out": ANY | {"RuleNumber": 100, "Egress": True, "PortRange": HTTPS},
    "answers in": ANY | {"RuleNumber": 100, "Egress": False, "PortRange": ANSWERS},
    "HTTPS in": ANY | {"RuleNumber": 110, "Egress": False, "PortRange": HTTPS},
    "answers out": ANY | {"RuleNumber": 110, "Egress": True, "PortRange": ANSWERS},
}


def with_access_list(*, without: str = "", subnet: str = "PrivateSubnetA") -> Take:
    """A subnet gets another access list, with all entries but one."""

    @contextmanager
    def made(network: Network) -> Iterator[None]:
        ec2 = network.ec2
        number = ec2.create_network_acl(VpcId=network["Vpc"])["NetworkAcl"]["NetworkAclId"]
        for name, entry in ENTRIES.items():
            if name != without:
                ec2.create_network_acl_entry(NetworkAclId=number, **entry)
        lists = ec2.describe_network_acls()["NetworkAcls"]
        (old,) = [
            (one["NetworkAclId"], each["NetworkAclAssociationId"])
            for one in lists
            for each in one["Associations"]
            if each["SubnetId"] == network[subnet]
        ]
        replaced = ec2.replace_network_acl_association(AssociationId=old[1], NetworkAclId=number)
        network.physical["AccessList"] = number
        yield
        ec2.replace_network_acl_association(
            AssociationId=replaced["NewAssociationId"], NetworkAclId=old[0]
        )
        ec2.delete_network_acl(NetworkAclId=number)

    return made


ALL = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
DENIED = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"}
TAKEN: dict[str, Take] = {
    "the default route": _without_route("PrivateRoutesA"),
    "the way out of NAT": _without_route("PublicRoutes"),
    "both default routes": _without_nats,
    "the private name of an endpoint": _without_private_name("SecretsManagerEndpoint"),
    "the private name of what AWS calls": _without_private_name("EcrApiEndpoint"),
    "the private names of the VPC": _without_hostnames,
    "the resolver": _without_resolver,
    "the gateway's route": _without_route_of_s3,
    "HTTPS out of the jobs": _without_rule("JobsSecurityGroup", HTTPS_OUT, "egress"),
    "HTTPS into the endpoints": _without_rule("EndpointsSecurityGroup", HTTPS_IN, "ingress"),
    "what is inside, out of the jobs": _without_rule("JobsSecurityGroup", INSIDE, "egress"),
    "an endpoint's policy": _with_policy("SecretsManagerEndpoint", ALL, DENIED),
    "a policy with a condition": _with_policy(
        "SecretsManagerEndpoint", ALL | {"Condition": {"StringEquals": {"aws:x": "y"}}}
    ),
    "a policy of another service": _with_policy("S3Endpoint", ALL | {"Action": "dynamodb:*"}),
    "a route to an internet gateway": _with_route("PrivateRoutesA", GatewayId="InternetGateway"),
    "a route to a transit gateway": _with_route("PrivateRoutesA", TransitGatewayId="tgw-1"),
    **{f"an access list without {name}": with_access_list(without=name) for name in ENTRIES},
    "an access list with all": with_access_list(),
    **{
        f"an access list of NAT without {name}": with_access_list(
            without=name, subnet="PublicSubnetA"
        )
        for name in ENTRIES
    },
}

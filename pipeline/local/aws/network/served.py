"""Endpoints and network ACLs in ministack's EC2, with what it leaves out of its answers.

    served.complete()        # once, before the server starts

Endpoints get their security groups, private names and policy; an ACL its subnets and the ports of
its entries. No packet passes any of them: `pipeline.doctor` reads them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

import ministack.app as app

Answer = tuple[int, dict[str, str], bytes]
Request = Mapping[str, Any]
_FULL_ACCESS = {
    "Version": "2008-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
}
_BY_SUBNET = "aclassoc-of-"  # of a subnet that no call associated: it has its VPC's default ACL


def complete() -> None:
    """Replace these actions of ministack's EC2 at its first request, which loads it."""
    handle = app.SERVICE_HANDLERS["ec2"]

    async def handle_request(*request: Any) -> Answer:
        from ministack.services import ec2

        if ec2._ACTION_MAP["DescribeVpcEndpoints"].__module__ != __name__:
            _around(ec2)
        answer: Answer = await handle(*request)
        return answer

    app.SERVICE_HANDLERS["ec2"] = handle_request


def _around(ec2: Any) -> None:
    actions: dict[str, Callable[[Request], Answer]] = ec2._ACTION_MAP
    actions |= {
        "CreateVpcEndpoint": _created(ec2, actions["CreateVpcEndpoint"]),
        "ModifyVpcEndpoint": _modified(ec2, actions["ModifyVpcEndpoint"]),
        "DescribeVpcEndpoints": lambda request: _endpoints(ec2, request),
        "CreateNetworkAclEntry": _with_ports(ec2, actions["CreateNetworkAclEntry"]),
        "ReplaceNetworkAclEntry": _with_ports(ec2, actions["ReplaceNetworkAclEntry"]),
        "ReplaceNetworkAclAssociation": lambda request: _associated(ec2, request),
        "DescribeNetworkAcls": lambda request: _access_lists(ec2, request),
    }


# ---------------------------------------------------------------- endpoints
def _created(ec2: Any, create: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    def call(request: Request) -> Answer:
        before = set(ec2._vpc_endpoints)
        answer = create(request)
        for name in set(ec2._vpc_endpoints) - before:
            given = ec2._p(request, "PrivateDnsEnabled")
            interface = ec2._vpc_endpoints[name]["VpcEndpointType"] == "Interface"
            ec2._vpc_endpoints[name] |= {
                "SecurityGroupIds": ec2._parse_member_list(request, "SecurityGroupId"),
                "PrivateDnsEnabled": given == "true" if given else interface,
                "PolicyDocument": ec2._p(request, "PolicyDocument") or None,
            }
        return answer

    return call


def _modified(ec2: Any, modify: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    def call(request: Request) -> Answer:
        answer = modify(request)
        found = ec2._vpc_endpoints.get(ec2._p(request, "VpcEndpointId"))
        if found is None:
            return answer
        if given := ec2._p(request, "PrivateDnsEnabled"):
            found["PrivateDnsEnabled"] = given == "true"
        if ec2._p(request, "ResetPolicy") == "true":
            found["PolicyDocument"] = None
        removed = ec2._parse_member_list(request, "RemoveSecurityGroupId")
        added = ec2._parse_member_list(request, "AddSecurityGroupId")
        kept = [one for one in found.get("SecurityGroupIds", ()) if one not in removed]
        found["SecurityGroupIds"] = [*kept, *added]
        return answer

    return call


def _endpoints(ec2: Any, request: Request) -> Answer:
    ids = ec2._parse_member_list(request, "VpcEndpointId")
    if unknown := [one for one in ids if one not in ec2._vpc_endpoints]:
        text = f"The Vpc Endpoint Ids '{unknown[0]}' do not exist"
        answer: Answer = ec2._error("InvalidVpcEndpointId.NotFound", text, 400)
        return answer
    wanted = ec2._parse_filters(request).get("vpc-id")
    items = "".join(
        _endpoint(ec2, one)
        for one in ec2._vpc_endpoints.values()
        if (not ids or one["VpcEndpointId"] in ids) and (not wanted or one["VpcId"] in wanted)
    )
    return _answered(
        ec2, "DescribeVpcEndpointsResponse", f"<vpcEndpointSet>{items}</vpcEndpointSet>"
    )


def _endpoint(ec2: Any, one: dict[str, Any]) -> str:
    policy = one.get("PolicyDocument") or _FULL_ACCESS
    text = policy if isinstance(policy, str) else json.dumps(policy)
    groups = "".join(
        f"<item><groupId>{group}</groupId></item>" for group in one.get("SecurityGroupIds", ())
    )
    more = (
        f"<privateDnsEnabled>{_word(one.get('PrivateDnsEnabled'))}</privateDnsEnabled>"
        f"<policyDocument>{escape(text)}</policyDocument><groupSet>{groups}</groupSet></item>"
    )
    plain: str = ec2._vpce_fields_xml(one)
    return plain.removesuffix("</item>") + more


# ---------------------------------------------------------------- network ACLs
def _with_ports(ec2: Any, change: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """The action, which keeps the ports of the entry too."""

    def call(request: Request) -> Answer:
        answer = change(request)
        first = ec2._p(request, "PortRange.From")
        found = ec2._network_acls.get(ec2._p(request, "NetworkAclId"))
        if found is not None and first:
            ports = {"From": int(first), "To": int(ec2._p(request, "PortRange.To"))}
            found["Entries"][-1]["PortRange"] = ports
        return answer

    return call


def _associations(ec2: Any, acl: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The associations of an ACL. A subnet without one belongs to its VPC's default ACL."""
    yield from acl["Associations"]
    if acl["IsDefault"]:
        lists = ec2._network_acls.values()
        taken = {one["SubnetId"] for other in lists for one in other["Associations"]}
        for subnet in ec2._subnets.values():
            if subnet["VpcId"] == acl["VpcId"] and subnet["SubnetId"] not in taken:
                number = f"{_BY_SUBNET}{subnet['SubnetId']}"
                yield {"NetworkAclAssociationId": number, "SubnetId": subnet["SubnetId"]}


def _associated(ec2: Any, request: Request) -> Answer:
    number, target = ec2._p(request, "AssociationId"), ec2._p(request, "NetworkAclId")
    lists = list(ec2._network_acls.values())
    known = [one for acl in lists for one in _associations(ec2, acl)]
    found = [one for one in known if one["NetworkAclAssociationId"] == number]
    if not found or target not in ec2._network_acls:
        text = f"The association '{number}' or the network ACL '{target}' does not exist"
        answer: Answer = ec2._error("InvalidAssociationID.NotFound", text, 400)
        return answer
    for acl in lists:
        acl["Associations"] = [one for one in acl["Associations"] if one not in found]
    subnet = found[0]["SubnetId"]
    new = {"NetworkAclAssociationId": f"{_BY_SUBNET}{subnet}", "SubnetId": subnet}
    if not ec2._network_acls[target]["IsDefault"]:
        ec2._network_acls[target]["Associations"].append(new)
    name = new["NetworkAclAssociationId"]
    body = f"<newAssociationId>{name}</newAssociationId>"
    return _answered(ec2, "ReplaceNetworkAclAssociationResponse", body)


def _access_lists(ec2: Any, request: Request) -> Answer:
    ids = ec2._parse_member_list(request, "NetworkAclId")
    filters = ec2._parse_filters(request)
    wanted, default = filters.get("vpc-id"), filters.get("default")
    items = "".join(
        _access_list(ec2, acl)
        for name, acl in ec2._network_acls.items()
        if (not ids or name in ids)
        and (not wanted or acl["VpcId"] in wanted)
        and (not default or _word(acl["IsDefault"]) in default)
    )
    return _answered(ec2, "DescribeNetworkAclsResponse", f"<networkAclSet>{items}</networkAclSet>")


def _access_list(ec2: Any, acl: dict[str, Any]) -> str:
    entries = "".join(_entry(ec2, one) for one in acl["Entries"])
    associations = "".join(
        f"<item><networkAclAssociationId>{one['NetworkAclAssociationId']}"
        f"</networkAclAssociationId><networkAclId>{acl['NetworkAclId']}</networkAclId>"
        f"<subnetId>{one['SubnetId']}</subnetId></item>"
        for one in _associations(ec2, acl)
    )
    return (
        f"<item><networkAclId>{acl['NetworkAclId']}</networkAclId><vpcId>{acl['VpcId']}</vpcId>"
        f"<default>{_word(acl['IsDefault'])}</default><entrySet>{entries}</entrySet>"
        f"<associationSet>{associations}</associationSet>{ec2._tag_set_xml(acl['NetworkAclId'])}"
        f"<ownerId>{acl['OwnerId']}</ownerId></item>"
    )


def _entry(ec2: Any, one: dict[str, Any]) -> str:
    plain: str = ec2._network_acl_entry_xml(one)
    if (ports := one.get("PortRange")) is None:
        return plain
    range_ = f"<portRange><from>{ports['From']}</from><to>{ports['To']}</to></portRange></item>"
    return plain.strip().removesuffix("</item>") + range_


def _word(value: Any) -> str:
    return "true" if value else "false"


def _answered(ec2: Any, root: str, body: str) -> Answer:
    answer: Answer = ec2._xml(200, root, body)
    return answer

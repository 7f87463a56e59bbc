"""What blocks the way from one subnet to one host: the first obstacle, or None.

    paths.obstacle(From(vpc, "subnet-1", groups), need)

The way is the one that the packet takes: to an interface endpoint if the name resolves to it, to
S3's gateway endpoint if the subnet's routes have it, else by the default route.
"""

from collections.abc import Iterator

from pipeline.doctor.network import obstacles, rules
from pipeline.doctor.network.needs import Need
from pipeline.doctor.network.obstacles import From, Obstacle
from pipeline.doctor.network.seen import Found

_IAM = {
    "sagemaker.api": "sagemaker",
    "ecr.api": "ecr",
    "ecr.dkr": "ecr",
    "monitoring": "cloudwatch",
}


def obstacle(start: From, need: Need) -> Obstacle | None:
    """Return the first obstacle on the way to what a job calls."""
    vpc = start.vpc
    if not vpc.resolves:
        fix = f"aws ec2 modify-vpc-attribute --vpc-id {vpc.id} --enable-dns-support"
        return Obstacle(
            f"AWS's resolver in {vpc.id}",
            "enableDnsSupport: without it only a resolver of yours finds names",
            fix,
            certain=False,
        )
    found = [] if need.is_host else vpc.endpoints_of(need.name)
    named = [one for one in found if one.get("PrivateDnsEnabled") and vpc.has_hostnames]
    tables = [one for one in found if start.table["RouteTableId"] in one.get("RouteTableIds", ())]
    if interfaces := [one for one in named if one["VpcEndpointType"] == "Interface"]:
        every = _to_interface(start, interfaces[0], need)
    elif gateways := [one for one in tables if one["VpcEndpointType"] == "Gateway"]:
        every = _to_gateway(start, gateways[0], need)
    else:
        every = _to_internet(start, need)
    return next(every, None)


# ---------------------------------------------------------------- by an endpoint
def _to_interface(start: From, endpoint: Found, need: Need) -> Iterator[Obstacle]:
    vpc, number = start.vpc, endpoint["VpcEndpointId"]
    subnets = endpoint.get("SubnetIds", ())
    members = [one["GroupId"] for one in endpoint.get("Groups", ())]
    if not subnets:
        fix = f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {number} --add-subnet-ids …"
        yield Obstacle(f"endpoint {number}", "a subnet: it has an address in each", fix)
    lets = [rules.out(start.described, one, members=members) for one in vpc.blocks(subnets)]
    yield from obstacles.egress(start, _worst(lets), (members or vpc.blocks(subnets) or [""])[0])
    theirs = [vpc.groups[one] for one in members if one in vpc.groups]
    let = rules.into(theirs, start.block, members=start.groups)
    if let != "yes":
        theirs_first, ours = (members or ["…"])[0], (start.groups or ("…",))[0]
        fix = (
            f"aws ec2 authorize-security-group-ingress --group-id {theirs_first} --protocol tcp "
            f"--port 443 --source-group {ours}"
        )
        what = f"security group {theirs_first} of the endpoints"
        yield Obstacle(what, f"port 443 in from {ours}", fix, certain=let == "no")
    for one in subnets:
        if one != start.subnet and one in vpc.subnets:
            yield from obstacles.access_lists(
                start, start.subnet, str(vpc.subnets[one]["CidrBlock"])
            )
            yield from obstacles.access_lists(start, one, start.block, inbound=True)
    yield from _policy(endpoint, need)


def _worst(lets: list[rules.Verdict]) -> rules.Verdict:
    return next((one for one in lets if one == "no"), next((o for o in lets if o != "yes"), "yes"))


def _to_gateway(start: From, endpoint: Found, need: Need) -> Iterator[Obstacle]:
    named = (one for one, name in start.vpc.prefix_lists.items() if name.endswith(f".{need.name}"))
    yield from obstacles.egress(
        start, rules.out(start.described, rules.EVERYWHERE, prefix_lists=named)
    )
    yield from obstacles.access_lists(start, start.subnet, rules.EVERYWHERE)
    yield from _policy(endpoint, need)


def _policy(endpoint: Found, need: Need) -> Iterator[Obstacle]:
    service, number = _IAM.get(need.name, need.name), endpoint["VpcEndpointId"]
    let = rules.allows(endpoint.get("PolicyDocument"), service)
    if let != "yes":
        fix = (
            f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {number} --reset-policy, or a policy "
            f"that lets the job's role use {service}"
        )
        what = f"policy of endpoint {number}"
        yield Obstacle(what, f"{service}:* allowed, nothing denied", fix, certain=let == "no")


# ---------------------------------------------------------------- by the default route
def _to_internet(start: From, need: Need) -> Iterator[Obstacle]:
    table = start.table
    default = [
        one for one in table["Routes"] if one.get("DestinationCidrBlock") == rules.EVERYWHERE
    ]
    if not default:
        yield _no_route(start, need)
        return
    yield from obstacles.egress(start, rules.out(start.described, rules.EVERYWHERE))
    yield from obstacles.access_lists(start, start.subnet, rules.EVERYWHERE)
    yield from _through(start, default[0])


def _no_route(start: From, need: Need) -> Obstacle:
    vpc, table = start.vpc, start.table["RouteTableId"]
    others = [] if need.is_host else vpc.endpoints_of(need.name)
    for one in others:
        if one["VpcEndpointType"] == "Gateway":
            fix = (
                f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {one['VpcEndpointId']} "
                f"--add-route-table-ids {table}"
            )
            return Obstacle(f"endpoint {one['VpcEndpointId']}", f"a route of {table}", fix)
        if not vpc.has_hostnames:
            fix = f"aws ec2 modify-vpc-attribute --vpc-id {vpc.id} --enable-dns-hostnames"
            return Obstacle(f"private names in {vpc.id}", "enableDnsHostnames", fix)
        fix = (
            f"aws ec2 modify-vpc-endpoint --vpc-endpoint-id {one['VpcEndpointId']} "
            "--private-dns-enabled"
        )
        return Obstacle(f"private name of endpoint {one['VpcEndpointId']}", "enabled", fix)
    fix = (
        f"aws ec2 create-route --route-table-id {table} --destination-cidr-block "
        f"{rules.EVERYWHERE} --nat-gateway-id …, or an endpoint of each in {vpc.id}"
    )
    # A workspace with PrivateLink has an endpoint of Databricks' own service, or a route of yours.
    of_others = any(".vpce-svc-" in one["ServiceName"] for one in vpc.endpoints)
    routes = [one for one in start.table["Routes"] if "TransitGatewayId" in one]
    certain = not (routes or (need.is_host and of_others))
    return Obstacle(f"route table {table}", f"a route to {rules.EVERYWHERE}", fix, certain=certain)


def _through(start: From, route: Found) -> Iterator[Obstacle]:
    vpc, table = start.vpc, start.table["RouteTableId"]
    what, expected = f"route table {table}", "a default route to a NAT gateway"
    fix = (
        f"aws ec2 replace-route --route-table-id {table} --destination-cidr-block "
        f"{rules.EVERYWHERE} --nat-gateway-id …"
    )
    number = route.get("NatGatewayId")
    if route.get("State") == "blackhole":
        yield Obstacle(what, f"{expected}, not one that is gone", fix)
    elif number is None:
        direct = str(route.get("GatewayId", "")).startswith("igw-")
        why = "a job's interface has no public address" if direct else "what follows is not shown"
        yield Obstacle(what, f"{expected}: {why}", fix, certain=direct)
    elif number not in vpc.nats or vpc.nats[number]["State"] not in ("available", "pending"):
        yield Obstacle(f"NAT gateway {number}", "available", fix)
    elif vpc.nats[number].get("ConnectivityType", "public") == "private":
        yield Obstacle(what, f"{expected} that is public", fix, certain=False)
    else:
        yield from _out_of_nat(start, vpc.nats[number])


def _out_of_nat(start: From, nat: Found) -> Iterator[Obstacle]:
    vpc, public = start.vpc, str(nat["SubnetId"])
    table = vpc.table(public)
    gateways = {
        str(one.get("GatewayId"))
        for one in table["Routes"]
        if one.get("DestinationCidrBlock") == rules.EVERYWHERE
    }
    if not gateways & vpc.gateways:
        fix = (
            f"aws ec2 create-route --route-table-id {table['RouteTableId']} "
            f"--destination-cidr-block {rules.EVERYWHERE} --gateway-id igw-…, attached to {vpc.id}"
        )
        where = f"route table {table['RouteTableId']} of {nat['NatGatewayId']}"
        # a firewall or a transit gateway may be between them
        unclear = any(one.startswith(("vpce-", "None")) for one in gateways)
        yield Obstacle(where, "a route to an internet gateway", fix, certain=not unclear)
    if public != start.subnet:
        yield from obstacles.access_lists(start, public, start.block, inbound=True)
    yield from obstacles.access_lists(start, public, rules.EVERYWHERE)

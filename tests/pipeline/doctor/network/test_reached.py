"""Whatever is taken from a network, the doctor names it once, with what it cuts off."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pipeline.configuration import config as configuration
from pipeline.configuration.config import Config
from pipeline.doctor.check import MISSING, OK, UNKNOWN, Check
from pipeline.doctor.network import reached
from tests.local.aws.support.server import Server, make_server
from tests.pipeline.doctor.network.taken import ENTRIES, TAKEN, Network

pytestmark = pytest.mark.environment
HOST = "dbc-00000000-0000.cloud.databricks.com"
BY_ENDPOINTS = {"secretsmanager", "logs", "ecr.api", "ecr.dkr"}
EVERYTHING = {"s3", HOST} | BY_ENDPOINTS


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = make_server(tmp_path_factory.mktemp("network"))
    found.start()
    try:
        found.deploy()
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def network(server: Server) -> Network:
    pages = server.client("cloudformation").get_paginator("list_stack_resources")
    found = pages.paginate(StackName="governed-finetune-local-network")
    return Network(
        server.client("ec2"),
        {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for page in found
            for one in page["StackResourceSummaries"]
        },
    )


@pytest.fixture(scope="module")
def config(server: Server) -> Config:
    dev = configuration.load("dev")
    prepare = replace(dev.prepare, application_id=server.outputs["ApplicationId"])
    return replace(dev, environment="local", prepare=prepare)


def in_the_vpc(config: Config, server: Server) -> Config:
    subnets = tuple(server.outputs["SubnetIds"].split(","))
    groups = (server.outputs["SecurityGroupIds"],)
    return replace(
        config, train=replace(config.train, subnet_ids=subnets, security_group_ids=groups)
    )


def wrong(config: Config, server: Server) -> list[Check]:
    return [one for one in reached.checked(config, server.client) if one.state != OK]


def test_every_job_of_the_stacks_network_reaches_what_it_calls(
    config: Config, server: Server
) -> None:
    found = list(reached.checked(in_the_vpc(config, server), server.client))
    assert {one.state for one in found} == {OK}
    assert {one.name.partition(": ")[2] for one in found if "Prepare" in one.name} == EVERYTHING
    assert {one.name.partition(": ")[2] for one in found if "Train" in one.name} == {
        *EVERYTHING,
        "monitoring",
    }


# What is taken: the name of the one line, with the resource's logical id; its state; what it cuts.
LINES: dict[str, tuple[str, str, set[str]]] = {
    "the default route": ("route table PrivateRoutesA", MISSING, {HOST}),
    "the way out of NAT": ("route table PublicRoutes of NatA", MISSING, {HOST}),
    "the private name of an endpoint": (
        "private name of endpoint SecretsManagerEndpoint",
        MISSING,
        {"secretsmanager"},
    ),
    "the private name of what AWS calls": (
        "private name of endpoint EcrApiEndpoint",
        UNKNOWN,
        {"ecr.api"},
    ),
    "the private names of the VPC": ("private names in Vpc", MISSING, BY_ENDPOINTS),
    "the resolver": ("AWS's resolver in Vpc", UNKNOWN, EVERYTHING),
    "the gateway's route": ("endpoint S3Endpoint", MISSING, {"s3"}),
    "HTTPS out of the jobs": ("security groups JobsSecurityGroup", MISSING, {"s3", HOST}),
    "HTTPS into the endpoints": (
        "security group EndpointsSecurityGroup of the endpoints",
        MISSING,
        BY_ENDPOINTS,
    ),
    "an endpoint's policy": (
        "policy of endpoint SecretsManagerEndpoint",
        MISSING,
        {"secretsmanager"},
    ),
    "a policy with a condition": (
        "policy of endpoint SecretsManagerEndpoint",
        UNKNOWN,
        {"secretsmanager"},
    ),
    "a policy of another service": ("policy of endpoint S3Endpoint", MISSING, {"s3"}),
    "a route to an internet gateway": ("route table PrivateRoutesA", MISSING, {HOST}),
    "a route to a transit gateway": ("route table PrivateRoutesA", UNKNOWN, {HOST}),
    "an access list without HTTPS out": ("network ACL AccessList", MISSING, EVERYTHING),
    "an access list without answers in": ("network ACL AccessList", MISSING, EVERYTHING),
    "an access list without HTTPS in": ("network ACL AccessList", MISSING, BY_ENDPOINTS),
    "an access list without answers out": ("network ACL AccessList", MISSING, BY_ENDPOINTS),
    **{
        f"an access list of NAT without {name}": ("network ACL AccessList", MISSING, {HOST})
        for name in ENTRIES
    },
}
# Without a route, what has no endpoint is cut off too, by another line.
MORE = {each for each in LINES if "private name" in each or "gateway's" in each}


@pytest.mark.parametrize("taken", LINES)
def test_what_is_taken_is_one_line_with_what_it_cuts_off(
    config: Config, server: Server, network: Network, taken: str
) -> None:
    what, state, cut = LINES[taken]
    with TAKEN[taken](network):
        for logical, physical in network.physical.items():
            what = " ".join(physical if word == logical else word for word in what.split())
        found = wrong(config, server)
    if taken in MORE:
        routes = [one for one in found if one.name.startswith("network of Prepare: route table")]
        assert {one.found for one in routes} == {f"cut off: {HOST}"}
        found = [one for one in found if one not in routes]
    (only,) = found
    assert (only.name, only.state) == (f"network of Prepare: {what}", state)
    assert set(only.found.partition(": ")[2].split(", ")) == cut
    assert only.expected
    assert only.fix
    assert wrong(config, server) == [], "everything is back"


@pytest.mark.parametrize("taken", ["what is inside, out of the jobs", "an access list with all"])
def test_what_no_job_needs_is_not_named(
    config: Config, server: Server, network: Network, taken: str
) -> None:
    with TAKEN[taken](network):
        assert wrong(config, server) == []


def test_each_subnet_without_a_route_is_a_line_for_each_job(
    config: Config, server: Server, network: Network
) -> None:
    with TAKEN["both default routes"](network):
        found = wrong(in_the_vpc(config, server), server)
    assert sorted(one.name for one in found) == sorted(
        f"network of {job}: route table {network[table]}"
        for job in ("Prepare", "Train")
        for table in ("PrivateRoutesA", "PrivateRoutesB")
    )
    assert all(one.fix.startswith("aws ec2 create-route --route-table-id rtb-") for one in found)


def test_without_endpoints_and_routes_everything_but_the_images_is_missing(
    config: Config, server: Server, network: Network
) -> None:
    """What AWS calls for the job may take another way."""
    ec2 = Without(server.client("ec2"))
    with TAKEN["both default routes"](network):
        client = lambda name: ec2 if name == "ec2" else server.client(name)  # noqa: E731
        found = [one for one in reached.checked(config, client) if one.state != OK]
    assert {one.state for one in found} == {MISSING}
    assert {one.found.partition(": ")[0] for one in found} == {"cut off"}
    assert len(found) == 2
    assert all(HOST in one.found and "ecr.api" in one.found for one in found)


class Without:
    """EC2 without an endpoint."""

    def __init__(self, ec2: Any) -> None:
        self._ec2 = ec2

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ec2, name)

    def get_paginator(self, operation: str) -> Any:
        if operation == "describe_vpc_endpoints":
            return self
        return self._ec2.get_paginator(operation)

    def paginate(self, **filters: Any) -> list[dict[str, Any]]:
        return [{"VpcEndpoints": []}]


def test_subnets_that_do_not_exist_are_one_line(config: Config, server: Server) -> None:
    gone = in_the_vpc(config, server)
    gone = replace(gone, train=replace(gone.train, subnet_ids=("subnet-00000000",)))
    (only,) = wrong(gone, server)
    assert (only.name, only.state) == ("network of Train: subnets", MISSING)

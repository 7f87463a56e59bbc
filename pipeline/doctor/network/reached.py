"""Whether each job reaches what it calls, from its own subnets: judged from describe calls.

    for check in reached.checked(config, client): ...

What is cut off by one cause is one line, which names all of it. No packet is sent: a firewall, a
proxy and a workspace's IP access list are not seen.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from pipeline.configuration.config import Config
from pipeline.doctor.check import MISSING, UNKNOWN, Check
from pipeline.doctor.network import needs, paths, seen
from pipeline.doctor.network.needs import Need, Place
from pipeline.doctor.network.obstacles import From, Obstacle
from pipeline.doctor.network.seen import Vpc
from pipeline.doctor.statements import Client, asked


def checked(config: Config, client: Client) -> Iterator[Check]:
    """Yield a line for each host that a job reaches, and one for each cause that it does not."""
    read: dict[str, Vpc] = {}
    for place in needs.places(config, client):
        yield from _place(place, client("ec2"), read, region=config.aws.region)


def _place(place: Place, ec2: Any, read: dict[str, Vpc], *, region: str) -> Iterator[Check]:
    name = f"network of {place.job}"
    if not place.subnets:
        fix = "deploy the layer compute with SubnetIds and SecurityGroupIds"
        yield Check(f"{name}: subnets", MISSING, "subnets with a way to the workspace", "none", fix)
        return
    found = asked(lambda: ec2.describe_subnets(SubnetIds=list(place.subnets))["Subnets"])
    if found is None:
        fix = "give subnets of this account and region"
        expected = f"{' '.join(place.subnets)} to exist"
        yield Check(f"{name}: subnets", MISSING, expected, "one of them does not", fix)
        return
    for subnet in found:
        if (number := subnet["VpcId"]) not in read:
            read[number] = seen.read(ec2, number, region=region)
    ways = [From(read[one["VpcId"]], one["SubnetId"], place.groups) for one in found]
    cut: dict[tuple[str, bool], dict[Obstacle, set[Need]]] = defaultdict(lambda: defaultdict(set))
    for need in place.needs:
        for start in ways:
            if obstacle := paths.obstacle(start, need):
                cut[obstacle.what, obstacle.certain][obstacle].add(need)
    lost = {need for each in cut.values() for found in each.values() for need in found}
    yield from (Check(f"{name}: {need.name}") for need in place.needs if need not in lost)
    yield from (
        _line(name, what, certain=certain, each=each) for (what, certain), each in cut.items()
    )


def _line(name: str, what: str, *, certain: bool, each: dict[Obstacle, set[Need]]) -> Check:
    """Return one line of one cause; `each` has what it lacks, and what that cuts off."""
    unreached = set().union(*each.values())
    certain = certain and not all(need.by_aws for need in unreached)
    word = "cut off" if certain else "perhaps cut off"
    return Check(
        f"{name}: {what}",
        MISSING if certain else UNKNOWN,
        "; ".join(dict.fromkeys(one.expected for one in each)),
        f"{word}: {', '.join(sorted(need.name for need in unreached))}",
        "; ".join(dict.fromkeys(one.fix for one in each)),
    )

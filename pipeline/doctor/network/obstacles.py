"""What may block the way of a job's HTTPS, and the rules of groups and access lists on it.

start = From(vpc, "subnet-1", ("sg-1",))
obstacles.access_lists(start, "subnet-1", "0.0.0.0/0")    # yields each Obstacle
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.doctor.network import rules
from pipeline.doctor.network.seen import Found, Vpc


@dataclass(frozen=True)
class Obstacle:
    """What is in the way. `certain` is false where the describe calls do not decide it."""

    what: str
    expected: str
    fix: str
    certain: bool = True


@dataclass(frozen=True)
class From:
    """A subnet of a VPC with the security groups of a job."""

    vpc: Vpc
    subnet: str
    groups: tuple[str, ...]

    @property
    def block(self) -> str:
        """The subnet's addresses."""
        return str(self.vpc.subnets[self.subnet]["CidrBlock"])

    @property
    def table(self) -> Found:
        """The subnet's routes."""
        return self.vpc.table(self.subnet)

    @property
    def described(self) -> list[Found]:
        """The job's security groups that exist."""
        return [self.vpc.groups[one] for one in self.groups if one in self.vpc.groups]


def egress(start: From, let: rules.Verdict, to: str = rules.EVERYWHERE) -> Iterator[Obstacle]:
    """What the job's groups lack, to a block or to the security group of the endpoints."""
    if let == "yes":
        return
    group = start.groups[0] if start.groups else "…"
    whom = (
        f"UserIdGroupPairs=[{{GroupId={to}}}]"
        if to.startswith("sg-")
        else f"IpRanges=[{{CidrIp={to}}}]"
    )
    fix = (
        f"aws ec2 authorize-security-group-egress --group-id {group} --ip-permissions "
        f"'IpProtocol=tcp,FromPort=443,ToPort=443,{whom}'"
    )
    what = f"security groups {' '.join(start.groups)}"
    yield Obstacle(what, f"port 443 out to {to}", fix, certain=let == "no")


def access_lists(
    start: From, subnet: str, block: str, *, inbound: bool = False
) -> Iterator[Obstacle]:
    """HTTPS from a subnet to a block, or from the block to the subnet, and the answers back."""
    found = start.vpc.access_list(subnet)
    entries, number = found.get("Entries", ()), found.get("NetworkAclId", "none")
    for back in (False, True):
        egress = back == inbound
        ports = rules.ANSWERS if back else rules.HTTPS
        let = rules.passes(entries, block, egress=egress, ports=ports)
        if let != "yes":
            way, option = ("out to", "--egress") if egress else ("in from", "--ingress")
            fix = (
                f"aws ec2 create-network-acl-entry --network-acl-id {number} --rule-number … "
                f"{option} --protocol tcp --port-range From={ports[0]},To={ports[1]} "
                f"--cidr-block {block} --rule-action allow"
            )
            expected = f"ports {ports[0]} to {ports[1]} {way} {block}"
            yield Obstacle(f"network ACL {number}", expected, fix, certain=let == "no")

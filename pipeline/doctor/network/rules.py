"""Whether rules let HTTPS pass: of security groups, of network ACLs, of an endpoint's policy.

    rules.out(groups, "0.0.0.0/0")         # "yes", "no" or "perhaps"

"perhaps" is the answer where a rule lets a part pass, or depends on what no describe call shows.
"""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_network
from typing import Any, Literal

Verdict = Literal["yes", "no", "perhaps"]
Found = Mapping[str, Any]
EVERYWHERE = "0.0.0.0/0"  # where the hosts of AWS and the workspace are, somewhere
HTTPS = (443, 443)
ANSWERS = (1024, 65535)  # the caller's ports, of which a NAT gateway uses each


def out(
    groups: Iterable[Found],
    to: str,
    *,
    members: Iterable[str] = (),
    prefix_lists: Iterable[str] = (),
) -> Verdict:
    """Return whether security groups let HTTPS out to a block.

    Args:
        groups: as EC2 describes them; one that lets it pass is enough.
        to: the block of addresses.
        members: the security groups of what is called.
        prefix_lists: AWS's lists that hold the addresses of what is called.
    """
    rules = [rule for one in groups for rule in one["IpPermissionsEgress"]]
    return _let_pass(rules, to, frozenset(members), frozenset(prefix_lists))


def into(groups: Iterable[Found], of: str, *, members: Iterable[str] = ()) -> Verdict:
    """Return whether security groups let HTTPS in from a block or from members of groups."""
    rules = [rule for one in groups for rule in one["IpPermissions"]]
    return _let_pass(rules, of, frozenset(members), frozenset())


def _let_pass(
    rules: Iterable[Found], block: str, members: frozenset[str], prefix_lists: frozenset[str]
) -> Verdict:
    found: Verdict = "no"
    for rule in rules:
        if str(rule["IpProtocol"]) not in ("-1", "tcp", "6") or not _has_https(rule):
            continue
        if members & {pair.get("GroupId") for pair in rule.get("UserIdGroupPairs", ())}:
            return "yes"
        lists = {one["PrefixListId"] for one in rule.get("PrefixListIds", ())}
        covered = [_covers(one["CidrIp"], block) for one in rule.get("IpRanges", ())]
        if lists & prefix_lists or "yes" in covered:
            return "yes"
        if lists or "perhaps" in covered:
            found = "perhaps"
    return found


def _has_https(rule: Found) -> bool:
    first, last = int(rule.get("FromPort", 0)), int(rule.get("ToPort", 65535))
    return rule["IpProtocol"] == "-1" or first <= 443 <= last


def _covers(rule: str, block: str) -> Verdict:
    theirs, ours = ip_network(rule, strict=False), ip_network(block, strict=False)
    if theirs.version != ours.version:
        return "no"
    if theirs.supernet_of(ours):  # type: ignore[arg-type]
        return "yes"
    if block == EVERYWHERE and theirs.is_private:
        return "no"  # no host of the internet is there
    return "perhaps" if theirs.overlaps(ours) else "no"


def passes(
    entries: Iterable[Found], block: str, *, egress: bool, ports: tuple[int, int]
) -> Verdict:
    """Return whether a network ACL lets TCP pass: the first entry that fits decides."""
    allowed: set[bool] = set()
    for entry in sorted(entries, key=lambda one: int(one["RuleNumber"])):
        if bool(entry["Egress"]) != egress or str(entry["Protocol"]) not in ("-1", "6"):
            continue
        fits = _fits(entry, block, ports)
        if fits == "no":
            continue
        allowed.add(entry["RuleAction"] == "allow")
        if fits == "yes":
            break
    else:
        allowed.add(False)  # the last entry of each ACL denies what none named
    if len(allowed) > 1:
        return "perhaps"
    return "yes" if True in allowed else "no"


def _fits(entry: Found, block: str, ports: tuple[int, int]) -> Verdict:
    if "CidrBlock" not in entry:
        return "no"  # an entry for IPv6
    covered = _covers(str(entry["CidrBlock"]), block)
    named = entry.get("PortRange")
    if named is None or str(entry["Protocol"]) == "-1" or covered == "no":
        return covered
    if named["From"] <= ports[0] and ports[1] <= named["To"]:
        return covered
    return "perhaps" if named["From"] <= ports[1] and ports[0] <= named["To"] else "no"


def allows(policy: str | None, service: str) -> Verdict:
    """Return whether an endpoint's policy lets a job use a service; without one, it does."""
    if not policy:
        return "yes"
    statements = json.loads(policy).get("Statement", ())
    granted: Verdict = "no"
    doubt = False
    for one in [statements] if isinstance(statements, dict) else statements:
        if not any(_names(pattern, service) for pattern in _listed(one.get("Action", "*"))):
            continue
        everything = _is_everything(one, service)
        if one["Effect"] == "Allow":
            granted = "yes" if everything or granted == "yes" else "perhaps"
        elif everything:
            return "no"
        else:
            doubt = True
    return "perhaps" if doubt and granted == "yes" else granted


def _is_everything(statement: Found, service: str) -> bool:
    """Return whether a statement is about every caller, action and object, without a condition."""
    principal = statement.get("Principal")
    who = principal.get("AWS") if isinstance(principal, dict) else principal
    actions = {each.lower() for each in _listed(statement.get("Action"))}
    return (
        "*" in _listed(who)
        and bool(actions & {"*", f"{service}:*"})
        and "*" in _listed(statement.get("Resource", "*"))
        and not statement.get("Condition")
    )


def _names(pattern: str, service: str) -> bool:
    return fnmatchcase(service, pattern.lower().partition(":")[0])


def _listed(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]

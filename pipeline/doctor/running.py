"""What must run, and not only be there: a trail that writes, a worker's service, a rotation, a
SIEM's copy of the logs.

    found = running.READS["AWS::CloudTrail::Trail"](properties, physical, client)

Each answer is what was expected and what was found, by the end of the check's name. What is missing
as a whole has another check (`resources`).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from pipeline.doctor.statements import Client, asked

Properties = Mapping[str, Any]
Found = dict[str, tuple[str, str]]


def _trail(properties: Properties, physical: str, client: Client) -> Found:
    cloudtrail = client("cloudtrail")
    trail = asked(lambda: cloudtrail.get_trail(Name=physical)["Trail"])
    if trail is None:
        return {}
    status = cloudtrail.get_trail_status(Name=physical)
    selectors = cloudtrail.get_event_selectors(TrailName=physical).get("AdvancedEventSelectors")
    return {
        ": writes": ("yes", "yes" if status["IsLogging"] else "no: it was stopped"),
        ": last delivery": ("no error", status.get("LatestDeliveryError") or "no error"),
        ": events": (shown(properties["AdvancedEventSelectors"]), shown(selectors)),
        ": bucket": (properties["S3BucketName"], str(trail.get("S3BucketName"))),
        ": validation of its files": (
            shown(properties["EnableLogFileValidation"]),
            shown(trail.get("LogFileValidationEnabled")),
        ),
        ": every region": (
            shown(properties["IsMultiRegionTrail"]),
            shown(trail.get("IsMultiRegionTrail")),
        ),
        ": key": (_last(properties["KMSKeyId"]), _last(str(trail.get("KmsKeyId")))),
    }


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]


def _service(properties: Properties, physical: str, client: Client) -> Found:
    ecs = client("ecs")
    answer = asked(
        partial(ecs.describe_services, cluster=properties["Cluster"], services=[physical])
    )
    listed = (answer or {}).get("services", ())
    service = next((each for each in listed if each["status"] == "ACTIVE"), None)
    if service is None:
        return {"": ("ACTIVE", "none")}
    wanted = str(properties["DesiredCount"])
    return {
        "": ("ACTIVE", "ACTIVE"),
        ": tasks": (wanted, str(service["desiredCount"])),
        ": running": (wanted, str(service["runningCount"])),
        ": task definition": (properties["TaskDefinition"], str(service["taskDefinition"])),
    }


def _permission(properties: Properties, physical: str, client: Client) -> Found:
    name = properties["FunctionName"]
    policy = asked(lambda: client("lambda").get_policy(FunctionName=name)["Policy"])
    statements = json.loads(policy)["Statement"] if policy else []
    service = properties["Principal"]
    source = shown(properties.get("SourceArn") or properties.get("SourceAccount"))
    got = [
        shown(list(_values(each.get("Condition", {}))))
        for each in statements
        if each.get("Principal", {}).get("Service") == service and each["Effect"] == "Allow"
    ]
    return {f": {service}": (source, source if source in got else ", ".join(got) or "none")}


def _values(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for each in node.values():
            yield from _values(each)
    else:
        yield str(node)


def _rotation(properties: Properties, physical: str, client: Client) -> Found:
    store, secret = client("secretsmanager"), properties["SecretId"]
    found = asked(partial(store.describe_secret, SecretId=secret))
    if found is None or "DeletedDate" in found:
        return {}
    function = found.get("RotationLambdaARN") if found.get("RotationEnabled") else None
    days = found.get("RotationRules", {}).get("AutomaticallyAfterDays")
    return {
        "": (properties["RotationLambdaARN"], function or "none"),
        ": days": (str(properties["RotationRules"]["AutomaticallyAfterDays"]), str(days)),
    }


def _lines(properties: Properties, physical: str, client: Client) -> Found:
    logs, group = client("logs"), properties["LogGroupName"]
    pages = logs.get_paginator("describe_subscription_filters")
    listed = asked(
        lambda: [
            each
            for page in pages.paginate(logGroupName=group)
            for each in page["subscriptionFilters"]
            if each["filterName"] == physical
        ]
    )
    if listed is None:
        return {}  # without its group, which has a line
    if not listed:
        return {"": (f"sends {group}", "none")}
    return {
        ": destination": (properties["DestinationArn"], str(listed[0]["destinationArn"])),
        ": pattern": (shown(properties["FilterPattern"]), shown(listed[0]["filterPattern"])),
    }


def shown(setting: Any) -> str:
    """Return the values of a setting, in one form for the template's and the service's."""
    if setting is None:
        return "none"
    return ", ".join(sorted(_leaves(setting)))


def _leaves(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "BucketKeyEnabled":
                continue  # the service answers it, the template leaves it to the default
            nested = isinstance(value, (Mapping, list))
            yield from _leaves(value) if nested else (f"{key} {each}" for each in _leaves(value))
    elif isinstance(node, list):
        for each in node:
            yield from _leaves(each)
    else:
        yield str(node).lower() if isinstance(node, bool) else str(node)


READS: dict[str, Callable[[Properties, str, Client], Found]] = {
    "AWS::CloudTrail::Trail": _trail,
    "AWS::ECS::Service": _service,
    "AWS::Lambda::Permission": _permission,
    "AWS::Logs::SubscriptionFilter": _lines,
    "AWS::SecretsManager::RotationSchedule": _rotation,
}

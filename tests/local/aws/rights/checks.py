"""The tables as checks: each asks one thing of a world and knows the answer.

wrong = [check for check in checks.all_of(world) if not check.holds(world)]
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from tests.local.aws.rights import conditions, names, refusals, rows, s3_rows, trust
from tests.local.aws.rights.conditions import Request
from tests.local.aws.rights.names import ACCOUNT, PREFIX, REGION, ROLES
from tests.local.aws.rights.world import World, owner

RIGHTS = {**rows.RIGHTS, **s3_rows.RIGHTS}
# Actions that no role has: with each first word of an action that one has, and another.
PROBES = {
    "s3": "GetObjectTorrent PutObjectAcl DeleteObjectTagging ListMultipartUploads AbortX"
    " RestoreObject",
    "sagemaker": "CreateEndpoint DescribeModel StopProcessingJob AddAssociation UpdateTrial"
    " DeletePipeline ListModels StartNotebookInstance SendHeartbeat RetryX SearchX",
    "sqs": "SendX ReceiveX DeleteQueue ChangeX GetQueueUrl PurgeQueue",
    "logs": "CreateDelivery PutRetentionPolicy DescribeExports GetQueryResults FilterX"
    " DeleteLogGroup",
    "secretsmanager": "GetRandomPassword DeleteSecret DescribeX ListX PutX UpdateX",
    "emr-serverless": "StartApplication GetDashboardForJobRun CancelX TagX ListApplications",
    "events": "PutEvents DescribeEventBus DeleteRule",
    "ecr": "BatchDeleteImage GetLifecyclePolicy PutImage",
    "cloudwatch": "PutDashboard GetDashboard DeleteAlarms",
    "ec2": "CreateVpc DeleteVpc DescribeInstances RunInstances",
    "iam": "PassX CreateUser",
    "sts": "GetFederationToken AssumeRoot TagSession",
    "kms": "GetParametersForImport DescribeX Encrypt",
    "datazone": "PostTimeSeriesDataPoints CreateProject",
}


@dataclass(frozen=True)
class Check:
    """One question; `of` names whose or what policies can change the answer."""

    of: tuple[str, ...]
    text: str
    answer: Callable[[World], bool]
    expected: bool

    def holds(self, world: World) -> bool:
        """Whether the world answers as in the tables."""
        return self.answer(world) == self.expected


def every() -> list[Check]:
    """All checks of all tables."""
    return [*_rights(), *_conditional(), *_refused(), *_trusted(), *_services()]


def _rights() -> Iterator[Check]:
    asked: dict[tuple[str, str], set[str]] = dict(RIGHTS)
    for action, resource in RIGHTS:
        for other in _elsewhere(resource):
            asked.setdefault((action, other), set())
        service = action.partition(":")[0]
        for probe in PROBES[service].split():
            asked.setdefault((f"{service}:{probe}", resource), set())
        asked.setdefault(("lambda:InvokeFunction", resource), set())
    for (action, resource), who in asked.items():
        for name in ROLES:
            yield _own(name, Request(action, resource), name in who, by_resource=False)


def _elsewhere(resource: str) -> Iterator[str]:
    if resource != "*":
        for ours, other in ((PREFIX, "governed-finetune-other"), (ACCOUNT, "111111111111")):
            if ours in resource:
                yield resource.replace(ours, other)
        if REGION in resource:
            yield resource.replace(REGION, "eu-west-1")


def _conditional() -> Iterator[Check]:
    asked = list(conditions.OWN)
    for request, who in conditions.OWN:
        if who:
            asked.extend((each, set()) for each in _beside(request))
    for request, who in asked:
        for name in ROLES:
            yield _own(name, request, name in who, by_resource=True)


def _beside(request: Request) -> Iterator[Request]:
    """The same request for another action, and on the resource of another account."""
    service = request.action.partition(":")[0]
    for action in (*(f"{service}:{each}" for each in PROBES[service].split()), "lambda:X"):
        yield replace(request, action=action)
    for other in _elsewhere(request.resource):
        yield replace(request, resource=other)


def _own(name: str, request: Request, expected: bool, *, by_resource: bool) -> Check:
    method = World.allows if by_resource else World.may
    of = _of(name, request) if by_resource else _of(name, None)
    return Check(of, f"{name}: {request}", partial(method, name=name, request=request), expected)


def _of(name: str, request: Request | None) -> tuple[str, ...]:
    own = (f"identity {name}",)
    return own if request is None else (*own, f"resource {owner(request.resource)}")


def _refused() -> Iterator[Check]:
    beside = {(repr(each), each.action): (each, who) for each, who in _unnamed()}
    for request, who in (*refusals.REFUSED, *beside.values()):
        for name in refusals.LIFTED:
            yield Check(
                _of(name, request),
                f"{name}, lifted: {request}",
                partial(World.allows, name=name, request=request, lifted=True),
                name in who,
            )


def _unnamed() -> Iterator[conditions.Row]:
    """An action with the same first word that no statement names: is a Deny too wide?"""
    for request, _ in refusals.REFUSED:
        service, verb = request.action.split(":")
        word = re.findall("^[A-Z][a-z]*", verb)[0]
        who = refusals.ALL
        if service == "s3" and word in ("Put", "Delete", "Create"):
            who = who - refusals.READ_ONLY
        keys = (names.SIGNING_KEY, names.APPROVAL_KEY, names.TRAIL_KEY)
        if request.resource in keys or not request.tls:
            who = set()  # a key's own policy must allow
        yield replace(request, action=f"{service}:{word}X"), who


def _trusted() -> Iterator[Check]:
    for caller, keys, action in trust.ASSUMPTIONS:
        may = trust.trusted(caller, keys, action)
        for name in ROLES:
            yield Check(
                (f"trust {name}",),
                f"{caller} {keys} becomes {name} by {action}",
                partial(World.may_assume, name=name, caller=caller, keys=keys, action=action),
                name in may,
            )


def _services() -> Iterator[Check]:
    for expected, table in ((True, trust.LET_IN), (False, trust.KEPT_OUT)):
        for service, request in table:
            answer = partial(World.lets_in, service=service, request=request)
            yield Check(_of("", request), f"{service}: {request}", answer, expected)

"""Who may become which role, and which services a resource's own policy lets in."""

from tests.local.aws.rights.conditions import EMR, LAMBDA, SAGEMAKER, Request
from tests.local.aws.rights.names import (
    ACCOUNT,
    HERE,
    PREFIX,
    REPOSITORY,
    THE_TRAIL,
    TOPIC,
    TRAIL,
    TRAIL_FILE,
    TRAIL_KEY,
    role,
)

OTHER = "111111111111"


def _person(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/person-{name}"


GITHUB, GITLAB = "token.actions.githubusercontent.com", "gitlab.com"
SUBJECTS = {
    GITHUB: "repo:example/models:environment:dev",
    GITLAB: "project_path:g/n:ref_type:branch:ref:x",
}
AUDIENCES = {GITHUB: "sts.amazonaws.com", GITLAB: "https://gitlab.com"}
# who is given as a parameter; uc-storage's principal is Databricks' own
PRINCIPALS = {name: _person(name) for name in ("ci", "scientist", "auditor", "approver")}
PRINCIPALS |= {name: _person(name) for name in ("reconciler", "register", "mirror")}
DATABRICKS, EXTERNAL_ID = f"arn:aws:iam::{OTHER}:role/unity-catalog", "an-external-id"
CALLERS = {*PRINCIPALS.values(), DATABRICKS, role("uc-storage"), role("train"), _person("other")}
OURS, THEIRS = ({"aws:sourceaccount": account} for account in (ACCOUNT, OTHER))
ECS = "ecs-tasks.amazonaws.com"
SERVICES = {EMR, SAGEMAKER, LAMBDA, ECS, "ec2.amazonaws.com"}
BY_SERVICE = {SAGEMAKER: {"pipeline", "train", "scientist"}, EMR: {"prepare"}}
BY_SERVICE |= {ECS: {"register", "worker-execution"}}
# these have no condition: Lambda sends no aws:SourceAccount
WITHOUT_ACCOUNT = {LAMBDA: {"register", "secret-age", "rotation"}}


WEB, ASSUME = "sts:AssumeRoleWithWebIdentity", "sts:AssumeRole"


def trusted(service_or_arn: str, keys: dict[str, str], action: str) -> set[str]:
    """The roles that a caller may assume with these condition keys."""
    if action not in (WEB, ASSUME):
        return set()
    if action == WEB:
        good = any(
            service_or_arn.endswith(f"oidc-provider/{issuer}")
            and keys.get(f"{issuer}:aud") == AUDIENCES[issuer]
            and keys.get(f"{issuer}:sub") == SUBJECTS[issuer]
            for issuer in SUBJECTS
        )
        return {"ci"} if good else set()
    if service_or_arn in SERVICES:
        of_account = BY_SERVICE.get(service_or_arn, set()) if keys == OURS else set()
        return of_account | WITHOUT_ACCOUNT.get(service_or_arn, set())
    if service_or_arn in (DATABRICKS, role("uc-storage")):
        return {"uc-storage"} if keys == {"sts:externalid": EXTERNAL_ID} else set()
    return {name for name, arn in PRINCIPALS.items() if arn == service_or_arn}


def _web(issuer: str, **changed: str | None) -> tuple[str, dict[str, str]]:
    values = {"aud": AUDIENCES[issuer], "sub": SUBJECTS[issuer]} | changed
    keys = {f"{issuer}:{name}": value for name, value in values.items() if value is not None}
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}", keys


CHANGES: tuple[dict[str, str | None], ...] = (
    *({}, {"aud": "another"}, {"sub": "another"}, {"aud": None}, {"sub": None}),
)
_BY_ARN: list[tuple[str, dict[str, str]]] = [
    *((service, keys) for service in sorted(SERVICES) for keys in (OURS, THEIRS, {})),
    *(
        (caller, keys)
        for caller in sorted(CALLERS)
        for keys in ({}, {"sts:externalid": EXTERNAL_ID}, {"sts:externalid": "another"})
    ),
]
_BY_TOKEN = [
    *(_web(issuer, **changed) for issuer in SUBJECTS for changed in CHANGES),
    *((f"arn:aws:iam::{ACCOUNT}:oidc-provider/elsewhere", _web(each)[1]) for each in SUBJECTS),
]
# (caller, condition keys, action)
ASSUMPTIONS: list[tuple[str, dict[str, str], str]] = [
    *((*each, action) for each in _BY_ARN for action in (ASSUME, "sts:AssumeRoleX", "sts:Other")),
    *((*each, "other:Action") for each in _BY_ARN),
    *((*each, action) for each in _BY_TOKEN for action in (WEB, "sts:AssumeRoleX", "sts:Other")),
    *((*each, "other:Action") for each in _BY_TOKEN),
]


APPLICATIONS, FUNCTIONS = f"emr-serverless:{HERE}:/applications/x", f"lambda:{HERE}:function:"
PULLS, SEES = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"), "ecr:DescribeImages"
EVENTS, CLOUDWATCH, PUBLISH = "events.amazonaws.com", "cloudwatch.amazonaws.com", "sns:Publish"


def _pull(service: str, action: str, image: str, source: str | None) -> tuple[str, Request]:
    keys: dict[str, object] = {} if source is None else {"aws:sourcearn": f"arn:aws:{source}"}
    return service, Request(action, f"{REPOSITORY}/{image}", keys)


def _publish(service: str, keys: dict[str, str]) -> tuple[str, Request]:
    return service, Request(PUBLISH, TOPIC, dict(keys))


CLOUDTRAIL, CONTEXT = "cloudtrail.amazonaws.com", "kms:encryptioncontext:aws:cloudtrail:arn"
OTHER_TRAILS = (None, f"{THE_TRAIL}-other", THE_TRAIL.replace(ACCOUNT, OTHER))


def _trail(
    action: str,
    resource: str,
    source: str | None = THE_TRAIL,
    *,
    service: str = CLOUDTRAIL,
    **changed: str | None,
) -> tuple[str, Request]:
    """CloudTrail's own call for a trail; `changed` are its other keys."""
    keys: dict[str, object] = {"aws:principalservicename": service}
    own = {"acl": "bucket-owner-full-control", "context": THE_TRAIL} | changed
    names = {"acl": "s3:x-amz-acl", "context": CONTEXT}
    keys |= {names[name]: value for name, value in own.items() if value is not None}
    keys |= {} if source is None else {"aws:sourcearn": source}
    return service, Request(action, resource, keys)


_LOOKS = (("s3:GetBucketAcl", TRAIL), ("kms:DescribeKey", TRAIL_KEY))
_WRITES = (("s3:PutObject", TRAIL_FILE), ("kms:GenerateDataKey", TRAIL_KEY))
TRAIL_LET_IN = [_trail(*each) for each in (*_LOOKS, *_WRITES)]
TRAIL_KEPT_OUT = [
    *(_trail(*each, source) for each in (*_LOOKS, *_WRITES) for source in OTHER_TRAILS),
    *(_trail(*each, service=LAMBDA) for each in (*_LOOKS, *_WRITES)),
    *(_trail(*_WRITES[0], acl=acl) for acl in (None, "private")),
    *(_trail(*_WRITES[1], context=other) for other in (None, f"{THE_TRAIL}-other")),
    *(
        _trail("s3:PutObject", f"{TRAIL}/{place}")
        for place in ("x", f"AWSLogs/{OTHER}/CloudTrail/f.json.gz", "AWSLogs/x")
    ),
    *(_trail(f"s3:{action}", TRAIL) for action in ("GetX", "ListBucket", "GetBucketPolicy")),
    *(_trail(f"s3:{action}", TRAIL_FILE) for action in ("PutX", "GetObject", "DeleteObject")),
    *(_trail(f"kms:{action}", TRAIL_KEY) for action in ("Decrypt", "GenerateX", "DescribeX")),
    *(_trail("iam:PassRole", resource) for resource in (TRAIL, TRAIL_FILE, TRAIL_KEY)),
]
THEIR_APPLICATIONS, OUR_FUNCTION = (
    APPLICATIONS.replace(ACCOUNT, OTHER),
    f"{FUNCTIONS}{PREFIX}-register",
)
LET_IN = [
    *TRAIL_LET_IN,
    *(_pull(EMR, action, "prepare", APPLICATIONS) for action in (*PULLS, SEES)),
    *(_pull(LAMBDA, action, "register", OUR_FUNCTION) for action in PULLS),
    *(_publish(service, OURS) for service in (EVENTS, CLOUDWATCH)),
]
KEPT_OUT = [
    *TRAIL_KEPT_OUT,
    *(_pull(EMR, action, "prepare", source) for action in PULLS for source in (None, FUNCTIONS)),
    _pull(EMR, PULLS[0], "prepare", THEIR_APPLICATIONS),
    _pull(LAMBDA, PULLS[0], "prepare", APPLICATIONS),
    *(_pull(EMR, action, "prepare", APPLICATIONS) for action in ("ecr:PutImage", "ecr:GetX")),
    *(_pull(EMR, action, "prepare", APPLICATIONS) for action in ("ecr:BatchX", "ecr:DescribeX")),
    _pull(EMR, "iam:PassRole", "prepare", APPLICATIONS),
    *(_pull(LAMBDA, PULLS[0], "register", source) for source in (None, f"{FUNCTIONS}other")),
    _pull(LAMBDA, PULLS[0], "register", OUR_FUNCTION.replace(ACCOUNT, OTHER)),
    *(_pull(LAMBDA, action, "register", OUR_FUNCTION) for action in ("ecr:PutImage", SEES)),
    *(_pull(LAMBDA, action, "register", OUR_FUNCTION) for action in ("ecr:BatchX", "ecr:GetX")),
    _pull(EMR, PULLS[0], "register", OUR_FUNCTION),
    *(_publish(service, keys) for service in (EVENTS, CLOUDWATCH) for keys in (THEIRS, {})),
    _publish(LAMBDA, OURS),
    *((EVENTS, Request(action, TOPIC, dict(OURS))) for action in ("sns:Subscribe", "sns:PublishX")),
    (EVENTS, Request("iam:PassRole", TOPIC, dict(OURS))),
]

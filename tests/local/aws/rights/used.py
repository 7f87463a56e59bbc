"""Which of the allowed actions a run uses: the recorded calls against the policies.

    used.allowed(world)             # {("train", "s3:GetObject"), …}
    used.outside(world, calls)      # recorded and allowed calls that the policies do not allow

UNUSED is signed: each entry has the reason why a life on one machine does not make the call. An
entry that a life uses, or that no policy has any more, fails the test.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.local.aws.rights.conditions import Request
from tests.local.aws.rights.names import APPLICATION, APPROVAL_KEY, PREFIX, SIGNING_KEY
from tests.local.aws.rights.world import World

Pair = tuple[str, str]
# IAM never denies it, so no policy has it
ALWAYS_ALLOWED = "sts:GetCallerIdentity"
_STUDIO = "Studio calls it to show executions, curves and tags (docs/permissions.md)"
_LARGE = "only uploads in parts are aborted; the example's files are smaller than one part"
_DATABRICKS = (
    "Databricks' control plane and clusters call it; the embedded workspace narrows a session"
)
_ABSENT = "S3 asks for it before it says that an object is absent; all that it reads are there"
UNUSED: dict[Pair, str] = {
    **{(name, "s3:ListBucket"): _ABSENT for name in ("prepare", "auditor")},
    ("register", "emr-serverless:GetApplication"): "only where a job run states no image",
    **{
        ("scientist", action): _STUDIO
        for action in (
            *("sagemaker:ListPipelines", "sagemaker:Search", "sagemaker:ListTags"),
            "cloudwatch:GetMetricData",
        )
    },
    **{(name, "s3:AbortMultipartUpload"): _LARGE for name in ("train", "mirror", "uc-storage")},
    **{
        ("uc-storage", f"s3:{action}"): _DATABRICKS
        for action in (
            *("GetBucketLocation", "ListBucketMultipartUploads", "ListMultipartUploadParts"),
        )
    },
}
# (role, action): a vended session may do less than its role
REFUSED: dict[Pair, str] = {
    (
        "uc-storage",
        "s3:ListBucket",
    ): "a reader asks for the whole bucket, and its session has one table",
}


def allowed(world: World) -> set[Pair]:
    """Each role with each action that some policy allows to it by name."""
    found = set()
    for document in world.documents.values():
        if document.kind == "identity":
            found |= {
                (name, action)
                for statement in document.parsed
                if statement.effect == "Allow"
                for name in document.of
                for action in statement.actions
            }
        elif ":kms:" in document.of[0]:
            found |= set(_by_key(document.body["Statement"]))
    return found


def _by_key(statements: Iterable[Mapping[str, Any]]) -> Iterator[Pair]:
    for statement in statements:
        principals, actions = statement["Principal"].get("AWS", []), statement["Action"]
        for principal in [principals] if isinstance(principals, str) else principals:
            for action in [actions] if isinstance(actions, str) else actions:
                if PREFIX in principal:
                    yield principal.rpartition(f"{PREFIX}-")[2], action


def outside(world: World, calls: Iterable[Mapping[str, Any]], application: str) -> list[Pair]:
    """The calls that IAM allowed in a run and that these policies do not allow."""
    return [
        (call["role"], call["action"])
        for call in calls
        if call["allowed"] and call["action"] != ALWAYS_ALLOWED
        if not _allows(world, call, application)
    ]


def _allows(world: World, call: Mapping[str, Any], application: str) -> bool:
    resource = call["resource"].replace(application, APPLICATION.rpartition("/")[2])
    keys = {name.lower(): value for name, value in call["keys"].items()}
    name = call["role"].removeprefix(f"{PREFIX}-")
    # a key's id is an account's own; each of the two policies is asked
    resources = (SIGNING_KEY, APPROVAL_KEY) if ":kms:" in resource else (resource,)
    return any(world.allows(name, Request(call["action"], each, keys, True)) for each in resources)

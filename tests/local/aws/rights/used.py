"""Which of the allowed actions a run uses: the recorded calls against the policies.

    used.allowed(world)             # {("train", "s3:GetObject"), …}
    used.outside(world, calls)      # recorded and allowed calls that the policies do not allow

UNUSED is signed: each entry has the reason why no run on one machine makes the call.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.local.aws.rights.conditions import Request
from tests.local.aws.rights.names import APPLICATION, APPROVAL_KEY, PREFIX, SIGNING_KEY
from tests.local.aws.rights.world import World

Pair = tuple[str, str]
# IAM never denies it, so no policy has it
ALWAYS_ALLOWED = "sts:GetCallerIdentity"
_SERVICE = "AWS's service calls it with this role; the embedded service needs no call"
_SHOWN = "Studio and the console call it to show executions, curves and tags"
_LARGE = "only uploads in parts are aborted; the example's files are smaller than one part"
_KEY = "for a person who looks at the key; the steps need its public half only"
_FAULT = (
    "of a fault, which a clean run does not have: tests/steps/reconcile and tests/steps/register"
)
_DATABRICKS = (
    "Databricks' control plane and clusters call it; the embedded workspace narrows a session"
)
_ABSENT = "not a separate call: with it S3 answers 404, not 403, for an object that is absent"
_BY_HAND = "for a person who looks at rules, lists and logs; the commands read by id"
UNUSED: dict[Pair, str] = {
    **{
        ("auditor", action): _BY_HAND
        for action in (
            *("s3:GetBucketPolicy", "s3:GetObjectRetention", "emr-serverless:ListJobRuns"),
            *("emr-serverless:GetApplication", "sagemaker:DescribePipeline"),
            *("sagemaker:ListPipelineExecutions", "sagemaker:ListPipelineVersions"),
            *("sagemaker:ListTags", "kms:GetPublicKey"),
        )
    },
    ("scientist", "logs:FilterLogEvents"): _BY_HAND,
    **{(name, "kms:GetPublicKey"): _BY_HAND for name in ("ci", "scientist")},
    **{(name, "s3:ListBucket"): _ABSENT for name in ("prepare", "approver")},
    (
        "prepare",
        "s3:GetObject",
    ): "only of an execution that reuses examples, or after a lost answer",
    ("register", "emr-serverless:GetApplication"): "only where a job states no image",
    ("register", "sagemaker:UpdatePipelineExecution"): "only of a registration that waits",
    ("ci", "sagemaker:DeleteTags"): "only when conf has a tag less than before",
    **{
        ("train", action): _SERVICE
        for action in (
            *("ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability"),
            *("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "cloudwatch:PutMetricData"),
            "logs:DescribeLogStreams",
        )
    },
    **{
        ("prepare", action): _SERVICE
        for action in ("logs:DescribeLogGroups", "logs:DescribeLogStreams")
    },
    **{
        ("pipeline", action): _SERVICE
        for action in (
            *("events:PutRule", "events:PutTargets", "events:DescribeRule"),
            "emr-serverless:GetApplication",
        )
    },
    **{
        ("register", f"logs:{action}"): "Lambda writes the worker's log; here it is a file"
        for action in ("CreateLogGroup", "CreateLogStream", "PutLogEvents", "DescribeLogStreams")
    },
    **{
        ("scientist", action): _SHOWN
        for action in (
            *("sagemaker:ListPipelines", "sagemaker:Search", "sagemaker:ListTags"),
            *("cloudwatch:GetMetricData", "sagemaker:UpdatePipelineExecution"),
        )
    },
    **{(name, "s3:AbortMultipartUpload"): _LARGE for name in ("train", "mirror", "uc-storage")},
    **{
        (name, "kms:DescribeKey"): _KEY
        for name in ("register", "approver", "auditor", "ci", "scientist")
    },
    **{
        ("uc-storage", action): _DATABRICKS
        for action in (
            *("s3:GetBucketLocation", "s3:ListBucketMultipartUploads"),
            *("s3:ListMultipartUploadParts", "sts:AssumeRole"),
        )
    },
    **{
        ("reconciler", f"sqs:{action}"): _FAULT
        for action in ("DeleteMessage", "ChangeMessageVisibility", "SendMessage")
    },
    ("register", "sagemaker:SendPipelineExecutionStepFailure"): _FAULT,
    ("register", "sqs:ChangeMessageVisibility"): "only of a registration that lasts longer",
    **{
        ("mirror", f"s3:{action}"): "the setup mirrors the model as root; a whole mirror stays"
        for action in ("PutObject", "DeleteObject")
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

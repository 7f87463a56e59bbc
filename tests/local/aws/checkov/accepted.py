"""Findings of checkov on conf/infrastructure that stay, each with the reason (decision 058).

The findings of a check are of the resources here and of no other; a repaired one fails the test.
"""

from dataclasses import dataclass

VERSION = "3.3.30"


@dataclass(frozen=True)
class Accepted:
    """Resources of one check, by logical id, and why they are as they are."""

    resources: frozenset[str]
    reason: str


def _of(resources: str, reason: str) -> Accepted:
    return Accepted(frozenset(resources.split()), reason)


_OWN_KEY = (
    "encrypted with AWS's own key of the service. A key of the account adds a policy that every"
    " role, service and Databricks must be in, and it can be deleted with all that it encrypts"
)
ACCEPTED = {
    "CKV_AWS_18": _of(
        "GovernedBucket EvidenceBucket ArtifactsBucket TrailBucket",
        "the trail has each call on the objects of the three (decision 067); access logs are best"
        " effort and not for a locked bucket. Only CloudTrail writes to the trail's bucket",
    ),
    "CKV_AWS_21": _of(
        "GovernedBucket",
        "Delta keeps the versions of tables; an old version of an object would outlive VACUUM and"
        " a deletion that a law demands",
    ),
    "CKV_AWS_26": _of(
        "Topic",
        "messages have names and statuses. With AWS's key of SNS neither alarms nor rules could"
        " publish, since its policy does not name CloudWatch and EventBridge",
    ),
    "CKV_AWS_27": _of(
        "RegisterQueue RegisterDeadLetters",
        "both have SqsManagedSseEnabled, which the check does not know",
    ),
    "CKV_AWS_51": _of(
        "PrepareRepository TrainRepository RegisterRepository EvidenceRepository",
        "images are deployed by digest; the tag `build` moves (scripts/images)",
    ),
    "CKV_AWS_115": _of(
        "Worker SecretAge Rotation",
        "the event source's MaximumConcurrency is 2, and nothing else invokes it; the other two"
        " are called by one schedule each",
    ),
    "CKV_AWS_116": _of(
        "Worker SecretAge Rotation",
        "its messages come from a queue with a dead-letter queue; no call of it is asynchronous."
        " Secrets Manager repeats a rotation, and a day without an age is an alarm",
    ),
    "CKV_AWS_117": _of(
        "Worker SecretAge Rotation",
        "they reach the workspace or Secrets Manager and nothing in a VPC; on ECS it is in one",
    ),
    "CKV_AWS_136": _of(
        "PrepareRepository TrainRepository RegisterRepository EvidenceRepository", _OWN_KEY
    ),
    "CKV_AWS_149": _of(
        "PrepareSecret TrainSecret RegisterSecret ScientistSecret AuditorSecret ReconcilerSecret"
        " ApproverSecret",
        _OWN_KEY + "; databricks.identity federated stores no secret",
    ),
    "CKV_AWS_158": _of("TrainingLogs PrepareLogs WorkerLogs ContainerLogs SecretsLogs", _OWN_KEY),
    "CKV_AWS_173": _of(
        "Worker SecretAge Rotation", _OWN_KEY + "; the variables hold names of secrets, no secret"
    ),
}

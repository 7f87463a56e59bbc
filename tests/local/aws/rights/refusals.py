"""What is refused even to who has every right by another policy: each request, and who of them may.

Each role is asked with AdministratorAccess added to its policies, and so are an administrator and
the break-glass role. So these rows are of the Deny statements: of buckets, queues, keys and roles.
"""

from tests.local.aws.rights.conditions import Request, Row
from tests.local.aws.rights.names import (
    APPROVAL,
    APPROVAL_KEY,
    ARCHIVE,
    ARTIFACTS,
    CHECKPOINT,
    DEAD,
    EVIDENCE,
    EXECUTION,
    GOVERNED,
    HERE,
    LEDGER,
    OF_PREPARE,
    OF_REGISTER,
    OF_TRAIN,
    PIPELINE,
    QUEUE,
    ROLES,
    RUN,
    SIGNING_KEY,
    TABLE,
    THE_TRAIL,
    TRAIL,
    TRAIL_FILE,
    TRAIL_KEY,
    WEIGHTS,
)
from tests.local.aws.rights.rows import NOBODY, rows

GLASS = "break-glass"
LIFTED = (*ROLES, "administrator", GLASS)
ALL = set(LIFTED)
READ_ONLY = {"auditor", "reconciler"}  # whose own policies deny writing
CREATED: dict[str, object] = {"s3:if-none-match": "*", "s3:objectcreationoperation": "true"}
REPLACED: dict[str, object] = {"s3:objectcreationoperation": "true"}
PART: dict[str, object] = {"s3:objectcreationoperation": "false"}
RULES = (
    "PutBucketPolicy DeleteBucketPolicy PutBucketObjectLockConfiguration PutBucketPublicAccessBlock"
    " PutBucketOwnershipControls PutBucketAcl PutEncryptionConfiguration DeleteBucket"
    " PutReplicationConfiguration"
)
ADMINISTERS = (
    "CancelKeyDeletion CreateAlias DeleteAlias DescribeKey DisableKey EnableKey GetKeyPolicy"
    " GetPublicKey ListGrants ListKeyPolicies ListResourceTags PutKeyPolicy RevokeGrant"
    " ScheduleKeyDeletion TagResource UntagResource UpdateAlias UpdateKeyDescription"
)


def _asked(service: str, resource: str, found: dict[str, set[str]]) -> list[Row]:
    return [(Request(*key), who) for key, who in rows(service, resource, found).items()]


def _put(key: str, who: set[str]) -> list[Row]:
    """Creating, replacing and a part of an upload: only the first and the last have a writer."""
    return [
        (Request("s3:PutObject", key, CREATED), who),
        (Request("s3:PutObject", key, REPLACED), NOBODY),
        (Request("s3:PutObject", key, PART), who),
    ]


_OF_EVIDENCE: list[Row] = [
    *_put(OF_PREPARE, {"prepare"}),
    *_put(OF_TRAIN, {"train"}),
    *_put(OF_REGISTER, {"register"}),
    *_put(LEDGER, {"register", "approver"}),
    *_put(APPROVAL, {"approver"}),
    *_put(f"{RUN}/other/x", NOBODY),
    *_put(f"{EVIDENCE}/elsewhere", NOBODY),
    *_asked("s3", EVIDENCE, {RULES: {GLASS}, "ListBucket GetBucketPolicy": ALL}),
    *_asked("s3", EVIDENCE, {"PutBucketVersioning PutLifecycleConfiguration": NOBODY}),
    *_asked("s3", EVIDENCE, {"PutBucketTagging": ALL - READ_ONLY}),
    *_asked(
        "s3",
        OF_TRAIN,
        {
            "DeleteObject DeleteObjectVersion DeleteObjectTagging PutObjectAcl": NOBODY,
            "BypassGovernanceRetention PutObjectRetention PutObjectLegalHold": {GLASS},
            "PutObjectTagging": ALL - READ_ONLY,
            "GetObject AbortMultipartUpload": ALL,
            "RestoreObject": ALL - {"auditor"},
        },
    ),
    *((Request(each, OF_TRAIN, {}, tls=False), NOBODY) for each in ("s3:GetObject", "s3:X")),
    *((Request(each, EVIDENCE, {}, tls=False), NOBODY) for each in ("s3:ListBucket", "s3:X")),
]
_OF_TRAIL: list[Row] = [
    *_asked("s3", TRAIL, {RULES: {GLASS}, "ListBucket GetBucketPolicy": ALL}),
    *_asked("s3", TRAIL, {"PutBucketVersioning": NOBODY, "PutLifecycleConfiguration": {GLASS}}),
    *_asked("s3", TRAIL, {"PutBucketTagging": ALL - READ_ONLY}),
    *_asked("s3", f"{TRAIL}/elsewhere", {"PutObject": NOBODY}),
    *_asked(
        "s3",
        TRAIL_FILE,
        {
            "PutObject DeleteObject DeleteObjectVersion DeleteObjectTagging PutObjectAcl": NOBODY,
            "BypassGovernanceRetention PutObjectRetention PutObjectLegalHold": {GLASS},
            "PutObjectTagging": ALL - READ_ONLY,
            "GetObject AbortMultipartUpload": ALL,
            "RestoreObject": ALL - {"auditor"},
        },
    ),
    *((Request(each, TRAIL_FILE, {}, tls=False), NOBODY) for each in ("s3:GetObject", "s3:X")),
    *((Request(each, TRAIL, {}, tls=False), NOBODY) for each in ("s3:ListBucket", "s3:X")),
]
_OF_ARTIFACTS: list[Row] = [
    *_asked("s3", ARCHIVE, {"PutObject DeleteObjectTagging": {"train"}, "GetObject": ALL}),
    *_asked("s3", ARCHIVE, {"DeleteObject DeleteObjectVersion": NOBODY}),
    *_asked("s3", ARCHIVE, {"PutObjectTagging": ALL - READ_ONLY}),
    *_asked("s3", CHECKPOINT, {"PutObject DeleteObject DeleteObjectTagging": {"train"}}),
    *_asked("s3", CHECKPOINT, {"DeleteObjectVersion": NOBODY, "GetObject": ALL}),
    *_asked("s3", WEIGHTS, {"PutObject DeleteObject": ALL - READ_ONLY}),
    *_asked("s3", WEIGHTS, {"DeleteObjectVersion": NOBODY}),
    *_asked("s3", WEIGHTS, {"RestoreObject": ALL - {"auditor"}}),
    *_asked("s3", WEIGHTS, {"BypassGovernanceRetention": ALL - READ_ONLY}),
    *_asked("s3", WEIGHTS, {"GetObject AbortMultipartUpload": ALL}),
    *_asked("s3", ARTIFACTS, {"DeleteBucket PutBucketPolicy": ALL - READ_ONLY}),
    *_asked("s3", ARTIFACTS, {"CreateBucket": ALL - READ_ONLY, "ListBucket": ALL}),
    *((Request(each, WEIGHTS, {}, tls=False), NOBODY) for each in ("s3:GetObject", "s3:X")),
    *((Request(each, ARTIFACTS, {}, tls=False), NOBODY) for each in ("s3:ListBucket", "s3:X")),
]
_OF_GOVERNED: list[Row] = [
    *_asked(
        "s3",
        TABLE,
        {
            "GetObject GetObjectTagging GetObjectVersion PutObject PutObjectTagging": {
                "uc-storage"
            },
            "DeleteObject DeleteObjectTagging DeleteObjectVersion RestoreObject": {"uc-storage"},
            "AbortMultipartUpload ListMultipartUploadParts": {"uc-storage"},
            "BypassGovernanceRetention": ALL - READ_ONLY,
        },
    ),
    *_asked(
        "s3",
        GOVERNED,
        {
            "ListBucket ListBucketVersions ListBucketMultipartUploads": {"uc-storage"},
            "GetBucketPolicy GetBucketLocation": ALL,
            "PutBucketPolicy": ALL - READ_ONLY,
        },
    ),
    *((Request(each, TABLE, {}, tls=False), NOBODY) for each in ("s3:GetObject", "s3:X")),
    *((Request(each, GOVERNED, {}, tls=False), NOBODY) for each in ("s3:ListBucket", "s3:X")),
]
_OF_QUEUES: list[Row] = [
    *_asked(
        "sqs",
        QUEUE,
        {
            "SendMessage": {"pipeline", "reconciler"},
            "ReceiveMessage DeleteMessage ChangeMessageVisibility": {"register"},
            "GetQueueAttributes PurgeQueue": ALL,
        },
    ),
    *_asked(
        "sqs",
        DEAD,
        {
            "ReceiveMessage DeleteMessage ChangeMessageVisibility": {"reconciler"},
            "StartMessageMoveTask": {"reconciler"},
            "GetQueueAttributes SendMessage": ALL,
        },
    ),
    *(
        (Request(f"sqs:{action}", queue, {}, tls=False), NOBODY)
        for queue in (QUEUE, DEAD)
        for action in ("SendMessage", "GetQueueAttributes")
    ),
]
_READ_KEY: dict[str, object] = {"kms:encryptioncontext:aws:cloudtrail:arn": THE_TRAIL}
_OF_TRAIL += [
    (Request("kms:Decrypt", TRAIL_KEY, _READ_KEY), {"auditor"}),
    *_asked("kms", TRAIL_KEY, {"CreateGrant GenerateDataKey Encrypt GetPublicKey": NOBODY}),
    *_asked("kms", TRAIL_KEY, {"EnableKeyRotation GetKeyRotationStatus": ALL}),
    *_asked("kms", TRAIL_KEY, {ADMINISTERS.replace("GetPublicKey ", ""): ALL}),
]
_SIGNED: dict[str, object] = {"kms:signingalgorithm": "ECDSA_SHA_256"}
_OF_KEYS: list[Row] = [
    (Request("kms:Sign", SIGNING_KEY, _SIGNED), {"register"}),
    (Request("kms:Sign", APPROVAL_KEY, _SIGNED), {"approver"}),
    (Request("kms:Sign", f"arn:aws:kms:{HERE}:key/any", _SIGNED), ALL - READ_ONLY),
    *(
        row
        for key in (SIGNING_KEY, APPROVAL_KEY)
        for row in _asked(
            "kms", key, {ADMINISTERS: ALL, "CreateGrant Verify UpdatePrimaryRegion": NOBODY}
        )
    ),
]
_OF_ROLES: list[Row] = [
    *_asked(
        "sagemaker",
        EXECUTION,
        {
            "SendPipelineExecutionStepSuccess": ALL - READ_ONLY - {"scientist"},
            "SendPipelineExecutionStepFailure": ALL - READ_ONLY - {"scientist"},
            "StopPipelineExecution UpdatePipelineExecution": ALL,
        },
    ),
    *_asked("sagemaker", PIPELINE, {"DescribePipeline UpdatePipeline": ALL}),
    *_asked("kms", f"arn:aws:kms:{HERE}:key/any", {"Verify": ALL}),
]
REFUSED = [*_OF_EVIDENCE, *_OF_ARTIFACTS, *_OF_GOVERNED, *_OF_QUEUES, *_OF_KEYS, *_OF_ROLES]
REFUSED += _OF_TRAIL

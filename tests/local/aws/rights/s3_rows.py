"""Who may do what to the three buckets by the roles' own policies, as rows.py has the rest.

What the buckets' policies refuse besides is in refusals.py.
"""

from tests.local.aws.rights.names import (
    APPROVAL,
    ARCHIVE,
    ARTIFACTS,
    CHECKPOINT,
    CONFIG,
    EVIDENCE,
    GOVERNED,
    HEARTBEAT,
    LEDGER,
    MIRROR,
    OF_PREPARE,
    OF_REGISTER,
    OF_TRAIN,
    PEOPLE,
    RUN,
    TABLE,
    TRAIL,
    TRAIL_FILE,
    WEIGHTS,
)
from tests.local.aws.rights.rows import NOBODY, READERS, rows

LOADERS = {"train", "scientist", "auditor", "mirror"}
OWN, REPLACE = {"uc-storage"}, "PutObject DeleteObject AbortMultipartUpload"

_EVIDENCE = {
    **rows(
        "s3",
        OF_PREPARE,
        {
            "PutObject": {"prepare"},
            "GetObject": READERS | {"prepare", "train"},
            "GetObjectVersion": {"auditor"},
            "GetObjectRetention DeleteObject DeleteObjectVersion BypassGovernanceRetention": NOBODY,
        },
    ),
    **rows(
        "s3",
        OF_TRAIN,
        {
            "PutObject": {"train"},
            "GetObject": READERS | {"train"},
            "DeleteObject DeleteObjectVersion BypassGovernanceRetention": NOBODY,
        },
    ),
    **rows("s3", OF_REGISTER, {"PutObject": {"register"}, "GetObject": READERS}),
    **rows("s3", LEDGER, {"PutObject": {"register", "approver"}, "GetObject": READERS}),
    **rows("s3", APPROVAL, {"PutObject": {"approver"}, "GetObject": PEOPLE}),
    **rows("s3", f"{RUN}/other/x", {"PutObject": NOBODY, "GetObject": READERS}),
    **rows("s3", f"{EVIDENCE}/other/x", {"PutObject": NOBODY, "GetObject": {"auditor"}}),
    **rows("s3", f"{EVIDENCE}/elsewhere", {"PutObject": NOBODY, "GetObject": {"auditor"}}),
    **rows(
        "s3",
        EVIDENCE,
        {
            "ListBucket": READERS | {"prepare", "train"},
            "ListBucketVersions": {"auditor"},
            "GetBucketObjectLockConfiguration GetBucketVersioning": {"auditor"},
            "GetBucketPolicy PutBucketPolicy PutBucketVersioning DeleteBucket": NOBODY,
        },
    ),
}
_ARTIFACTS = {
    **rows(
        "s3",
        ARCHIVE,
        {
            "PutObject AbortMultipartUpload": {"train"},
            "GetObject": {"register", "scientist", "auditor"},
            "GetObjectVersion": {"register", "auditor"},
            "DeleteObject": NOBODY,
        },
    ),
    **rows(
        "s3",
        f"{ARTIFACTS}/executions/abcdefghijkl/model.tar.gz",
        {"PutObject": {"train"}, "GetObject": {"register", "auditor"}, "DeleteObject": NOBODY},
    ),
    **rows(
        "s3", ARCHIVE.replace(".tar.gz", ".safetensors"), {"GetObject": {"register", "auditor"}}
    ),
    **rows("s3", ARCHIVE.replace("/output/", "/"), {"GetObject": {"register", "auditor"}}),
    **rows("s3", CHECKPOINT, {f"GetObject {REPLACE}": {"train"}}),
    **rows(
        "s3",
        WEIGHTS,
        {"GetObject": LOADERS, "GetObjectVersion": {"auditor"}, REPLACE: {"mirror"}},
    ),
    **rows("s3", MIRROR, {"GetObject": LOADERS | {"register"}, REPLACE: {"mirror"}}),
    **rows("s3", CONFIG, {"GetObject": LOADERS | {"register"}, REPLACE: {"mirror"}}),
    **rows("s3", HEARTBEAT, {"PutObject": {"register"}, "GetObject": {"scientist"}}),
    **rows("s3", f"{ARTIFACTS}/elsewhere", {f"GetObject GetObjectVersion {REPLACE}": NOBODY}),
    **rows(
        "s3",
        ARTIFACTS,
        {
            "ListBucket": {"register", "auditor"},  # others with a prefix only: conditions.py
            "ListBucketVersions": {"auditor"},
            "PutBucketPolicy": NOBODY,
        },
    ),
}
_GOVERNED = {
    **rows("s3", TABLE, {f"GetObject ListMultipartUploadParts {REPLACE}": OWN}),
    **rows("s3", f"{GOVERNED}/raw/filings/part-0.parquet", {f"GetObject {REPLACE}": OWN}),
    **rows(
        "s3",
        GOVERNED,
        {
            "ListBucket GetBucketLocation ListBucketMultipartUploads": OWN,
            "PutBucketPolicy": NOBODY,
        },
    ),
}
_TRAIL = {
    **rows("s3", TRAIL_FILE, {"GetObject": {"auditor"}, "PutObject DeleteObject": NOBODY}),
    **rows("s3", f"{TRAIL}/elsewhere", {"GetObject PutObject": NOBODY}),
    **rows("s3", f"{TRAIL}/else/where", {"GetObject PutObject": NOBODY}),
    **rows("s3", TRAIL, {"ListBucket": {"auditor"}, "GetBucketPolicy PutBucketPolicy": NOBODY}),
}
RIGHTS = {**_EVIDENCE, **_ARTIFACTS, **_GOVERNED, **_TRAIL}

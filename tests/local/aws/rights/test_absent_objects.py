"""Who may not list a bucket does not learn from S3 that an object is absent."""

import pytest
from botocore.exceptions import ClientError

from tests.local.aws.rights.names import ACCOUNT, PREFIX, REGION

pytestmark = pytest.mark.environment
EVIDENCE, ARTIFACTS = (f"{PREFIX}-{name}-{ACCOUNT}-{REGION}" for name in ("evidence", "artifacts"))


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
@pytest.mark.parametrize(
    ("role", "bucket", "key", "code"),
    [
        ("prepare", EVIDENCE, "executions/none/prepare/a b", 404),
        ("register", ARTIFACTS, "executions/none/train/x", 404),
        ("scientist", ARTIFACTS, "workers/none.json", 403),  # it has the object, and no list
        ("mirror", ARTIFACTS, "base-models/none/config.json", 404),  # a list with this prefix
        ("root", ARTIFACTS, "elsewhere", 404),
        ("root", f"{PREFIX}-no-such-bucket", "x", 404),
    ],
)
def test_an_absent_object_is_403_without_the_right_to_list(
    server, operation, role, bucket, key, code
):
    with pytest.raises(ClientError) as refused:
        getattr(server.client("s3", role), operation)(Bucket=bucket, Key=key)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == code
    if (code, operation) == (403, "get_object"):
        assert f"s3:ListBucket on {bucket}" in str(refused.value)


def test_an_object_that_is_there_needs_no_list(server):
    server.client("s3").put_object(Bucket=ARTIFACTS, Key="workers/one.json", Body=b"{}")
    found = server.client("s3", "scientist").get_object(Bucket=ARTIFACTS, Key="workers/one.json")
    with found["Body"] as body:
        assert body.read() == b"{}"

"""Evidence is written once: a repeat of the same bytes is fine, other bytes are a conflict."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import boto3
import pytest

from steps.governance import aws
from steps.governance.errors import AccessDenied, Conflict, GovernanceError, NotFound, UsageError
from steps.governance.evidence import Evidence
from steps.governance.files import split_s3_uri


@pytest.fixture
def bucket(as_root: str) -> str:
    name = f"evidence-{uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def test_a_repeat_of_the_same_bytes_is_fine_and_other_bytes_change_nothing(bucket: str) -> None:
    evidence, uri = Evidence("us-east-1"), f"s3://{bucket}/executions/a/prepare/manifest.json"
    evidence.write_once(uri, b'{"a":1}')
    evidence.write_once(uri, b'{"a":1}')
    with pytest.raises(Conflict, match="already written with other content"):
        evidence.write_once(uri, b'{"a":2}')
    assert evidence.read(uri) == b'{"a":1}'


def test_one_of_many_writers_wins_and_the_others_raise_a_conflict(bucket: str) -> None:
    evidence, uri = Evidence("us-east-1"), f"s3://{bucket}/race"

    def write(number: int) -> str:
        try:
            evidence.write_once(uri, str(number).encode())
        except Conflict:
            return "conflict"
        return "written"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(write, range(16)))
    assert sorted(outcomes) == ["conflict"] * 15 + ["written"]


def test_a_document_of_many_mebibytes_is_written_and_read_back(bucket: str) -> None:
    """A manifest of about 40,000 files is above 8 MiB, where boto3 would upload in parts."""
    evidence, uri, content = Evidence("us-east-1"), f"s3://{bucket}/large", b"7" * (9 * 2**20 + 1)
    evidence.write_once(uri, content)
    evidence.write_once(uri, content)
    assert evidence.read(uri) == content


def test_a_document_that_nobody_could_read_back_is_not_written(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steps.governance.evidence._MAX_BYTES", 10)
    store, uri = Evidence("us-east-1"), f"s3://{bucket}/too-large"
    with pytest.raises(
        GovernanceError, match=r"(?s)would not be an evidence document.*at most 10 bytes.*11 bytes"
    ):
        store.write_once(uri, b"7" * 11)
    with pytest.raises(NotFound):
        store.read(uri)
    store.write_once(uri, b"7" * 10)
    boto3.client("s3").put_object(Bucket=bucket, Key="from-elsewhere", Body=b"7" * 11)
    with pytest.raises(GovernanceError, match="is not an evidence document"):
        store.read(f"s3://{bucket}/from-elsewhere")


def test_an_absent_document_is_not_found(bucket: str) -> None:
    with pytest.raises(NotFound, match="nothing there: read"):
        Evidence("us-east-1").read(f"s3://{bucket}/absent")


def test_a_role_without_the_right_gets_access_denied(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = boto3.client("iam")
    iam.create_user(UserName=bucket)
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}],
    }
    iam.put_user_policy(UserName=bucket, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=bucket)["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    aws.client.cache_clear()
    with pytest.raises(AccessDenied, match=f"write s3://{bucket}/x"):
        Evidence("us-east-1").write_once(f"s3://{bucket}/x", b"{}")


@pytest.mark.parametrize(
    "uri", ["", "s3://", "s3://bucket", "s3://bucket/", "https://b/k", "/tmp/k", "s3://b/k?v=1"]
)
def test_anything_but_a_bucket_and_a_key_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="storage URI was refused"):
        split_s3_uri(uri)

"""The stack's rights on the three buckets, one refusal per missing right."""

import json
import urllib.error
import urllib.request
import uuid

import pytest

from pipeline.local.aws import infrastructure
from tests.local.aws.support.refusals import refused

# ruff: noqa: S310  # the URLs are the server's own
pytestmark = pytest.mark.environment
GOVERNED, EVIDENCE, ARTIFACTS = (
    f"governed-finetune-local-{name}-000000000000-us-east-1"
    for name in ("governed", "evidence", "artifacts")
)


@pytest.fixture(scope="module")
def objects(server):
    """One object in each place."""
    server.client("s3", "uc-storage").put_object(
        Bucket=GOVERNED, Key="raw/filings/a.parquet", Body=b"governed"
    )
    server.client("s3", "prepare").put_object(
        Bucket=EVIDENCE, Key="executions/i/prepare/manifest.json", Body=b"{}", IfNoneMatch="*"
    )
    server.client("s3", "train").put_object(
        Bucket=ARTIFACTS, Key="executions/i/model.tar.gz", Body=b"model"
    )


@pytest.mark.parametrize(
    "role",
    [
        "pipeline",
        "prepare",
        "train",
        "register",
        "ci",
        "scientist",
        "auditor",
        "approver",
        "reconciler",
    ],
)
def test_no_role_of_ours_reads_writes_or_lists_the_governed_bucket(server, objects, role):
    s3 = server.client("s3", role)
    refused(s3.get_object, Bucket=GOVERNED, Key="raw/filings/a.parquet")
    refused(s3.put_object, Bucket=GOVERNED, Key="raw/filings/b", Body=b"")
    refused(s3.list_objects_v2, Bucket=GOVERNED)


def test_only_the_worker_writes_the_heartbeat_and_a_scientist_reads_it(server, objects):
    place = {"Bucket": ARTIFACTS, "Key": "workers/governed-finetune-local.json"}
    worker, scientist = server.client("s3", "register"), server.client("s3", "scientist")
    for body in (b"first", b"second"):
        worker.put_object(**place, Body=body)
    assert scientist.get_object(**place)["Body"].read() == b"second"
    for role in ("pipeline", "prepare", "train", "ci", "scientist", "auditor", "reconciler"):
        refused(server.client("s3", role).put_object, **place, Body=b"forged")
    refused(worker.delete_object, **place)
    refused(scientist.list_objects_v2, Bucket=ARTIFACTS, Prefix="workers/")
    refused(scientist.get_object, Bucket=ARTIFACTS, Key="executions/i/model.tar.gz")


def test_a_scientist_reads_reports_and_exports_and_no_other_role_of_people_but_auditor(server):
    train, prefix = server.client("s3", "train"), f"executions/{uuid.uuid4().hex}/train/job/output"
    for name in ("model.tar.gz", "output.tar.gz"):
        train.put_object(Bucket=ARTIFACTS, Key=f"{prefix}/{name}", Body=b"made by Train")
        for role in ("scientist", "auditor"):
            found = server.client("s3", role).get_object(Bucket=ARTIFACTS, Key=f"{prefix}/{name}")
            assert found["Body"].read() == b"made by Train"
        for role in ("approver", "reconciler", "ci", "prepare", "pipeline"):
            refused(server.client("s3", role).get_object, Bucket=ARTIFACTS, Key=f"{prefix}/{name}")
    train.put_object(Bucket=ARTIFACTS, Key=f"{prefix}/other.bin", Body=b"0")
    refused(
        server.client("s3", "scientist").get_object, Bucket=ARTIFACTS, Key=f"{prefix}/other.bin"
    )
    refused(server.client("s3", "scientist").list_objects_v2, Bucket=ARTIFACTS, Prefix=prefix)


@pytest.fixture(scope="module")
def administrators_s3(server):
    """S3 for a user to whom every policy of his own allows everything."""
    iam = server.client("iam")
    iam.create_user(UserName="administrator")
    everything = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"},
    }
    iam.put_user_policy(
        UserName="administrator", PolicyName="all", PolicyDocument=json.dumps(everything)
    )
    key = iam.create_access_key(UserName="administrator")["AccessKey"]
    return server.client(
        "s3", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )


def test_not_even_an_administrator_reads_the_governed_bucket(administrators_s3, objects):
    message = refused(administrators_s3.get_object, Bucket=GOVERNED, Key="raw/filings/a.parquet")
    assert "explicit deny in a resource-based policy" in message


def test_root_is_refused_by_a_bucket_policy_except_to_change_the_policy(server, objects):
    s3, key = server.client("s3"), "raw/filings/a.parquet"
    message = refused(s3.get_object, Bucket=GOVERNED, Key=key)
    assert "explicit deny in a resource-based policy" in message
    refused(s3.put_object, Bucket=GOVERNED, Key=key, Body=b"")
    refused(s3.delete_object, Bucket=GOVERNED, Key=key)
    refused(s3.list_objects_v2, Bucket=GOVERNED)
    document = {"Key": "executions/i/prepare/b", "Body": b"", "IfNoneMatch": "*"}
    refused(s3.put_object, Bucket=EVIDENCE, **document)
    refused(s3.delete_object, Bucket=EVIDENCE, Key="executions/i/prepare/manifest.json")
    refused(s3.delete_object, Bucket=ARTIFACTS, Key="executions/i/model.tar.gz")
    for bucket in (GOVERNED, EVIDENCE):  # S3 never refuses these to the owner's root
        s3.put_bucket_policy(Bucket=bucket, Policy=s3.get_bucket_policy(Bucket=bucket)["Policy"])
    s3.put_object(Bucket=ARTIFACTS, Key="base-models/of-root", Body=b"not denied")


def test_the_storage_role_reads_it_in_a_narrowed_session_of_the_control_plane_with_its_external_id(
    server, objects
):
    iam = server.client("iam")
    role = server.outputs["UcStorageRoleArn"]
    allow = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role},
    }
    iam.put_user_policy(
        UserName=infrastructure.CONTROL_PLANE_USER,
        PolicyName="assume",
        PolicyDocument=json.dumps(allow),
    )
    key = iam.create_access_key(UserName=infrastructure.CONTROL_PLANE_USER)["AccessKey"]
    sts = server.client(
        "sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )
    narrow = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{GOVERNED}/raw/*",
        },
    }
    request = {"RoleArn": role, "RoleSessionName": "vend", "Policy": json.dumps(narrow)}
    refused(sts.assume_role, **request, ExternalId="another")
    keys = sts.assume_role(**request, ExternalId=infrastructure.EXTERNAL_ID)["Credentials"]
    s3 = server.client(
        "s3",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert s3.get_object(Bucket=GOVERNED, Key="raw/filings/a.parquet")["Body"].read() == b"governed"
    refused(s3.put_object, Bucket=GOVERNED, Key="raw/filings/a.parquet", Body=b"changed")


@pytest.mark.parametrize("step", ["Prepare", "Train"])
def test_a_job_that_reads_the_governed_bucket_with_its_own_role_fails_with_access_denied(
    server, objects, step
):
    arn = server.start_execution(**{step: f"read {GOVERNED}/raw/filings/a.parquet"})
    assert server.finished(arn) == "Failed"
    reason = server.steps(arn)[step]["FailureReason"]
    assert "AccessDenied" in reason
    assert "GetObject" in reason


def test_evidence_is_written_once_by_its_own_step_and_never_removed(server, objects):
    key = f"executions/{uuid.uuid4().hex}/prepare/manifest.json"
    prepare, train = server.client("s3", "prepare"), server.client("s3", "train")
    refused(prepare.put_object, Bucket=EVIDENCE, Key=key, Body=b"1")  # without If-None-Match
    prepare.put_object(Bucket=EVIDENCE, Key=key, Body=b"1", IfNoneMatch="*")
    refused(
        prepare.put_object,
        "PreconditionFailed",
        Bucket=EVIDENCE,
        Key=key,
        Body=b"2",
        IfNoneMatch="*",
    )
    refused(train.put_object, Bucket=EVIDENCE, Key=key + ".more", Body=b"1", IfNoneMatch="*")
    refused(prepare.put_object, Bucket=EVIDENCE, Key="elsewhere", Body=b"1", IfNoneMatch="*")
    refused(prepare.delete_object, Bucket=EVIDENCE, Key=key)
    assert train.get_object(Bucket=EVIDENCE, Key=key)["Body"].read() == b"1"


def test_a_large_document_is_create_only_too(server):
    s3, key = server.client("s3", "register"), f"executions/{uuid.uuid4().hex}/register/record.bin"
    upload = s3.create_multipart_upload(Bucket=EVIDENCE, Key=key)["UploadId"]
    names = {"Bucket": EVIDENCE, "Key": key, "UploadId": upload}
    part = s3.upload_part(**names, PartNumber=1, Body=b"1")["ETag"]
    parts = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part}]}}
    refused(s3.complete_multipart_upload, **names, **parts)
    s3.complete_multipart_upload(**names, **parts, IfNoneMatch="*")


def test_only_train_writes_archives_and_only_below_executions(server, objects):
    refused(
        server.client("s3", "register").put_object,
        Bucket=ARTIFACTS,
        Key="executions/i/model.tar.gz",
        Body=b"x",
    )
    refused(
        server.client("s3", "train").put_object, Bucket=ARTIFACTS, Key="base-models/evil", Body=b"x"
    )
    refused(
        server.client("s3", "scientist").get_object,
        Bucket=ARTIFACTS,
        Key="executions/i/model.tar.gz",
    )
    found = server.client("s3", "register").get_object(
        Bucket=ARTIFACTS, Key="executions/i/model.tar.gz"
    )
    assert found["VersionId"]


def test_only_train_keeps_checkpoints_and_it_deletes_nothing_else(
    server, objects, administrators_s3
):
    key = f"checkpoints/{uuid.uuid4().hex}/train/step-1/state"
    train = server.client("s3", "train")
    train.put_object(Bucket=ARTIFACTS, Key=key, Body=b"1")
    assert train.get_object(Bucket=ARTIFACTS, Key=key)["Body"].read() == b"1"
    listed = train.list_objects_v2(Bucket=ARTIFACTS, Prefix="/".join(key.split("/")[:3]) + "/")
    assert [item["Key"] for item in listed["Contents"]] == [key]
    for role in ("prepare", "register", "scientist"):
        other = server.client("s3", role)
        refused(other.put_object, Bucket=ARTIFACTS, Key=key, Body=b"2")
        refused(other.delete_object, Bucket=ARTIFACTS, Key=key)
        refused(other.get_object, Bucket=ARTIFACTS, Key=key)
    for call in (administrators_s3.put_object, administrators_s3.delete_object):
        refused(call, Bucket=ARTIFACTS, Key=key)
    train.delete_object(Bucket=ARTIFACTS, Key=key)
    refused(train.delete_object, Bucket=ARTIFACTS, Key="executions/i/model.tar.gz")
    refused(train.list_objects_v2, Bucket=ARTIFACTS, Prefix="executions/")


def test_nobody_deletes_an_archive_or_a_version(server, objects, administrators_s3):
    """So what a job overwrites or deletes of another execution's can be had again."""
    key, body = f"checkpoints/{uuid.uuid4().hex}/train/state", b"of another execution"
    train = server.client("s3", "train")
    train.put_object(Bucket=ARTIFACTS, Key=key, Body=body)
    train.put_object(Bucket=ARTIFACTS, Key=key, Body=b"spoilt")
    train.delete_object(Bucket=ARTIFACTS, Key=key)
    archive = {"Bucket": ARTIFACTS, "Key": "executions/i/model.tar.gz"}
    root = server.client("s3")
    versions = root.list_object_versions(Bucket=ARTIFACTS, Prefix=key)["Versions"]
    kept = {"Bucket": ARTIFACTS, "Key": key, "VersionId": versions[-1]["VersionId"]}
    for s3 in (train, administrators_s3, root):
        refused(s3.delete_object, **kept)
        refused(s3.delete_object, **archive)
        version = root.head_object(**archive)["VersionId"]
        refused(s3.delete_object, **archive, VersionId=version)
    assert root.get_object(**kept)["Body"].read() == body


def test_an_unsigned_read_is_refused(server, objects):
    with pytest.raises(urllib.error.HTTPError, match="403") as error:
        urllib.request.urlopen(
            f"{server.endpoint}/{EVIDENCE}/executions/i/prepare/manifest.json", timeout=5
        )
    error.value.close()

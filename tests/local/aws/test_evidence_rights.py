"""Who signs, who appends to the ledger, who approves, and who can change the rules of evidence."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from pipeline.local.aws import infrastructure
from tests.local.aws.support.refusals import refused

pytestmark = pytest.mark.environment
EVIDENCE = "governed-finetune-local-evidence-000000000000-us-east-1"
KEYS = {"register": "register", "approver": "approval"}
EVERY_ROLE = (
    *("pipeline", "prepare", "train", "register", "ci", "scientist", "auditor", "approver"),
    "reconciler",
)
ALIAS = "arn:aws:kms:us-east-1:000000000000:alias/governed-finetune-local-{}"


def administrator(server, service):
    """A client of a user to whom his own policy allows everything."""
    iam, name = server.client("iam"), f"administrator-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": everything})
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return server.client(
        service, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )


def signing(key):
    return {
        "KeyId": ALIAS.format(key),
        "Message": b"text",
        "MessageType": "RAW",
        "SigningAlgorithm": "ECDSA_SHA_256",
    }


@pytest.mark.parametrize("role", KEYS)
def test_each_key_signs_for_its_own_role_and_the_published_key_verifies(server, role):
    kms, request = server.client("kms", role), signing(KEYS[role])
    signature = kms.sign(**request)["Signature"]
    der = kms.get_public_key(KeyId=request["KeyId"])["PublicKey"]
    public = load_der_public_key(der)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(signature, b"text", ec.ECDSA(SHA256()))


@pytest.mark.parametrize("role", KEYS)
def test_only_its_signer_needs_a_key_because_conf_pins_the_public_half(server, role):
    key = signing(KEYS[role])["KeyId"]
    for other in {*KEYS, "auditor", "ci", "scientist", "reconciler"} - {role}:
        refused(server.client("kms", other).get_public_key, KeyId=key)
        refused(server.client("kms", other).describe_key, KeyId=key)


@pytest.mark.parametrize("key", KEYS.values())
@pytest.mark.parametrize("role", EVERY_ROLE)
def test_no_other_role_signs(server, role, key):
    if KEYS.get(role) != key:
        refused(server.client("kms", role).sign, **signing(key))


@pytest.mark.parametrize("key", KEYS.values())
def test_not_even_an_administrator_signs_or_lends_the_right_to_sign(server, key):
    kms = administrator(server, "kms")
    refused(kms.sign, **signing(key))
    role = server.outputs["AuditorRoleArn"]
    key_arn = kms.describe_key(KeyId=ALIAS.format(key))["KeyMetadata"]["Arn"]
    refused(kms.create_grant, KeyId=key_arn, GranteePrincipal=role, Operations=["Sign"])


def put(server, role, key):
    """Create an evidence object as a role."""
    server.client("s3", role).put_object(Bucket=EVIDENCE, Key=key, Body=b"{}", IfNoneMatch="*")


@pytest.mark.parametrize(
    ("folder", "writers"),
    [("ledger", {"register", "approver"}), ("approvals/a.b.c/1", {"approver"})],
)
def test_each_folder_of_evidence_has_its_writers_and_each_object_is_created_once(
    server, folder, writers
):
    for role in EVERY_ROLE:
        key = f"{folder}/{uuid.uuid4().hex}.json"
        request = {"Bucket": EVIDENCE, "Key": key, "Body": b"{}"}
        if role in writers:
            put(server, role, key)
            s3 = server.client("s3", role)
            refused(s3.put_object, "PreconditionFailed", **request, IfNoneMatch="*")
            refused(s3.put_object, **request)
        else:
            refused(server.client("s3", role).put_object, **request, IfNoneMatch="*")


def test_not_even_an_administrator_appends_to_the_ledger(server):
    s3 = administrator(server, "s3")
    refused(s3.put_object, Bucket=EVIDENCE, Key="ledger/1", Body=b"", IfNoneMatch="*")


def test_evidence_is_locked_for_the_days_of_the_stack(server):
    key = f"ledger/{uuid.uuid4().hex}.json"
    put(server, "register", key)
    auditor = server.client("s3", "auditor")
    rule = auditor.get_object_lock_configuration(Bucket=EVIDENCE)["ObjectLockConfiguration"]
    assert rule["ObjectLockEnabled"] == "Enabled"
    assert rule["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 1}
    found = server.client("s3").get_object_retention(Bucket=EVIDENCE, Key=key)["Retention"]
    assert found["Mode"] == "GOVERNANCE"
    assert found["RetainUntilDate"] > datetime.now(UTC) + timedelta(hours=23)
    version = auditor.list_object_versions(Bucket=EVIDENCE, Prefix=key)["Versions"][0]["VersionId"]
    # The lock refuses it too, without the policy, which root can replace.
    s3 = server.client("s3")
    policy = s3.get_bucket_policy(Bucket=EVIDENCE)["Policy"]
    s3.delete_bucket_policy(Bucket=EVIDENCE)
    try:
        refused(s3.delete_object, Bucket=EVIDENCE, Key=key, VersionId=version)
    finally:
        s3.put_bucket_policy(Bucket=EVIDENCE, Policy=policy)


CHANGES = {
    "put_bucket_policy": {"Policy": "{}"},
    "delete_bucket_policy": {},
    "put_object_lock_configuration": {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
    "put_bucket_versioning": {"VersioningConfiguration": {"Status": "Suspended"}},
    "put_bucket_lifecycle_configuration": {
        "LifecycleConfiguration": {
            "Rules": [{"Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}]
        }
    },
    "delete_bucket": {},
}


@pytest.mark.parametrize("call", CHANGES)
def test_not_even_an_administrator_changes_the_rules_of_evidence(server, call):
    refused(getattr(administrator(server, "s3"), call), Bucket=EVIDENCE, **CHANGES[call])


def test_not_even_an_administrator_shortens_the_retention_of_one_object(server):
    key = f"ledger/{uuid.uuid4().hex}.json"
    put(server, "register", key)
    s3 = administrator(server, "s3")
    soon = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(seconds=1)}
    request = {"Bucket": EVIDENCE, "Key": key}
    refused(s3.put_object_retention, **request, Retention=soon)
    refused(s3.put_object_retention, **request, Retention=soon, BypassGovernanceRetention=True)
    refused(s3.put_object_legal_hold, **request, LegalHold={"Status": "OFF"})
    refused(s3.delete_object, **request, BypassGovernanceRetention=True)


def test_only_the_break_glass_role_changes_the_policy(new_server):
    new_server.start()
    iam = new_server.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
        "Action": "sts:AssumeRole",
    }
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    for name in ("governed-finetune-local-glass", "governed-finetune-local-other"):
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
        )["Role"]["Arn"]
        iam.put_role_policy(
            RoleName=name,
            PolicyName="all",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": everything}),
        )
    glass = role.replace("-other", "-glass")
    infrastructure.deploy(new_server.client("cloudformation"), {"BreakGlassPrincipalArn": glass})
    policy = new_server.client("s3").get_bucket_policy(Bucket=EVIDENCE)["Policy"]
    request = {"Bucket": EVIDENCE, "Policy": policy}
    refused(new_server.client("s3", "other").put_bucket_policy, **request)
    new_server.client("s3", "glass").put_bucket_policy(**request)


def test_the_auditor_reads_everything_and_changes_nothing(server):
    key = f"executions/{uuid.uuid4().hex}/register/record.json"
    put(server, "register", key)
    s3 = server.client("s3", "auditor")
    version = s3.list_object_versions(Bucket=EVIDENCE, Prefix=key)["Versions"][0]["VersionId"]
    assert s3.get_object(Bucket=EVIDENCE, Key=key, VersionId=version)["Body"].read() == b"{}"
    assert s3.get_bucket_versioning(Bucket=EVIDENCE)["Status"] == "Enabled"
    assert s3.get_object_lock_configuration(Bucket=EVIDENCE)["ObjectLockConfiguration"]
    artifacts = "governed-finetune-local-artifacts-000000000000-us-east-1"
    server.client("s3", "train").put_object(Bucket=artifacts, Key="executions/i/m", Body=b"m")
    assert s3.get_object(Bucket=artifacts, Key="executions/i/m")["VersionId"]
    refused(s3.put_object, Bucket=artifacts, Key="base-models/x", Body=b"", IfNoneMatch="*")
    refused(s3.delete_object, Bucket=artifacts, Key="executions/i/m")
    refused(
        s3.get_object,
        Bucket="governed-finetune-local-governed-000000000000-us-east-1",
        Key="raw/filings/a",
    )
    sagemaker, pipeline = server.client("sagemaker", "auditor"), "governed-finetune-local"
    arn = server.start_execution()
    found = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert found["PipelineExecutionArn"] == arn
    assert sagemaker.describe_pipeline(PipelineName=pipeline)["PipelineName"] == pipeline
    refused(sagemaker.list_pipeline_executions, PipelineName=pipeline)
    refused(sagemaker.start_pipeline_execution, PipelineName=pipeline)
    emr = server.client("emr-serverless", "auditor")
    refused(emr.list_job_runs, applicationId=server.outputs["ApplicationId"])
    server.client("sagemaker", "scientist").stop_pipeline_execution(PipelineExecutionArn=arn)
    server.finished(arn)

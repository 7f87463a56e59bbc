"""SageMaker's own registry in the embedded environment, by unchanged boto3 with enforced rights."""

import re
import uuid

import pytest
from botocore.exceptions import ClientError

from pipeline.local.aws.infrastructure import PREFIX

pytestmark = pytest.mark.environment
PACKAGES = f"arn:aws:sagemaker:us-east-1:000000000000:model-package/{PREFIX}"


def made(server, **changed):
    given = {"ModelPackageGroupName": PREFIX, "ClientToken": uuid.uuid4().hex} | changed
    sagemaker = server.client("sagemaker", "approver")
    return sagemaker.create_model_package(**given)["ModelPackageArn"]


def refused(call, **request):
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_the_stack_makes_the_group_and_packages_are_numbered(server):
    sagemaker = server.client("sagemaker", "root")
    group = sagemaker.describe_model_package_group(ModelPackageGroupName=PREFIX)
    assert group["ModelPackageGroupArn"].endswith(f"model-package-group/{PREFIX}")
    first, second = made(server), made(server)
    number = int(first.rpartition("/")[2])
    assert (first, second) == (f"{PACKAGES}/{number}", f"{PACKAGES}/{number + 1}")
    sagemaker.delete_model_package(ModelPackageName=second)
    assert made(server) == f"{PACKAGES}/{number + 2}"
    code, message = refused(sagemaker.describe_model_package, ModelPackageName=second)
    assert (code, "does not exist" in message) == ("ValidationException", True)


def test_the_same_token_makes_one_package_and_another_request_with_it_is_a_conflict(server):
    token = uuid.uuid4().hex
    first = made(server, ClientToken=token)
    assert made(server, ClientToken=token) == first
    call = server.client("sagemaker", "approver").create_model_package
    other = {"ModelPackageGroupName": PREFIX, "ClientToken": token, "ModelPackageDescription": "x"}
    assert refused(call, **other)[0] == "ConflictException"


def test_a_change_names_who_made_it_and_a_list_is_by_status(server):
    arn = made(server)
    sagemaker = server.client("sagemaker", "approver")
    before = sagemaker.describe_model_package(ModelPackageName=arn)
    assert (before["ModelApprovalStatus"], "LastModifiedBy" in before) == (
        "PendingManualApproval",
        False,
    )
    sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="by me"
    )
    after = server.client("sagemaker", "auditor").describe_model_package(ModelPackageName=arn)
    assert (after["ModelApprovalStatus"], after["ApprovalDescription"]) == ("Approved", "by me")
    assert re.search(f"{PREFIX}-approver/", after["LastModifiedBy"]["IamIdentity"]["Arn"])
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=PREFIX, ModelApprovalStatus="Approved"
    )
    listed = {each["ModelPackageArn"] for page in pages for each in page["ModelPackageSummaryList"]}
    assert arn in listed


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"CustomerMetadataProperties": {"reason": "a; b"}}, "CustomerMetadataProperties.reason"),
        ({"CustomerMetadataProperties": {"reason": "x" * 257}}, "reason"),
        ({"ModelApprovalStatus": "APPROVED"}, "ModelApprovalStatus"),
        ({"ModelCard": {"ModelCardContent": "[1]"}}, "not a valid JSON object"),
        ({"ModelCard": {"ModelCardContent": "{"}}, "not a valid JSON object"),
        ({"Tags": [{"Key": "a", "Value": "b"}]}, "Tags"),
        ({"ModelPackageGroupName": f"{PREFIX}-none"}, "AccessDenied|not authorized"),
        ({"InferenceSpecification": {"Containers": [{"Image": "a b"}]}}, "Containers.1.Image"),
    ],
)
def test_what_the_api_refuses_is_refused(server, changed, named):
    given = {"ModelPackageGroupName": PREFIX} | changed
    code, message = refused(server.client("sagemaker", "approver").create_model_package, **given)
    assert re.search(named, f"{code} {message}")


def test_the_reconciler_rejects_and_never_approves(server):
    arn = made(server)
    update = server.client("sagemaker", "reconciler").update_model_package
    for status in ({"ModelApprovalStatus": "Approved"}, {"ApprovalDescription": "mine"}):
        assert refused(update, ModelPackageArn=arn, **status)[0] == "AccessDeniedException"
    update(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    for role in ("auditor", "scientist", "register", "ci"):
        call = server.client("sagemaker", role).update_model_package
        code, _ = refused(call, ModelPackageArn=arn, ModelApprovalStatus="Rejected")
        assert code == "AccessDeniedException"


def test_a_group_with_packages_is_not_removed(server):
    made(server)
    sagemaker = server.client("sagemaker", "root")
    call = sagemaker.delete_model_package_group
    assert refused(call, ModelPackageGroupName=PREFIX)[0] == "ConflictException"
    call = sagemaker.create_model_package_group
    assert "already exists" in refused(call, ModelPackageGroupName=PREFIX)[1]


def test_without_a_group_nothing_is_made_and_no_role_has_a_right(new_server):
    from pipeline.local.aws import infrastructure

    new_server.start()
    given = {"ModelPackageGroup": ""}
    infrastructure.deploy(new_server.client("cloudformation"), given)
    sagemaker = new_server.client("sagemaker", "root")
    describe = sagemaker.describe_model_package_group
    assert "does not exist" in refused(describe, ModelPackageGroupName=PREFIX)[1]
    for name in ("approver", "auditor", "reconciler"):
        found = new_server.client("iam").get_role_policy(
            RoleName=f"{infrastructure.PREFIX}-{name}", PolicyName=name
        )
        assert "ModelPackage" not in str(found["PolicyDocument"])

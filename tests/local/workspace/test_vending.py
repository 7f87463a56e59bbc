"""Vended credentials reach one object, in one way, for a while: tried in S3 itself, where IAM is
enforced.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, DatabricksError, NotFound, PermissionDenied
from databricks.sdk.service import catalog as uc

from tests.local.workspace.support.workspace_client import (
    ACCOUNT,
    BUCKET,
    CATALOG,
    CURATED_LOCATION,
    EXTERNAL_ID,
    RAW,
    RAW_LOCATION,
    Aws,
    Workspace,
    fill,
    new_principal,
    policy,
)

OWN, OTHER = "raw/filings/part-0", "raw/filings_other/part-0"


@pytest.fixture(scope="module", autouse=True)
def files(aws: Aws, workspace: Workspace) -> None:
    """Two objects whose prefixes differ by a suffix only, written with the storage role."""
    s3 = aws.storage
    for key in (OWN, OTHER):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"governed")


@pytest.fixture(scope="module")
def reader(workspace: Workspace) -> WorkspaceClient:
    """Somebody with every right on the raw schema's table and on both locations."""
    location = ["EXTERNAL_USE_LOCATION", "CREATE_EXTERNAL_TABLE", "READ_FILES"]
    grants = {
        CATALOG: ["USE_CATALOG"],
        RAW: ["USE_SCHEMA", "EXTERNAL_USE_SCHEMA", "SELECT", "MODIFY"],
        RAW_LOCATION: location,
        CURATED_LOCATION: location,
    }
    return new_principal(workspace, grants).client


def table_credentials(client: WorkspaceClient, operation: uc.TableOperation) -> Any:
    table_id = client.tables.get("edgar.raw.filings").table_id
    return client.temporary_table_credentials.generate_temporary_table_credentials(
        table_id=table_id, operation=operation
    )


def path_credentials(client: WorkspaceClient, operation: str, url: str, **more: Any) -> Any:
    return client.temporary_path_credentials.generate_temporary_path_credentials(
        url, uc.PathOperation(operation), **more
    )


def refused(act: Callable[..., Any], **arguments: Any) -> None:
    with pytest.raises(ClientError) as refusal:
        act(Bucket=BUCKET, **arguments)
    assert refusal.value.response["Error"]["Code"] == "AccessDenied"


def test_read_credentials_read_the_table_and_nothing_else(
    aws: Aws, reader: WorkspaceClient
) -> None:
    vended = table_credentials(reader, uc.TableOperation.READ)
    s3 = aws.vended(vended.aws_temp_credentials)
    assert vended.url == f"s3://{BUCKET}/raw/filings"
    assert 3500 < vended.expiration_time / 1000 - time.time() <= 3600
    assert s3.get_object(Bucket=BUCKET, Key=OWN)["Body"].read() == b"governed"
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="raw/filings/")["KeyCount"] >= 1
    refused(s3.get_object, Key=OTHER)
    refused(s3.list_objects_v2, Prefix="raw/filings_other/")
    refused(s3.list_objects_v2, Prefix="")
    refused(s3.put_object, Key="raw/filings/part-1", Body=b"")
    refused(s3.delete_object, Key=OWN)


def test_write_credentials_write_the_table_and_nothing_else(
    aws: Aws, reader: WorkspaceClient
) -> None:
    s3 = aws.vended(table_credentials(reader, uc.TableOperation.READ_WRITE).aws_temp_credentials)
    key = "raw/filings/part-2"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"new", IfNoneMatch="*")
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    s3.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload)
    s3.delete_object(Bucket=BUCKET, Key=key)
    refused(s3.put_object, Key="raw/filings_other/part-1", Body=b"")
    refused(s3.get_object, Key=OTHER)


def test_the_bucket_does_not_let_in_the_control_plane_itself(aws: Aws) -> None:
    refused(aws.client("s3", *aws.control_plane.values()).get_object, Key=OWN)


def test_path_credentials_end_at_the_path(aws: Aws, reader: WorkspaceClient) -> None:
    vended = path_credentials(reader, "PATH_CREATE_TABLE", f"s3://{BUCKET}/curated/new/")
    s3 = aws.vended(vended.aws_temp_credentials)
    assert vended.url == f"s3://{BUCKET}/curated/new"
    s3.put_object(Bucket=BUCKET, Key="curated/new/_delta_log/0.json", Body=b"{}")
    refused(s3.put_object, Key="curated/newer/x", Body=b"")


def test_a_dry_run_vends_nothing(reader: WorkspaceClient) -> None:
    answer = path_credentials(reader, "PATH_READ", f"s3://{BUCKET}/curated/new", dry_run=True)
    assert answer.aws_temp_credentials is None


def test_a_path_of_an_existing_table_needs_the_tables_rights(reader: WorkspaceClient) -> None:
    with pytest.raises(BadRequest, match=r"LOCATION_OVERLAP.*edgar\.raw\.filings"):
        path_credentials(reader, "PATH_CREATE_TABLE", f"s3://{BUCKET}/raw/filings")


def test_a_path_around_a_table_gives_no_access_to_it(reader: WorkspaceClient) -> None:
    with pytest.raises(BadRequest, match="LOCATION_OVERLAP"):
        path_credentials(reader, "PATH_READ", f"s3://{BUCKET}/raw")


def test_a_path_under_no_location_is_not_found(reader: WorkspaceClient) -> None:
    with pytest.raises(NotFound, match="NO_PARENT_EXTERNAL_LOCATION"):
        path_credentials(reader, "PATH_READ", f"s3://{BUCKET}/elsewhere")


@pytest.mark.parametrize("folder", ["models", "models/some-id", "workspace"])
def test_managed_storage_has_no_path_credentials(reader: WorkspaceClient, folder: str) -> None:
    with pytest.raises(BadRequest, match="managed storage"):
        path_credentials(reader, "PATH_READ", f"s3://{BUCKET}/{folder}")


@pytest.mark.parametrize(
    "url", ["s3://governed/*", "s3://governed/a/../b", "governed/raw", "s3://governed/a?b"]
)
def test_a_url_that_could_widen_the_policy_is_refused(reader: WorkspaceClient, url: str) -> None:
    with pytest.raises(BadRequest, match="not a storage URL"):
        path_credentials(reader, "PATH_READ", url)


def test_a_filtered_table_is_not_read_from_outside(
    admin: WorkspaceClient, reader: WorkspaceClient
) -> None:
    columns = [{"name": "cik", "mask": {"function_name": "edgar.raw.hide"}}]
    body = {
        "name": "masked",
        "catalog_name": "edgar",
        "schema_name": "raw",
        "table_type": "EXTERNAL",
        "data_source_format": "DELTA",
        "storage_location": f"s3://{BUCKET}/raw/masked",
    }
    path = "/api/2.1/unity-catalog/tables"
    with pytest.raises(BadRequest, match="column masks"):
        admin.api_client.do("POST", path, body=body | {"columns": columns})
    made = admin.api_client.do("POST", path, body=body)
    admin.api_client.do(
        "PATCH",
        f"{path}/edgar.raw.masked",
        body={"row_filter": {"function_name": "edgar.raw.some"}},
    )
    with pytest.raises(PermissionDenied, match="has a row filter"):
        reader.temporary_table_credentials.generate_temporary_table_credentials(
            table_id=made["table_id"]
        )
    with pytest.raises(PermissionDenied, match="has a row filter"):
        path_credentials(reader, "PATH_READ", f"s3://{BUCKET}/raw/masked/part-0")


def test_a_vended_key_expires_at_its_expiration_time(
    start_workspace: Workspace, aws: Aws, tmp_path: Path
) -> None:
    life = 6  # the first request must end within it on a busy machine
    workspace = start_workspace(tmp_path, "--vended-ttl-seconds", str(life))
    fill(workspace)
    admin = workspace.admin
    before = time.time()
    vended = table_credentials(admin, uc.TableOperation.READ)
    assert before < vended.expiration_time / 1000 <= time.time() + life
    s3 = aws.vended(vended.aws_temp_credentials)
    assert s3.get_object(Bucket=BUCKET, Key=OWN)["Body"].read() == b"governed"
    time.sleep(max(0.0, vended.expiration_time / 1000 - time.time()) + 0.1)
    refused(s3.get_object, Key=OWN)


def test_without_external_access_nothing_is_vended(
    start_workspace: Workspace, tmp_path: Path
) -> None:
    workspace = start_workspace(tmp_path, "--no-external-access")
    fill(workspace)
    admin = workspace.admin
    assert admin.metastores.summary().external_access_enabled is False
    with pytest.raises(
        DatabricksError, match="UNITY_CATALOG_EXTERNAL_GENERATE_TABLE_CREDENTIALS_DENIED"
    ):
        table_credentials(admin, uc.TableOperation.READ)
    with pytest.raises(
        DatabricksError, match="UNITY_CATALOG_EXTERNAL_GENERATE_PATH_CREDENTIALS_DENIED"
    ):
        path_credentials(admin, "PATH_READ", f"s3://{BUCKET}/raw/other")


@pytest.mark.parametrize(
    ("option", "by_files_api"),
    [("--models-by-files-api", True), ("--no-models-by-files-api", False)],
)
def test_mlflow_learns_from_the_workspace_whether_to_use_the_files_api(
    start_workspace: Workspace, tmp_path: Path, option: str, by_files_api: bool
) -> None:
    question = "is-databricks-sdk-models-artifact-repository-enabled"
    path = f"/api/2.0/mlflow/unity-catalog/registered-models:{question}"
    answer = start_workspace(tmp_path, option).admin.api_client.do("GET", path)
    assert answer.get(question.replace("-", "_"), False) is by_files_api


def test_a_role_that_does_not_trust_the_metastore_is_refused_at_once(
    admin: WorkspaceClient, aws: Aws
) -> None:
    service = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "x.amazonaws.com"},
    }
    trust = policy(service)
    aws.client("iam").create_role(RoleName="stranger", AssumeRolePolicyDocument=trust)
    role = uc.AwsIamRoleRequest(role_arn="arn:aws:iam::000000000000:role/stranger")
    with pytest.raises(PermissionDenied, match=r"control plane may not use .*stranger"):
        admin.storage_credentials.create("stranger", aws_iam_role=role)
    credential = admin.storage_credentials.create(
        "stranger", aws_iam_role=role, skip_validation=True
    )
    assert credential.aws_iam_role is not None
    assert credential.aws_iam_role.external_id == EXTERNAL_ID
    assert str(credential.aws_iam_role.unity_catalog_iam_arn).endswith(":user/unity-catalog")


def test_a_role_that_may_not_assume_itself_is_no_credential(
    aws: Aws, admin: WorkspaceClient
) -> None:
    trusts = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    }
    name = "governed-not-itself"
    role = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    iam = aws.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trusts))
    right = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role})
    iam.put_user_policy(UserName="unity-catalog", PolicyName="also", PolicyDocument=right)
    request = uc.AwsIamRoleRequest(role_arn=role)
    fault = r"non self-assuming.*not authorized to perform: sts:AssumeRole"
    with pytest.raises(PermissionDenied, match=fault):
        admin.storage_credentials.create(name, aws_iam_role=request)
    iam.put_role_policy(RoleName=name, PolicyName="itself", PolicyDocument=right)
    assert admin.storage_credentials.create(name, aws_iam_role=request).name == name


def test_locations_do_not_overlap(admin: WorkspaceClient) -> None:
    for url in (f"s3://{BUCKET}", f"s3://{BUCKET}/raw", f"s3://{BUCKET}/raw/deeper"):
        with pytest.raises(BadRequest, match="LOCATION_OVERLAP"):
            admin.external_locations.create("again", url, "storage")
    admin.external_locations.create("neighbour", f"s3://{BUCKET}/raw-neighbour", "storage")

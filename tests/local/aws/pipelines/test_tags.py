"""Tags of the pipeline: `upsert` changes them with the `ci` role, on that pipeline and nowhere
else.
"""

import pytest
from botocore.exceptions import ClientError

from pipeline.configuration import config
from pipeline.deployment import tagging
from pipeline.local.setup.grants import PRINCIPALS
from tests.local.aws.support.server import PIPELINE, Server

pytestmark = pytest.mark.environment
VARIABLES = {
    "DATABRICKS_HOST": "http://127.0.0.1:8443",
    "EMR_APPLICATION_ID": "00golden00local",
    "REGISTER_QUEUE_URL": "http://127.0.0.1:4566/000000000000/governed-finetune-local-register",
    "BASE_MODEL_REVISION": "0123456789abcdef0123456789abcdef01234567",
    "DATABRICKS_IDENTITY": "secret",
    **{f"{name.upper()}_CLIENT_ID": "0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f" for name in PRINCIPALS},
    "SIGNING_PUBLIC_KEY": f"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{'B' * 85}A==",
    "APPROVAL_PUBLIC_KEY": f"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE{'C' * 85}A==",
}


def test_the_ci_role_writes_and_removes_tags_of_the_pipeline(server: Server) -> None:
    configured, ci = config.load("local", environ=VARIABLES), server.client("sagemaker", "ci")
    arn = ci.describe_pipeline(PipelineName=PIPELINE)["PipelineArn"]
    before = tagging.read(configured, ci, arn)
    tagging.make(tagging.Changes({"owner": "me", "project": "x"}, ()), configured, ci, arn)
    assert tagging.read(configured, ci, arn) == before | {"owner": "me", "project": "x"}
    tagging.make(tagging.Changes({}, ("owner", "project")), configured, ci, arn)
    assert tagging.read(configured, ci, arn) == {
        k: v for k, v in before.items() if k not in ("owner", "project")
    }


def test_nobody_else_removes_them_and_ci_removes_no_others(server: Server, job_name: str) -> None:
    arn = server.client("sagemaker", "ci").describe_pipeline(PipelineName=PIPELINE)["PipelineArn"]
    job = f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{job_name}"
    other = arn.replace(PIPELINE, "another")
    tried = [
        ("scientist", arn),
        ("train", arn),
        ("register", arn),
        ("pipeline", arn),
        ("ci", job),
        ("ci", other),
    ]
    for role, resource in tried:
        with pytest.raises(ClientError) as refusal:
            server.client("sagemaker", role).delete_tags(ResourceArn=resource, TagKeys=["owner"])
        assert refusal.value.response["Error"]["Code"] == "AccessDeniedException", (role, resource)

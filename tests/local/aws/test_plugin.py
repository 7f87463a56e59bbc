"""The seams in ministack that the plug-in rests on. If one of these fails, ministack changed: read
its diff first.
"""

import inspect
import subprocess
import sys
from importlib.metadata import version

SEAMS = """
import os
os.environ["SERVICES"] = "s3,sqs,iam,sts,secretsmanager,logs,cloudformation,kms,lambda,dynamodb"
os.environ["AUTH"] = "true"
import inspect
import ministack.app as app
from ministack.core import iam_actions, iam_evaluator, persistence, router
from ministack.services import iam, sts
from ministack.services.cloudformation import provisioners
assert app.AUTH
assert set(app.SERVICE_REGISTRY["sqs"]) >= {"module"}
assert "sqs" in app.SERVICE_HANDLERS and "ec2" not in app.SERVICE_HANDLERS
assert app._state_map["cloudformation"] == "cloudformation"
assert isinstance(router.SERVICE_PATTERNS["sqs"], dict)
assert isinstance(iam_actions.SERVICE_TO_IAM_NAMESPACE, dict)
assert isinstance(iam_actions._BOTOCORE_SERVICE_MAP, dict)
assert set(provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]) >= {"create", "update", "delete"}
from ministack.services import s3
assert list(inspect.signature(s3._put_object_lock_configuration).parameters) == [
    "bucket_name", "body"
]
assert set(provisioners._RESOURCE_HANDLERS["AWS::SQS::Queue"]) >= {"create", "update", "delete"}
def names(function): return list(inspect.signature(function).parameters)
for function in (
    iam_actions.extract_resource_arn, iam_actions.request_tag_context,
    iam_actions.s3_service_context, iam_evaluator._resolve_condition_key,
    iam_evaluator.is_root_access_key, iam_evaluator._is_root_key,
    iam_evaluator.enforce, sts.register_session, persistence.save_all,
):
    print(names(function))
assert app._build_persistence_save_dict and app._get_module and app._lazy_handler
assert app._loaded_modules is not None
from ministack.services import ec2
assert {"CreateVpcEndpoint", "ModifyVpcEndpoint", "CreateNetworkAclEntry"} <= set(ec2._ACTION_MAP)
source = inspect.getsource(app._dispatch_service_request)
# It is looked up at each call.
assert "from ministack.core.iam_actions import" in source and "extract_resource_arn" in source
assert iam._gen_session_access_key().startswith("ASIA")
"""


def test_ministack_is_the_version_that_was_read():
    assert version("ministack") == "1.5.33"


def test_the_private_tables_have_the_shape_that_the_plug_in_writes_to():
    found = subprocess.run(
        [sys.executable, "-c", SEAMS], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == [
        "['service', 'method', 'path', 'headers', 'body', 'query_params', 'region', 'account_id']",
        "['service', 'iam_action', 'body', 'params']",
        "['iam_action', 'query_params', 'path', 'headers']",
        "['key', 'ctx']",
        "['access_key_id']",
        "['access_key_id']",
        "['access_key_id', 'iam_action', 'service', 'region', 'resource_arn', 'service_context']",
        "['access_key', 'session']",
        "['services']",
    ]


def test_the_server_module_reads_nothing_of_ministack_before_its_environment_is_set():
    from pipeline.local.aws import server

    head = inspect.getsource(server).split("def serve")[0]
    assert "ministack" not in "\n".join(
        line for line in head.splitlines() if line.startswith(("import", "from"))
    )

"""Resources and condition keys of our two services for IAM's decisions.

ministack's evaluator uses the resource `*` for services that it does not know. With the functions
here, a policy for one pipeline, execution, training job or application means the same as in AWS
(Service Authorization Reference, October 2026). Two S3 condition keys and one global one that its
evaluator lacks are added too, because the bucket policies in `conf/infrastructure/` use them.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.local.aws.account import Account
from pipeline.local.aws.emr_serverless import job_runs
from pipeline.local.aws.store import Document

_ROOT_KEEPS = {"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"}


def sagemaker_resource(account: Account, operation: str, request: Document) -> str:
    """Return the ARN that a SageMaker request acts on; `*` for lists of everything."""
    if token := request.get("CallbackToken"):
        callback = account.store.get("callback", token)
        return (
            callback["execution"]
            if callback
            else account.arn("sagemaker", "pipeline/*/execution/*")
        )
    for member in ("PipelineExecutionArn", "ResourceArn", "PipelineArn"):
        if arn := request.get(member):
            return str(arn)
    if name := request.get("PipelineName"):
        return account.arn("sagemaker", f"pipeline/{name.rsplit('/', 1)[-1]}")
    for member in ("ModelPackageArn", "ModelPackageName"):
        if arn := request.get(member):
            return str(arn)
    if name := request.get("ModelPackageGroupName"):
        return account.arn("sagemaker", f"model-package-group/{name.rpartition('/')[2]}")
    if operation != "ListTrainingJobs" and (name := request.get("TrainingJobName")):
        return account.arn("sagemaker", f"training-job/{name}")
    return "*"


def sagemaker_context(request: Document) -> dict[str, Any]:
    """The condition keys of CreateTrainingJob, and of a model package's two writes."""
    resources, vpc = request.get("ResourceConfig") or {}, request.get("VpcConfig") or {}
    stopping, output = request.get("StoppingCondition") or {}, request.get("OutputDataConfig") or {}
    keys = {
        "sagemaker:InstanceTypes": [resources["InstanceType"]]
        if "InstanceType" in resources
        else None,
        "sagemaker:VolumeKmsKeyArn": resources.get("VolumeKmsKeyId"),
        "sagemaker:OutputKmsKeyArn": output.get("KmsKeyId"),
        "sagemaker:MaxRuntimeInSeconds": stopping.get("MaxRuntimeInSeconds"),
        "sagemaker:VpcSubnets": vpc.get("Subnets"),
        "sagemaker:VpcSecurityGroupIds": vpc.get("SecurityGroupIds"),
        "sagemaker:ModelApprovalStatus": request.get("ModelApprovalStatus"),
        "sagemaker:NetworkIsolation": request.get("EnableNetworkIsolation"),
        "sagemaker:InterContainerTrafficEncryption": request.get(
            "EnableInterContainerTrafficEncryption"
        ),
    }
    return {name: value for name, value in keys.items() if value is not None}


def signing_context(request: Document) -> dict[str, Any]:
    """The condition keys of kms:Sign."""
    keys = {
        "kms:SigningAlgorithm": request.get("SigningAlgorithm"),
        "kms:MessageType": request.get("MessageType", "RAW"),
    }
    return {name: value for name, value in keys.items() if value is not None}


def emr_resource(account: Account, method: str, path: str) -> str:
    """The ARN that an EMR Serverless request acts on: a run, an application, or everything."""
    found = job_runs.route(method, path)
    names = found[1] if found else {}
    if "jobRunId" in names:
        return account.arn(
            "emr-serverless", f"/applications/{names['applicationId']}/jobruns/{names['jobRunId']}"
        )
    if "applicationId" in names:
        return account.arn("emr-serverless", f"/applications/{names['applicationId']}")
    return "*"


def s3_write_context(
    action: str, query: Mapping[str, Any], headers: Mapping[str, str]
) -> dict[str, Any]:
    """`s3:if-none-match`, `s3:if-match` and `s3:ObjectCreationOperation` of a write.

    The last one is false for the calls of a multipart upload that do not create the object, as in
    the S3 user guide, "Enforce conditional writes on Amazon S3 buckets".
    """
    if action != "s3:PutObject":
        return {}
    unfinished = "uploads" in query or "partNumber" in query
    context: dict[str, Any] = {"s3:ObjectCreationOperation": str(not unfinished).lower()}
    for name in ("if-none-match", "if-match"):
        if name in headers:
            context[f"s3:{name}"] = headers[name]
    return context


def binds_root(action: str) -> bool:
    """Whether an explicit Deny of the resource's policy refuses this action to the account's root.

    S3 exempts root from three actions only, so that an owner cannot be locked out (S3 API
    Reference, DeleteBucketPolicy). Queue policies are not applied to root here [unverified in AWS].
    """
    return action.startswith("s3:") and action not in _ROOT_KEEPS


def principal_arn(arn: str, roles: Mapping[str, Any]) -> str:
    """Return `aws:PrincipalArn`: for a session this is the ARN of its role, not of the session."""
    if ":assumed-role/" not in arn:
        return arn
    name = arn.split(":assumed-role/", 1)[1].split("/", 1)[0]
    role = roles.get(name)
    return str(role["Arn"]) if role else f"arn:aws:iam::{arn.split(':')[4]}:role/{name}"

"""Who may do what, as docs/architecture.md states it: each action on each resource, and its roles.

Every other role may not, and no role may do it to the same resource of another environment,
account or region, or do the neighbouring actions of PROBES to the resource.
"""

from tests.local.aws.rights.names import (
    ADMIN_SECRET,
    APPLICATION,
    DEAD,
    EXECUTION,
    HERE,
    JOB,
    JOB_RUN,
    MODEL_PACKAGE,
    PACKAGE_GROUP,
    PEOPLE,
    PIPELINE,
    PREFIX,
    QUEUE,
    REPOSITORY,
    RULE,
    STEPS,
    log,
    role,
    secret,
)

READERS = PEOPLE | {"register"}
FOLLOWERS = {"register", "scientist", "auditor", "reconciler"}
NOBODY: set[str] = set()


def rows(
    service: str, resource: str, found: dict[str, set[str]]
) -> dict[tuple[str, str], set[str]]:
    """One resource's rows: several actions of a service in one string, with their roles."""
    return {
        (f"{service}:{action}", resource): who
        for actions, who in found.items()
        for action in actions.split()
    }


PREPARE_LOG, TRAIN_LOG = log("/aws/emr-serverless"), log("/aws/sagemaker/TrainingJobs")
WORKER_LOG = log(f"/aws/lambda/{PREFIX}-register")
TASK_LOG, SECRETS_LOG = log(f"/ecs/{PREFIX}-register"), log(f"/aws/lambda/{PREFIX}-secrets")
WRITES_LOG = "CreateLogGroup CreateLogStream PutLogEvents"
DESCRIBES = "DescribePipelineExecution ListPipelineExecutionSteps"
DETAILS = "ListPipelineParametersForExecution DescribePipelineDefinitionForExecution"
ANSWERS = "SendPipelineExecutionStepSuccess SendPipelineExecutionStepFailure"

HANDED = {"approver", "auditor", "reconciler"}
PACKAGES = {  # UpdateModelPackage of the reconciler has a condition: conditions.py
    **rows(
        "sagemaker",
        PACKAGE_GROUP,
        {
            "CreateModelPackage": {"approver"},
            "ListModelPackages": HANDED | {"scientist"},
            "DescribeModelPackage UpdateModelPackage DeleteModelPackageGroup": NOBODY,
            "PutModelPackageGroupPolicy": NOBODY,
        },
    ),
    **rows(
        "sagemaker",
        MODEL_PACKAGE,
        {
            "CreateModelPackage UpdateModelPackage": {"approver"},
            "ListModelPackages": HANDED | {"scientist"},
            "DescribeModelPackage": HANDED,
            "DeleteModelPackage AddTags CreateModel": NOBODY,
        },
    ),
    **rows(
        "sagemaker",
        MODEL_PACKAGE.replace("/1", "-other/1"),
        {"CreateModelPackage UpdateModelPackage DescribeModelPackage": NOBODY},
    ),
}

# by the policy simulator of the deployed environment, and again for each mutant
RIGHTS: dict[tuple[str, str], set[str]] = {
    **rows(
        "sagemaker",
        JOB,
        {
            "CreateTrainingJob StopTrainingJob AddTags": {"pipeline"},
            "DescribeTrainingJob": FOLLOWERS | {"pipeline"},
            "ListTags": {"scientist"},
            "DeleteTags UpdateTrainingJob": NOBODY,
        },
    ),
    **rows(
        "sagemaker",
        JOB.replace("pipelines-", "mine-"),
        {"CreateTrainingJob DescribeTrainingJob ListTags": NOBODY},
    ),
    **rows(
        "sagemaker",
        PIPELINE,
        {
            "CreatePipeline UpdatePipeline AddTags DeleteTags UpdatePipelineVersion": {"ci"},
            "DescribePipeline": {"ci", "scientist", "auditor"},
            "ListTags": {"ci", "scientist"},
            "ListPipelineVersions": {"ci"},
            "StartPipelineExecution": {"scientist"},
            "ListPipelineExecutions": {"scientist", "reconciler"},
            "DeletePipeline": NOBODY,
        },
    ),
    **rows(
        "sagemaker",
        f"{PIPELINE}-other",
        {
            "UpdatePipeline StartPipelineExecution ListTags DescribePipeline": NOBODY,
            "ListPipelineExecutions": NOBODY,
        },
    ),
    **rows(
        "sagemaker",
        EXECUTION,
        {
            DESCRIBES: FOLLOWERS,
            DETAILS: FOLLOWERS - {"reconciler"},
            "StopPipelineExecution RetryPipelineExecution": {"scientist"},
            "UpdatePipelineExecution": {"register"},
            ANSWERS: {"register"},
        },
    ),
    **rows(
        "sagemaker",
        EXECUTION.replace("/execution/", "-other/execution/"),
        {f"{DESCRIBES} {DETAILS} {ANSWERS} UpdatePipelineExecution": NOBODY},
    ),
    **rows(
        "sagemaker",
        f"{PIPELINE}/other/x",
        {f"{DESCRIBES} {DETAILS} {ANSWERS} UpdatePipelineExecution": NOBODY},
    ),
    **PACKAGES,
    **rows("sagemaker", "*", {"ListPipelines Search": {"scientist"}, "CreateModel": NOBODY}),
    **rows("sagemaker", "*", {"CreateEndpoint": NOBODY}),
    **rows(
        "cloudwatch", "*", {"PutMetricData": {"train"}, "GetMetricData": {"scientist"}}
    ),  # without metrics Gate has no eval:loss
    **rows("events", RULE, {"PutRule PutTargets DescribeRule": {"pipeline"}}),
    **rows("events", f"{RULE}StepStatusUpdateRule", {"PutRule PutTargets": {"pipeline"}}),
    **rows("events", RULE.replace("SageMaker", "My"), {"PutRule PutTargets DescribeRule": NOBODY}),
    **rows(
        "emr-serverless",
        APPLICATION,
        {
            "StartJobRun": {"pipeline"},
            "GetApplication": {"pipeline", "register"},
            "ListJobRuns UpdateApplication DeleteApplication": NOBODY,
        },
    ),
    **rows(
        "emr-serverless",
        JOB_RUN,
        {
            "GetJobRun": FOLLOWERS | {"pipeline"},
            "CancelJobRun TagResource": {"pipeline"},
            "ListJobRuns": NOBODY,
        },
    ),
    **rows(
        "emr-serverless",
        JOB_RUN.replace("00application", "00other"),
        {"GetJobRun CancelJobRun ListJobRuns TagResource": NOBODY},
    ),
    **rows(
        "emr-serverless",
        f"{APPLICATION}/other/x",
        {"GetJobRun CancelJobRun ListJobRuns TagResource": NOBODY},
    ),
    **rows(
        "emr-serverless",
        APPLICATION.replace("00application", "00other"),
        {"StartJobRun GetApplication ListJobRuns": NOBODY},
    ),
    **rows(
        "sqs",
        QUEUE,
        {
            "SendMessage": {"pipeline", "reconciler"},
            "ReceiveMessage DeleteMessage ChangeMessageVisibility": {"register"},
            "GetQueueAttributes": {"register", "reconciler"},
            "PurgeQueue SetQueueAttributes": NOBODY,
        },
    ),
    **rows(
        "sqs",
        DEAD,
        {
            "ReceiveMessage DeleteMessage ChangeMessageVisibility": {"reconciler"},
            "GetQueueAttributes": {"reconciler"},
            "SendMessage PurgeQueue StartMessageMoveTask": NOBODY,
        },
    ),
    **rows(
        "logs",
        PREPARE_LOG,
        {
            WRITES_LOG: {"prepare"},
            "DescribeLogStreams": {"prepare", "scientist"},
            "GetLogEvents": {"scientist"},
            "FilterLogEvents": NOBODY,
        },
    ),
    **rows(
        "logs",
        TRAIN_LOG,
        {
            WRITES_LOG: {"train"},
            "DescribeLogStreams": {"train", "scientist"},
            "GetLogEvents": {"scientist"},
            "FilterLogEvents": NOBODY,
        },
    ),
    **rows(
        "logs",
        WORKER_LOG,
        {
            "CreateLogStream PutLogEvents": {"register"},
            "CreateLogGroup DescribeLogStreams": NOBODY,
        },
    ),
    **rows("logs", TASK_LOG, {"CreateLogStream PutLogEvents": {"worker-execution"}}),
    **rows("logs", SECRETS_LOG, {"CreateLogStream PutLogEvents": {"secret-age", "rotation"}}),
    **{
        key: who
        for group in ("/aws/other", "/aws/sagemaker/Endpoints", "/aws/lambda/other")
        for key, who in rows(
            "logs",
            log(group),
            {f"{WRITES_LOG} DescribeLogStreams GetLogEvents FilterLogEvents": NOBODY},
        ).items()
    },
    **rows("logs", f"arn:aws:logs:{HERE}:log-group:*", {"DescribeLogGroups": {"prepare"}}),
    **rows(
        "ecr",
        f"{REPOSITORY}/train",
        {"BatchCheckLayerAvailability BatchGetImage GetDownloadUrlForLayer": {"train"}},
    ),
    **rows(
        "ecr",
        f"{REPOSITORY}/register",
        {
            "BatchCheckLayerAvailability BatchGetImage GetDownloadUrlForLayer": {
                "worker-execution"
            },
            "PutImage": NOBODY,
        },
    ),
    **rows("ecr", "*", {"GetAuthorizationToken": {"train", "worker-execution"}}),
    **rows("kms", f"arn:aws:kms:{HERE}:key/any", {"ScheduleKeyDeletion Sign": NOBODY}),
    **rows("iam", "*", {"CreateRole": NOBODY}),
    **rows("iam", role("train"), {"PutRolePolicy PassRole": NOBODY}),
    **rows("sts", role("uc-storage"), {"AssumeRole": {"uc-storage"}}),
    **rows("sts", role("train"), {"AssumeRole": NOBODY}),
    **{
        key: who
        for principal in PEOPLE | STEPS
        for key, who in rows(
            "secretsmanager",
            secret(principal),
            {
                "GetSecretValue": {principal},  # rotation's with a condition only: conditions.py
                "PutSecretValue DeleteSecret": NOBODY,
                "ListSecretVersionIds": {"secret-age"},
            },
        ).items()
    },
    **{
        (f"secretsmanager:{action}", secret("x").replace("/databricks/", "/other/")): NOBODY
        for action in ("ListSecretVersionIds", "GetSecretValue")
    },
    **rows("secretsmanager", ADMIN_SECRET, {"GetSecretValue": {"rotation"}}),
    ("secretsmanager:GetSecretValue", f"{ADMIN_SECRET}-another"): NOBODY,
    ("secretsmanager:GetSecretValue", f"{secret('train')}-another"): NOBODY,
    ("secretsmanager:GetSecretValue", secret("mirror")): NOBODY,
}

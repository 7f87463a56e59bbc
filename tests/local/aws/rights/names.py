"""The resources that the tables of rights name, as the environment `local` has them."""

from pipeline.local.aws import infrastructure

ACCOUNT, REGION, PREFIX = infrastructure.ACCOUNT_ID, "us-east-1", infrastructure.PREFIX
HERE = f"{REGION}:{ACCOUNT}"
ROLES = (
    *("pipeline", "prepare", "train", "register", "ci", "scientist", "approver", "auditor"),
    *("reconciler", "mirror", "uc-storage", "worker-execution", "secret-age", "rotation"),
)
OPTIONAL = {"worker-execution", "secret-age", "rotation"}  # not in the embedded environment
PEOPLE = {"scientist", "approver", "auditor", "reconciler"}  # who has a Databricks principal too
STEPS = {"prepare", "train", "register"}

PIPELINE = f"arn:aws:sagemaker:{HERE}:pipeline/{PREFIX}"
EXECUTION = f"{PIPELINE}/execution/abcdefghijkl"
JOB = f"arn:aws:sagemaker:{HERE}:training-job/pipelines-abc-Train-1"
# the id is an account's own, so the tables have this one and a test puts the deployed one in
APPLICATION = f"arn:aws:emr-serverless:{HERE}:/applications/00application"
JOB_RUN = f"{APPLICATION}/jobruns/00run"
RULE = f"arn:aws:events:{HERE}:rule/SageMakerPipelineExecutionEMR"
QUEUE = f"arn:aws:sqs:{HERE}:{PREFIX}-register"
DEAD = f"{QUEUE}-dead"
TOPIC = f"arn:aws:sns:{HERE}:{PREFIX}"
PACKAGE_GROUP = f"arn:aws:sagemaker:{HERE}:model-package-group/{PREFIX}"
MODEL_PACKAGE = f"arn:aws:sagemaker:{HERE}:model-package/{PREFIX}/1"
DOMAIN = f"arn:aws:datazone:{HERE}:domain/dzd_4x7k"
REPOSITORY = f"arn:aws:ecr:{HERE}:repository/governed-finetune"
SIGNING_KEY, APPROVAL_KEY, TRAIL_KEY = (
    f"arn:aws:kms:{HERE}:key/{name}" for name in ("signing", "approval", "trail")
)
THE_TRAIL = f"arn:aws:cloudtrail:{HERE}:trail/{PREFIX}"
ROTATION = f"arn:aws:lambda:{HERE}:function:{PREFIX}-rotation"
ADMIN_SECRET = f"arn:aws:secretsmanager:{HERE}:secret:bank/databricks-admin-AbCdEf"

EVIDENCE, ARTIFACTS, GOVERNED, TRAIL = (
    f"arn:aws:s3:::{PREFIX}-{name}-{ACCOUNT}-{REGION}"
    for name in ("evidence", "artifacts", "governed", "trail")
)
RUN = f"{EVIDENCE}/executions/abcdefghijkl"
OF_PREPARE, OF_TRAIN, OF_REGISTER = (
    f"{RUN}/{step}/manifest.json" for step in ("prepare", "train", "register")
)
LEDGER, APPROVAL = f"{EVIDENCE}/ledger/0000000001.json", f"{EVIDENCE}/approvals/m/1/1.json"
ARCHIVE = f"{ARTIFACTS}/executions/abcdefghijkl/train/job/output/model.tar.gz"
CHECKPOINT = f"{ARTIFACTS}/checkpoints/abcdefghijkl/1"
WEIGHTS, MIRROR, CONFIG = (
    f"{ARTIFACTS}/base-models/m/r/{name}"
    for name in ("model.safetensors", "mirror.json", "config.json")
)
HEARTBEAT = f"{ARTIFACTS}/workers/{PREFIX}.json"
TRAIL_FILE = f"{TRAIL}/AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/2026/11/30/f.json.gz"
TABLE = f"{GOVERNED}/curated/t/part-0.parquet"


def role(name: str) -> str:
    """The ARN of one of our roles."""
    return f"arn:aws:iam::{ACCOUNT}:role/{PREFIX}-{name}"


def log(group: str) -> str:
    """The ARN of a log stream of a group."""
    return f"arn:aws:logs:{HERE}:log-group:{group}:log-stream:s"


def secret(principal: str) -> str:
    """The ARN of a principal's secret, with the six characters that Secrets Manager adds."""
    return f"arn:aws:secretsmanager:{HERE}:secret:{PREFIX}/databricks/{principal}-AbCdEf"

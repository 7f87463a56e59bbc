"""Who may do what: each right of the architecture against each role, by the policy simulator.

The simulator reads the roles' own policies. What buckets, queues and keys refuse besides is in
test_bucket_rights.py and test_evidence_rights.py.
"""

import pytest

from pipeline.local.aws import infrastructure

pytestmark = pytest.mark.environment

HERE = "us-east-1:000000000000"
NAME = infrastructure.PREFIX
ROLES = (
    *("pipeline", "prepare", "train", "register", "ci", "scientist", "approver", "auditor"),
    *("reconciler", "mirror", "uc-storage"),
)
PIPELINE = f"arn:aws:sagemaker:{HERE}:pipeline/{NAME}"
EXECUTION = f"{PIPELINE}/execution/abcdefghijkl"
JOB = f"arn:aws:sagemaker:{HERE}:training-job/pipelines-abc-Train-1"
QUEUE = f"arn:aws:sqs:{HERE}:{NAME}-register"
EVIDENCE = f"arn:aws:s3:::{NAME}-evidence-000000000000-us-east-1"
ARTIFACTS = f"arn:aws:s3:::{NAME}-artifacts-000000000000-us-east-1"
GOVERNED = f"arn:aws:s3:::{NAME}-governed-000000000000-us-east-1"
RUN = f"{EVIDENCE}/executions/abcdefghijkl"
READERS = {"register", "scientist", "approver", "auditor", "reconciler"}


def secret(principal: str) -> str:
    return f"arn:aws:secretsmanager:{HERE}:secret:{NAME}/databricks/{principal}-AbCdEf"


# (action, resource): the roles that may; every other role may not
RIGHTS: dict[tuple[str, str], set[str]] = {
    ("sagemaker:CreateTrainingJob", JOB): {"pipeline"},
    ("sagemaker:StopTrainingJob", JOB): {"pipeline"},
    ("sagemaker:CreateTrainingJob", JOB.replace("pipelines-", "mine-")): set(),
    ("sagemaker:CreatePipeline", PIPELINE): {"ci"},
    ("sagemaker:UpdatePipeline", PIPELINE): {"ci"},
    ("sagemaker:DeletePipeline", PIPELINE): set(),
    ("sagemaker:UpdatePipeline", f"{PIPELINE}-other"): set(),
    ("sagemaker:StartPipelineExecution", PIPELINE): {"scientist"},
    ("sagemaker:StartPipelineExecution", f"{PIPELINE}-other"): set(),
    ("sagemaker:SendPipelineExecutionStepSuccess", EXECUTION): {"register"},
    ("sagemaker:SendPipelineExecutionStepFailure", EXECUTION): {"register"},
    ("sagemaker:CreateModel", "*"): set(),
    ("sagemaker:CreateEndpoint", "*"): set(),
    ("sqs:ReceiveMessage", QUEUE): {"register"},
    ("sqs:DeleteMessage", QUEUE): {"register"},
    ("sqs:SendMessage", QUEUE): {"pipeline", "reconciler"},
    ("sqs:SendMessage", f"{QUEUE}-dead"): set(),
    ("sqs:ReceiveMessage", f"{QUEUE}-dead"): {"reconciler"},
    ("sqs:DeleteMessage", f"{QUEUE}-dead"): {"reconciler"},
    ("sqs:PurgeQueue", QUEUE): set(),
    ("s3:PutObject", f"{RUN}/prepare/manifest.json"): {"prepare"},
    ("s3:PutObject", f"{RUN}/train/manifest.json"): {"train"},
    ("s3:PutObject", f"{RUN}/register/record.json"): {"register"},
    ("s3:PutObject", f"{EVIDENCE}/ledger/0000000001.json"): {"register", "approver"},
    ("s3:PutObject", f"{EVIDENCE}/approvals/m/1/1.json"): {"approver"},
    ("s3:PutObject", f"{EVIDENCE}/elsewhere"): set(),
    ("s3:DeleteObject", f"{RUN}/train/manifest.json"): set(),
    ("s3:DeleteObjectVersion", f"{RUN}/train/manifest.json"): set(),
    ("s3:BypassGovernanceRetention", f"{RUN}/train/manifest.json"): set(),
    ("s3:PutBucketPolicy", EVIDENCE): set(),
    ("s3:PutBucketVersioning", EVIDENCE): set(),
    ("s3:GetObject", f"{RUN}/prepare/manifest.json"): READERS | {"prepare", "train"},
    ("s3:GetObject", f"{RUN}/register/record.json"): READERS,
    ("s3:PutObject", f"{ARTIFACTS}/executions/abcdefghijkl/model.tar.gz"): {"train"},
    ("s3:DeleteObject", f"{ARTIFACTS}/executions/abcdefghijkl/model.tar.gz"): set(),
    ("s3:PutObject", f"{ARTIFACTS}/checkpoints/abcdefghijkl/1"): {"train"},
    ("s3:PutObject", f"{ARTIFACTS}/base-models/m/r/mirror.json"): {"mirror"},
    ("s3:GetObject", f"{GOVERNED}/raw/filings/part-0.parquet"): {"uc-storage"},
    ("s3:PutObject", f"{GOVERNED}/curated/t/part-0.parquet"): {"uc-storage"},
    ("s3:DeleteObject", f"{GOVERNED}/curated/t/part-0.parquet"): {"uc-storage"},
    ("s3:PutBucketPolicy", GOVERNED): set(),
    ("kms:ScheduleKeyDeletion", f"arn:aws:kms:{HERE}:key/any"): set(),
    ("iam:CreateRole", "*"): set(),
    ("iam:PutRolePolicy", f"arn:aws:iam::000000000000:role/{NAME}-train"): set(),
    ("secretsmanager:PutSecretValue", secret("train")): set(),
    **{
        ("secretsmanager:GetSecretValue", secret(principal)): {principal}
        for principal in (
            *("prepare", "train", "register", "scientist", "auditor", "approver", "reconciler"),
        )
    },
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_the_rights_of_its_column_and_no_other(server, role):
    iam = server.client("iam")
    wrong = []
    for (action, resource), may in RIGHTS.items():
        (found,) = iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::000000000000:role/{NAME}-{role}",
            ActionNames=[action],
            ResourceArns=[resource],
        )["EvaluationResults"]
        if (found["EvalDecision"] == "allowed") != (role in may):
            wrong.append((action, resource, found["EvalDecision"]))
    assert wrong == []


def test_the_table_is_large_enough_to_be_a_proof():
    assert len(RIGHTS) * len(ROLES) >= 400
    assert set().union(*RIGHTS.values()) == set(ROLES)

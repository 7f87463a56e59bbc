"""Rights that a first day in an account needs, by the policy simulator on the deployed roles; and
who may become which role.
"""

import pytest

from pipeline.local.aws import infrastructure

pytestmark = pytest.mark.environment
HERE = "us-east-1:000000000000"
PIPELINE = f"arn:aws:sagemaker:{HERE}:pipeline/governed-finetune-local"
JOB = f"arn:aws:sagemaker:{HERE}:training-job/pipelines-abc-Train-1"
MODELS = "arn:aws:s3:::governed-finetune-local-artifacts-000000000000-us-east-1/base-models"
SUBJECT = "repo:example/models:environment:dev"


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        # without metrics Gate has no eval:loss
        ("train", "cloudwatch:PutMetricData", "*"),
        ("prepare", "logs:DescribeLogGroups", f"arn:aws:logs:{HERE}:log-group:*"),
        # [unverified] which of the names SageMaker gives its rule for EMR Serverless
        ("pipeline", "events:PutRule", f"arn:aws:events:{HERE}:rule/SageMakerPipelineExecutionEMR"),
        (
            "pipeline",
            "events:PutTargets",
            f"arn:aws:events:{HERE}:rule/SageMakerPipelineExecutionEMRStepStatusUpdateRule",
        ),
        (
            "pipeline",
            "events:DescribeRule",
            f"arn:aws:events:{HERE}:rule/SageMakerPipelineExecutionEMRServerlessStepStatusUpdate",
        ),
        # what Studio calls
        ("scientist", "sagemaker:Search", "*"),
        ("scientist", "cloudwatch:GetMetricData", "*"),
        ("scientist", "sagemaker:ListTags", PIPELINE),
        ("scientist", "sagemaker:ListTags", JOB),
        ("mirror", "s3:PutObject", f"{MODELS}/m/r/mirror.json"),
    ],
)
def test_a_role_may(server, role, action, resource):
    assert decision(server, role, action, resource) == "allowed"


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("prepare", "cloudwatch:PutMetricData", "*"),
        ("pipeline", "events:PutRule", f"arn:aws:events:{HERE}:rule/somebody-elses"),
        ("scientist", "sagemaker:AddTags", PIPELINE),
        ("scientist", "sagemaker:CreateTrainingJob", JOB),
        ("scientist", "sagemaker:ListTags", PIPELINE + "-other"),
        ("mirror", "s3:PutObject", MODELS.replace("base-models", "executions") + "/x"),
        ("mirror", "s3:DeleteObjectVersion", f"{MODELS}/m/r/mirror.json"),
        ("ci", "sagemaker:StartPipelineExecution", PIPELINE),
    ],
)
def test_a_role_may_not(server, role, action, resource):
    assert decision(server, role, action, resource) != "allowed"


def decision(server, role, action, resource):
    (found,) = server.client("iam").simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::000000000000:role/{infrastructure.PREFIX}-{role}",
        ActionNames=[action],
        ResourceArns=[resource],
    )["EvaluationResults"]
    return found["EvalDecision"]


def test_a_studio_profile_takes_the_scientists_role(server):
    """Studio's own principal, of this account alone."""
    (studio,) = [each for each in trust(server, "scientist") if "Service" in each["Principal"]]
    assert studio["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert studio["Condition"] == {"StringEquals": {"aws:SourceAccount": "000000000000"}}


def test_nobody_becomes_ci_or_scientist_by_being_in_the_account(new_server):
    """Given nothing but a workflow's subject, neither trusts a principal of the account."""
    new_server.start()
    given = {"DeployerPrincipalArn": "", "ScientistPrincipalArn": "", "GitHubSubject": SUBJECT}
    deploy_identity(new_server, given | {"GitLabSubject": "project_path:g/n:ref_type:branch:ref:x"})
    for role in ("ci", "scientist"):
        assert all("AWS" not in statement["Principal"] for statement in trust(new_server, role))
    github, gitlab = trust(new_server, "ci")
    host = "token.actions.githubusercontent.com"
    providers = new_server.client("iam").list_open_id_connect_providers()
    arns = {each["Arn"] for each in providers["OpenIDConnectProviderList"]}
    assert {each["Principal"]["Federated"] for each in (github, gitlab)} == arns
    assert github["Action"] == gitlab["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert github["Condition"] == {
        "StringEquals": {f"{host}:aud": "sts.amazonaws.com", f"{host}:sub": SUBJECT}
    }


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"DeployerPrincipalArn": ""}, "who assumes ci"),
        ({"GitHubSubject": "repo:example/*"}, "GitHubSubject"),
        ({"AuditorPrincipalArn": ""}, "AuditorPrincipalArn"),
        ({"ApproverPrincipalArn": "*"}, "ApproverPrincipalArn"),
        ({"ReconcilerPrincipalArn": ""}, "ReconcilerPrincipalArn"),
    ],
)
def test_a_trust_that_is_too_wide_or_empty_is_refused_before_anything_changes(server, given, named):
    with pytest.raises(infrastructure.DeploymentFailed, match=named):
        deploy_identity(server, given)


def test_the_role_of_mirroring_is_made_only_for_somebody(new_server):
    new_server.start()
    deploy_identity(new_server, {"MirrorPrincipalArn": ""})
    names = {role["RoleName"] for role in new_server.client("iam").list_roles()["Roles"]}
    assert f"{infrastructure.PREFIX}-mirror" not in names


def deploy_identity(server, given):
    template = infrastructure.FOLDER / "identity.yaml"
    infrastructure.deploy_layer(server.client("cloudformation"), template, given)


def trust(server, role):
    found = server.client("iam").get_role(RoleName=f"{infrastructure.PREFIX}-{role}")
    return found["Role"]["AssumeRolePolicyDocument"]["Statement"]

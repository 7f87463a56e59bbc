"""What SageMaker does with a training job's role besides its data: IAM is asked before the start.

    role_rights.check(account, session, job)

In AWS it pulls the image from ECR, joins the subnets, writes the log and publishes the values of
the metric definitions with this role. Here the image is the work tree and the network this
machine's, but a right that the role lacks fails the job too, so it is found before the first job
in an account. [unverified] which of them AWS only leaves out: it may run a job without log or
metrics, and Gate then has no `eval:loss`.
"""

import re
from collections.abc import Iterator

from pipeline.local.aws.account import Account, RoleSession
from pipeline.local.aws.errors import Denied
from pipeline.local.aws.store import Document
from pipeline.local.aws.training_jobs.status import JobFailed

# an image of another registry needs no right on ECR
_REPOSITORY = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<name>[^:@]+)"
)
_PULL = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
# SageMaker Developer Guide, "How to use SageMaker execution roles", CreateTrainingJob
_INTERFACES = (
    *("CreateNetworkInterface", "CreateNetworkInterfacePermission", "DeleteNetworkInterface"),
    *("DeleteNetworkInterfacePermission", "DescribeNetworkInterfaces", "DescribeVpcs"),
    *("DescribeDhcpOptions", "DescribeSubnets", "DescribeSecurityGroups"),
)
# the first sentence is AWS's [unverified: from reports of users]; IAM's own follows here
_NO_IMAGE = (
    "Cannot pull algorithm container. Either the image does not exist or its permissions are "
    "incorrect. "
)
LOG_GROUP = "/aws/sagemaker/TrainingJobs"

Right = tuple[str, str]  # action and resource


def check(account: Account, session: RoleSession, job: Document) -> None:
    """Ask IAM for each right that SageMaker needs for this job.

    Raises:
        JobFailed: the role lacks one; the message names role, action and resource.
    """
    pulls = list(_pulls(str(job["AlgorithmSpecification"]["TrainingImage"])))
    for action, resource in [*pulls, *_others(account, job)]:
        try:
            account.check_session(session, action, resource)
        except Denied as refused:
            what = _NO_IMAGE if (action, resource) in pulls else ""
            raise JobFailed(f"ClientError: {what}{refused.message}") from None


def _pulls(image: str) -> Iterator[Right]:
    if found := _REPOSITORY.match(image):
        yield "ecr:GetAuthorizationToken", "*"
        arn = f"arn:aws:ecr:{found['region']}:{found['account']}:repository/{found['name']}"
        yield from ((f"ecr:{action}", arn) for action in _PULL)


def _others(account: Account, job: Document) -> Iterator[Right]:
    if job.get("VpcConfig"):
        yield from ((f"ec2:{action}", "*") for action in _INTERFACES)
    stream = f"log-group:{LOG_GROUP}:log-stream:{job['TrainingJobName']}/algo-1"
    for action in ("CreateLogStream", "DescribeLogStreams", "PutLogEvents"):
        yield f"logs:{action}", account.arn("logs", stream)
    if job["AlgorithmSpecification"].get("MetricDefinitions"):
        yield "cloudwatch:PutMetricData", "*"

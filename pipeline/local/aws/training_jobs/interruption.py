"""Take a spot job's instance away. In AWS the spot market does this; no API has an operation for
it.

    interrupt(session_of_root, "http://127.0.0.1:4566", "pipelines-4x7k2m9p1q0z-Train-…")

The stand-in serves it like SageMaker's own operations, signed and authorized by IAM. No role of the
stack has the right.
"""

import json

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from pipeline.local.aws.training_jobs.jobs import INTERRUPT


class NotInterrupted(Exception):
    """The stand-in refused; the exception has its message."""


def interrupt(session: boto3.Session, endpoint: str, training_job: str) -> None:
    """Send SIGTERM, and SIGKILL after the grace; the job starts again from its checkpoints.

    Raises:
        NotInterrupted: it is not a spot job, it is not running, or the caller lacks the right.
    """
    request = AWSRequest(
        method="POST",
        url=endpoint,
        headers={
            "X-Amz-Target": f"SageMaker.{INTERRUPT}",
            "Content-Type": "application/x-amz-json-1.1",
        },
        data=json.dumps({"TrainingJobName": training_job}),
    )
    SigV4Auth(session.get_credentials(), "sagemaker", session.region_name).add_auth(request)
    http = URLLib3Session()
    try:
        answer = http.send(request.prepare())
    finally:
        http.close()
    if answer.status_code != 200:
        raise NotInterrupted(json.loads(answer.content)["message"])

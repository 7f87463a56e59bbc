"""Takes a spot job's instance away, which in AWS is the market's doing and no operation of any API.

    interrupt(boto3.Session(…root's key…), "http://127.0.0.1:4566", "pipelines-4x7k2m9p1q0z-Train-…")

The stand-in serves it beside SageMaker's own operations, signed and judged by IAM like them; no
role of the stack may.
"""

import json

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from pipeline.local.aws.training_jobs.jobs import INTERRUPT


class NotInterrupted(Exception):
    """The stand-in refused; the message is its own."""


def interrupt(session: boto3.Session, endpoint: str, training_job: str) -> None:
    """SIGTERM now, SIGKILL after the grace, and the job starts again from its checkpoints.

    Raises:
        NotInterrupted: it is no spot job, it does not run, or the caller may not.
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

"""The region of a governed bucket, which the vended answer does not name.

    options = {"AWS_REGION": region.of(access.location)}

A bucket of Unity Catalog may be in another region than the job, and delta-rs signs for the region
in its options. S3 names a bucket's region to anybody who asks for its head, in a header that a
refusal has too, so the question needs no keys. It is asked once a bucket and process, with two
attempts of 10 s each. If no answer names a region, the process's own region is used, with a
warning. Where an endpoint is set, the endpoint's region is the process's own, and nothing is asked.
"""

import functools
import logging
import os
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from steps.governance.errors import GovernanceError

log = logging.getLogger(__name__)

_HEADER = "x-amz-bucket-region"
_SETTINGS = Config(
    signature_version=UNSIGNED,
    connect_timeout=5,  # seconds, as the next
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 2},
)


def of(location: str) -> str:
    """Return the region of a location's bucket; "" for a location that is not in S3.

    Raises:
        GovernanceError: neither the bucket nor the process's environment names one.
    """
    place = urlsplit(location)
    if place.scheme not in ("s3", "s3a"):
        return _own()
    if own_endpoint():
        return _own()
    found = asked(place.netloc, near=_own() or "us-east-1")
    if found or _own():
        return found or _own()
    raise GovernanceError(
        f"the region of the bucket {place.netloc} is unknown",
        expected=f"S3's header {_HEADER}, or $AWS_REGION",
        got="neither",
        do="set AWS_REGION to the bucket's region in the job's environment",
    )


def own_endpoint() -> str | None:
    """Return the S3 endpoint that the environment names instead of AWS's, or None."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


@functools.cache
def asked(bucket: str, *, near: str, endpoint: str | None = None) -> str | None:
    """Return the region that S3 names for a bucket, or None with a warning if it names none.

    `near` is the region of the endpoint that is asked, if `endpoint` is not given.
    """
    client = boto3.client("s3", region_name=near, endpoint_url=endpoint, config=_SETTINGS)
    try:
        answer = client.head_bucket(Bucket=bucket)
    except ClientError as error:  # a refusal has the header too
        answer = error.response
    except BotoCoreError as error:
        log.warning("the region of bucket %s was not learned: %s", bucket, type(error).__name__)
        return None
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    found = headers.get(_HEADER)
    if not found:
        log.warning("S3 did not name the region of bucket %s; the job's own is used", bucket)
        return None
    return str(found)


def _own() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""

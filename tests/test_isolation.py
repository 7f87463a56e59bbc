"""No test inherits the AWS identity of an earlier one."""

import boto3


def test_a_test_may_make_the_default_session() -> None:
    boto3.client("sts", aws_access_key_id="x", aws_secret_access_key="x")
    assert boto3.DEFAULT_SESSION is not None


def test_the_next_test_starts_without_it() -> None:
    assert boto3.DEFAULT_SESSION is None

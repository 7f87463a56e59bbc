"""What one test leaves of a cloud reaches no other test. The two tests run in this order."""

import os

LEFT = {"AWS_ENDPOINT_URL_SAGEMAKER": "http://127.0.0.1:1", "DATABRICKS_TOKEN": "of a test"}
_left = list[str]()


def test_a_test_leaves_variables_and_removes_one() -> None:
    os.environ.update(LEFT)
    del os.environ["AWS_DEFAULT_REGION"]
    _left.extend(LEFT)


def test_the_next_test_sees_the_variables_of_the_first() -> None:
    assert _left, "run this file whole"
    assert not LEFT.keys() & os.environ.keys()
    assert os.environ["AWS_DEFAULT_REGION"] == "us-east-1"

"""IAM policies as the tests write them."""

import json
from typing import Any


def allow(actions: list[str], *resources: str) -> dict[str, Any]:
    """A statement; without resources for a trust policy."""
    return {"Effect": "Allow", "Action": actions} | (
        {"Resource": list(resources)} if resources else {}
    )


def trusting(account: str, external_id: str, *who: str) -> dict[str, Any]:
    """A trust policy's statement for these of an account that know the external id."""
    return allow(["sts:AssumeRole"]) | {
        "Principal": {"AWS": [f"{account}:{each}" for each in who]},
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }


def policy(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})

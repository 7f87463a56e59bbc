"""A secret is sent only to Databricks workspaces of any cloud.

In the embedded environment, and only there, it may be sent to the loopback address.
"""

from typing import Any

import pytest

from steps.governance.errors import UsageError
from steps.governance.unity_catalog.hosts import AWS_ZONES, NUMBERED_ZONES, checked_host

EMBEDDED = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}


@pytest.mark.parametrize("zone", [*AWS_ZONES, *NUMBERED_ZONES])
def test_a_workspace_of_every_cloud_is_a_host(zone: str) -> None:
    assert (
        checked_host(f"https://dbc-a1b2c3d4-e5f6{zone}/", {}) == f"https://dbc-a1b2c3d4-e5f6{zone}"
    )


@pytest.mark.parametrize(
    "host",
    ["https://adb-1234567890123456.7.azuredatabricks.net", "https://12.3.gcp.databricks.com"],
)
def test_a_number_may_follow_where_the_cloud_has_one(host: str) -> None:
    assert checked_host(host, {}) == host
    with pytest.raises(UsageError):
        checked_host("https://dbc-1.7.cloud.databricks.com", {})


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:8080", "http://localhost:1", "http://127.0.0.1"]
)
def test_the_loopback_is_a_host_only_where_aws_is_on_it_too(host: str) -> None:
    assert checked_host(host, EMBEDDED) == host
    for elsewhere in (
        {},
        {"AWS_ENDPOINT_URL": "https://vpce-1.sagemaker.us-east-1.vpce.amazonaws.com"},
    ):
        with pytest.raises(UsageError, match="refused before any secret was read") as refusal:
            checked_host(host, elsewhere)
        assert "loopback" not in str(refusal.value)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "dbc-1.cloud.databricks.com",
        "http://dbc-1.cloud.databricks.com",
        "https://cloud.databricks.com",
        "https://cloud.databricks.com.evil.example",
        "https://dbc-1.cloud.databricks.us.evil.example",
        "https://evil.example/.cloud.databricks.com",
        "https://user@dbc-1.cloud.databricks.com",
        "https://dbc-1.cloud.databricks.com:8443",
        "https://dbc-1.cloud.databricks.com//",
        "https://dbc-1.cloud.databricks.com.",
        "https://dbc-1.cloud.databricks.com/?o=1",
        "https://DBC-1.cloud.databricks.com",
        "https://evil.example#.cloud.databricks.com",
        "https://dbc-1.cloud.databricks.com\n",
        "https://dbc-1.dev.databricks.com",
        "https://dbc-1.staging.cloud.databricks.com",
        "https://dbc-1.staging.azuredatabricks.net",
        "https://accounts.cloud.databricks.com",
        "https://accounts-dod.cloud.databricks.us",
        "https://-dbc.cloud.databricks.com",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1:8080@evil.example",
        "http://10.0.0.1",
        "http://[::1]:8080",
    ],
)
def test_any_other_host_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="refused before any secret was read"):
        checked_host(host, EMBEDDED)


@pytest.mark.parametrize(
    "host", [None, 5, b"https://dbc-1.cloud.databricks.com", ["https://x"], True]
)
def test_what_is_no_text_is_refused_like_another_host(host: Any) -> None:
    with pytest.raises(UsageError, match="refused before any secret was read") as refused:
        checked_host(host, EMBEDDED)
    assert repr(host) in str(refused.value)


def test_text_before_an_at_sign_is_not_repeated() -> None:
    with pytest.raises(UsageError) as refused:
        checked_host("https://svc:dapi0123456789@dbc-1.cloud.databricks.com")
    assert "dapi" not in str(refused.value)
    assert "//…@dbc-1.cloud.databricks.com" in str(refused.value)

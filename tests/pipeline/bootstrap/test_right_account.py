"""Bootstrap and cleanup refuse another account than conf's, before they call anything else."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from pipeline import account
from pipeline.bootstrap import __main__ as bootstrap
from pipeline.bootstrap import right_account
from pipeline.cleanup import __main__ as cleanup
from pipeline.configuration import config as configuration
from pipeline.configuration.config import Config
from pipeline.errors import ConfigError, Refused, UsageError

REAL, OTHER = "210987654321", "120987654321"


def conf(number: str, host: str) -> Config:
    dev = configuration.load("dev")
    return replace(
        dev,
        aws=replace(dev.aws, account_id=number),
        databricks=replace(dev.databricks, host=host),
    )


WELL = conf(REAL, "https://bank.cloud.databricks.com")


def signed_in(number: str) -> Callable[[str], Any]:
    """Return a client of STS that answers as AWS does, once; no other service is reached."""
    sts = boto3.client("sts", region_name="us-east-1")
    stubbed = Stubber(sts)
    arn = f"arn:aws:sts::{number}:assumed-role/Administrator/me"
    stubbed.add_response(
        "get_caller_identity", {"Account": number, "Arn": arn, "UserId": "AROAEXAMPLE:me"}
    )
    stubbed.activate()
    return {"sts": sts}.__getitem__


def test_the_account_of_conf_is_accepted() -> None:
    right_account.refuse_other(WELL, signed_in(REAL))


@pytest.mark.parametrize("main", [bootstrap.main, cleanup.main])
def test_credentials_of_another_account_are_refused_first(
    main: Callable[[Sequence[str]], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(OTHER)
    monkeypatch.setattr(configuration, "load", lambda environment, **more: WELL)
    monkeypatch.setattr(account, "client", lambda service, config: client(service))
    with pytest.raises(Refused, match=f"for account {REAL}.* of account {OTHER}"):
        main(["--env", "dev", "--plan"])


@pytest.mark.parametrize(
    ("number", "host", "key"),
    [
        ("111111111111", WELL.databricks.host, "aws.account_id"),
        (REAL, "https://dbc-00000000-0000.cloud.databricks.com", "databricks.host"),
    ],
)
def test_a_placeholder_is_refused_before_a_call(number: str, host: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        right_account.refuse_other(conf(number, host), lambda service: pytest.fail(service))


@pytest.mark.parametrize("sure", [[], ["--yes", "prod"]])
def test_cleanup_wants_the_environment_twice(
    sure: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "_site", lambda *words: pytest.fail("reached"))
    with pytest.raises(UsageError, match="expected --yes dev"):
        cleanup.main(["--env", "dev", *sure])

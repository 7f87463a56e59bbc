"""The AWS account of an environment: its SageMaker client, and messages for what AWS answers.

botocore retries a lost response or a 5xx, with four attempts in all. Every call of this package is
idempotent, by token or by content. A refusal (4xx) is never retried.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from pipeline import command
from pipeline.configuration.config import Config
from pipeline.configuration.fields import LOCAL
from pipeline.errors import Refused

_REMEDIES = {
    "AccessDenied": "ask for the right in conf/infrastructure/, or sign in as the role that has it",
    "ExpiredToken": "sign in again: aws sso login",
    "UnrecognizedClient": "sign in again: aws sso login",
    "InvalidClientTokenId": "sign in again: aws sso login",
    "ResourceLimitExceeded": "raise the quota in Service Quotas, or delete what is not used",
    "Throttling": "wait a minute and run the same command",
}


def sagemaker(config: Config) -> Any:
    """Return the SageMaker client of this environment's region, as `client`."""
    return client("sagemaker", config)


def client(service: str, config: Config, *, region: str | None = None) -> Any:
    """Return the client of a service in this environment's region, or in another one.

    Endpoint and credentials come from the environment of the process.

    Raises:
        Refused: the environment is `local` and no endpoint is set: the call would reach AWS.
    """
    import boto3  # takes 0.3 s, which `--help` need not wait for
    from botocore.config import Config as ClientConfig

    if config.environment == LOCAL and not os.environ.get("AWS_ENDPOINT_URL"):
        message = (
            "environment 'local' needs $AWS_ENDPOINT_URL, got none, and would reach AWS; "
            f"{_embedded()}"
        )
        raise Refused(message)
    settings = ClientConfig(
        retries={"mode": "standard", "total_max_attempts": 4},
        connect_timeout=5,
        read_timeout=30,
        user_agent_extra="governed-finetune",
    )
    with answering(f"making a client of {service}", config):
        made = boto3.client(service, region_name=region or config.aws.region, config=settings)
    if command.verbose():
        made.meta.events.register("after-call", _shown)
    return made


def _shown(*, model: Any, parsed: Any, **_: Any) -> None:
    """Show a call without its content, which may hold what is not for a terminal."""
    answer = parsed.get("ResponseMetadata", {})
    tries = answer.get("RetryAttempts", 0) + 1
    service = model.service_model.service_name
    command.note(f"call       {service} {model.name} {answer.get('HTTPStatusCode')}, try {tries}")


@contextlib.contextmanager
def answering(request: str, config: Config) -> Iterator[None]:
    """Raise `Refused` for an error that AWS or botocore raises during `request`.

    Raises:
        Refused: with the service's code and message, and what to do.
    """
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        answer = error.response.get("Error", {})
        code, text = answer.get("Code", "?"), answer.get("Message", "")
        message = f"{request} was refused by AWS: {code}: {text}{_remedy(code, text, config)}"
        raise Refused(message) from error
    except exceptions.NoCredentialsError as error:
        remedy = _embedded() if config.environment == LOCAL else "sign in: aws sso login"
        message = f"{request} needs AWS credentials, got none; {remedy}"
        raise Refused(message) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        remedy = (
            _embedded()
            if config.environment == LOCAL
            else "check the network and $AWS_ENDPOINT_URL"
        )
        message = f"{request} got no answer from AWS: {error}; {remedy}"
        raise Refused(message) from error
    except exceptions.BotoCoreError as error:
        message = f"{request} failed before it was sent: {error}"
        raise Refused(message) from error


def is_absent(error: Any) -> bool:
    """Return whether a ClientError means that the pipeline or execution does not exist."""
    answer = error.response.get("Error", {})
    return answer.get("Code") in {"ResourceNotFound", "ResourceNotFoundException"} or (
        answer.get("Code") == "ValidationException"
        and "does not exist" in answer.get("Message", "")
    )


def check_account(arn: str, config: Config) -> None:
    """Check that an ARN is of the account and region in the configuration.

    Raises:
        Refused: the credentials belong to another account, or the endpoint to another region.
    """
    region, account = arn.split(":")[3:5]
    if (region, account) != (config.aws.region, config.aws.account_id):
        message = (
            f"conf/{config.environment}.yaml is for account {config.aws.account_id} in "
            f"{config.aws.region}, but the credentials reach account {account} in {region}; "
            "sign in to the right one"
        )
        raise Refused(message)


def _remedy(code: str, text: str, config: Config) -> str:
    if "/execution/" in text and code.startswith("ResourceNotFound"):
        return f"\n  do  choose one of: {command.line('pipeline.runs', config.environment)}"
    if code.startswith("ResourceNotFound") and config.pipeline.name in text:
        return f"\n  do  deploy it: {command.line_as('ci', 'pipeline.upsert', config.environment)}"
    found = next((remedy for start, remedy in _REMEDIES.items() if code.startswith(start)), None)
    return f"\n  do  {found}" if found else ""


def _embedded() -> str:
    command = 'python -m pipeline.local up && eval "$(python -m pipeline.local env)"'
    return f"is the embedded environment up? {command}"

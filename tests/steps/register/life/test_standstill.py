"""A worker ends when AWS refuses it for the whole budget, and never because AWS does not answer."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from steps.governance import aws
from steps.governance.errors import GovernanceError, Unavailable
from steps.register.life.standstill import CannotWork, Standstill

REFUSED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "AccessDenied",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
)


def translated(error: Exception) -> GovernanceError:
    with pytest.raises(GovernanceError) as raised, aws.translated("receive from the queue"):
        raise error
    return raised.value


def answer(code: str, status: int = 403) -> GovernanceError:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return translated(ClientError(response, "ReceiveMessage"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "error",
    [*(answer(code) for code in REFUSED), translated(NoCredentialsError())],
    ids=[*REFUSED, "no credentials"],
)
def test_a_worker_that_is_refused_for_its_whole_budget_ends(error: GovernanceError) -> None:
    clock = Clock()
    standstill = Standstill(120, clock)
    for clock.now in (0.0, 5.0, 119.0):
        standstill.failed(error)
    clock.now = 120.0
    with pytest.raises(CannotWork, match=r"has not been able to work since \d\d:") as ended:
        standstill.failed(error)
    assert ended.value.exit_code == 75


def test_a_success_begins_the_budget_again() -> None:
    clock = Clock()
    standstill = Standstill(120, clock)
    standstill.failed(answer("AccessDenied"))
    clock.now = 119.0
    standstill.worked()
    clock.now = 200.0
    standstill.failed(answer("AccessDenied"))


@pytest.mark.parametrize(
    "error",
    [
        answer("ServiceUnavailable", 503),
        answer("Throttling", 400),
        translated(EndpointConnectionError(endpoint_url="http://sqs")),
        Unavailable("the workspace does not answer"),
        GovernanceError("a defect of a message"),
    ],
)
def test_an_outage_ends_no_worker(error: GovernanceError) -> None:
    clock = Clock()
    standstill = Standstill(120, clock)
    for clock.now in (0.0, 1e6):
        standstill.failed(error)

"""A vended credential is renewed before it runs out; a withdrawn right stops the job at once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from steps.governance.errors import AccessDenied, CredentialsExpired, GovernanceError, Unavailable
from steps.governance.unity_catalog.credentials import Access, Credential, State

START = datetime(2026, 11, 22, tzinfo=UTC)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Vendor:
    """Vends keys of a given life; refuses with `failure` while it is set."""

    def __init__(self, clock: Clock, life_seconds: float = 3600) -> None:
        self.clock, self.life_seconds = clock, life_seconds
        self.vended = 0
        self.failure: GovernanceError | None = None

    def __call__(self) -> Credential:
        if self.failure:
            raise self.failure
        self.vended += 1
        now = self.clock()
        return Credential(
            f"key-{self.vended}", "s3cret", "t0ken", now, now + timedelta(seconds=self.life_seconds)
        )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vendor(clock: Clock) -> Vendor:
    return Vendor(clock)


@pytest.mark.parametrize(
    ("age_seconds", "state"),
    [(0, State.FRESH), (2399, State.FRESH), (2400, State.STALE), (3600, State.EXPIRED)],
)
def test_an_hours_credential_is_stale_for_its_last_twenty_minutes(
    vendor: Vendor, age_seconds: float, state: State
) -> None:
    assert vendor().state(START + timedelta(seconds=age_seconds)) is state


def test_a_short_credential_is_stale_for_its_second_half(clock: Clock) -> None:
    credential = Vendor(clock, life_seconds=10)()
    assert credential.state(START + timedelta(seconds=4.9)) is State.FRESH
    assert credential.state(START + timedelta(seconds=5)) is State.STALE


def test_a_job_twenty_times_longer_than_a_credential_never_holds_an_expired_one(
    clock: Clock,
) -> None:
    vendor = Vendor(clock, life_seconds=60)
    access = Access("s3://b/t", vendor, now=clock)
    for _ in range(1200):
        assert access.credential().state(clock()) is not State.EXPIRED
        clock.advance(1)
    assert vendor.vended <= 1200 / 30 + 1


def test_a_failed_renewal_is_a_warning_while_the_old_credential_is_valid(
    clock: Clock, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    access = Access("s3://b/t", vendor, now=clock)
    vendor.failure = Unavailable("the workspace gave no answer")
    clock.advance(3000)
    assert access.credential().access_key_id == "key-1"
    assert "not renewed yet" in caplog.text


def test_a_failed_renewal_after_expiry_is_an_error(clock: Clock, vendor: Vendor) -> None:
    access = Access("s3://b/t", vendor, now=clock)
    vendor.failure = Unavailable("the workspace gave no answer")
    clock.advance(3600)
    with pytest.raises(CredentialsExpired, match="ran out and was not renewed"):
        access.credential()


def test_a_withdrawn_right_stops_the_job_although_the_old_credential_works(
    clock: Clock, vendor: Vendor
) -> None:
    access = Access("s3://b/t", vendor, now=clock)
    vendor.failure = AccessDenied("app-1 was refused: read table edgar.raw.filings")
    clock.advance(2500)
    with pytest.raises(AccessDenied):
        access.credential()


def test_keys_show_in_no_representation(vendor: Vendor) -> None:
    credential = vendor()
    assert "s3cret" not in repr(credential)
    assert "t0ken" not in repr(credential)


@pytest.mark.parametrize("render", [str, repr])
def test_storage_options_follow_the_environment(
    clock: Clock, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, render: Callable[[object], str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    access = Access("s3://b/t", vendor, now=clock)
    options = access.storage_options()
    assert options["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert options["AWS_ALLOW_HTTP"] == "true"
    assert options["AWS_REGION"] == "us-east-1"
    assert options["AWS_SESSION_TOKEN"] == "t0ken"
    assert "t0ken" not in render(access)

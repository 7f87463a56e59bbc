"""A bucket in another region than the job is signed for its own region."""

from collections.abc import Iterator

import pytest

from steps.governance.errors import GovernanceError
from steps.governance.storage import region as storage_region
from tests.support.http_server import Handler, served


class Store(Handler):
    """Answers HeadBucket as S3 does to a stranger: a refusal that names the region."""

    asked: list[str]
    region: str | None = "eu-west-1"
    status = 403

    def do_HEAD(self) -> None:
        self.asked.append(self.headers.get("Authorization") or "unsigned")
        self.answer(
            self.status, headers={"x-amz-bucket-region": self.region} if self.region else {}
        )


@pytest.fixture
def store() -> Iterator[tuple[type[Store], str]]:
    kind = type("OneStore", (Store,), {"asked": []})
    storage_region.asked.cache_clear()
    with served(kind) as origin:
        yield kind, origin
    storage_region.asked.cache_clear()


def test_a_refusal_names_the_region_and_the_question_has_no_keys(
    store: tuple[type[Store], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, url = store
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFTHEJOB")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the job")
    for _ in range(3):
        found = storage_region.asked("governed", near="us-east-1", endpoint=url)
        assert found == "eu-west-1"
    assert kind.asked == ["unsigned"], "asked once a process, without keys"


@pytest.mark.parametrize("status", [200, 404])
def test_every_answer_that_names_a_region_is_taken(
    store: tuple[type[Store], str], status: int
) -> None:
    kind, url = store
    kind.status = status
    assert storage_region.asked("b", near="us-east-1", endpoint=url) == "eu-west-1"


def test_an_answer_without_a_region_is_a_warning(
    store: tuple[type[Store], str], caplog: pytest.LogCaptureFixture
) -> None:
    kind, url = store
    kind.region = None
    assert storage_region.asked("b", near="us-east-1", endpoint=url) is None
    assert "did not name the region of bucket b" in caplog.text


def test_a_store_that_does_not_answer_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    storage_region.asked.cache_clear()
    assert storage_region.asked("b", near="us-east-1", endpoint="http://127.0.0.1:9") is None
    assert "EndpointConnectionError" in caplog.text


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """AWS's own endpoint, a job in us-east-1, and a bucket in eu-west-1."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setattr(storage_region, "asked", lambda *_, **__: "eu-west-1")
    return monkeypatch


def test_the_buckets_region_comes_before_the_jobs(named: pytest.MonkeyPatch) -> None:
    assert storage_region.of("s3://governed/curated/t") == "eu-west-1"
    named.setattr(storage_region, "asked", lambda *_, **__: None)
    assert storage_region.of("s3://governed/curated/t") == "us-east-1"


def test_a_region_that_nobody_names_is_an_error(named: pytest.MonkeyPatch) -> None:
    named.delenv("AWS_REGION")
    named.setattr(storage_region, "asked", lambda *_, **__: None)
    with pytest.raises(GovernanceError, match="the region of the bucket governed is unknown"):
        storage_region.of("s3://governed/curated/t")


def test_an_endpoint_of_the_environment_is_in_the_jobs_region(named: pytest.MonkeyPatch) -> None:
    named.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    assert storage_region.of("s3://governed/curated/t") == "us-east-1"

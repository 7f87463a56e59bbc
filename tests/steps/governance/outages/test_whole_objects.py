"""A stored object that arrives cut short is read again, and never judged."""

import base64
import gzip
import hashlib
from collections.abc import Iterator
from contextlib import closing

import boto3
import pytest
from botocore.exceptions import BotoCoreError, IncompleteReadError

from steps.audit.services.store import Store
from steps.governance import aws
from steps.governance.errors import IntegrityError, Unavailable
from steps.governance.evidence import Evidence
from steps.governance.whole_objects import TooLarge, WholeBody, read_whole
from steps.register.delivery.lease import Lease
from steps.register.package.artifact import Artifact, ArtifactStore
from tests.steps.governance.support.cut_store import CutStore, cutting
from tests.steps.governance.support.faked_clock import FakedClock

CONTENT = b'{"schema":"a manifest"}' * 100
URI = "s3://b/executions/a/prepare/manifest.json"
CUTS = [0, 1, 1000, len(CONTENT) - 1]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[CutStore]:
    with cutting(CONTENT) as started:
        monkeypatch.setenv("AWS_ENDPOINT_URL", started.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        aws.client.cache_clear()
        yield started
        aws.client.cache_clear()


def with_checksum(store: CutStore) -> None:
    """Let the store send the checksum that S3 keeps of what `Evidence` writes."""
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    store.headers = {"x-amz-checksum-sha256": digest, "x-amz-checksum-type": "FULL_OBJECT"}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("lying", [False, True])
def test_a_document_that_was_cut_is_read_again(
    store: CutStore, clock: FakedClock, cut: int, lying: bool
) -> None:
    store.cuts, store.lying = [cut, cut], lying
    with_checksum(store)
    assert Evidence("us-east-1", clock.policy()).read(URI) == CONTENT
    assert store.asked == 3
    assert clock.pauses == [0.5, 1.0]


def test_a_document_that_always_arrives_cut_is_unavailable_and_not_altered(
    store: CutStore, clock: FakedClock
) -> None:
    store.cuts = [1000] * 99
    with pytest.raises(Unavailable, match="S3 gave no answer: read s3://b/executions"):
        Evidence("us-east-1", clock.policy()).read(URI)
    assert 50 < clock.passed < 60


@pytest.mark.parametrize("lying", [False, True])
def test_the_auditor_reads_a_cut_document_again(store: CutStore, lying: bool) -> None:
    store.cuts, store.lying = [1000, 0], lying
    with_checksum(store)
    assert Store.connect("us-east-1").read(URI) == CONTENT
    assert store.asked == 3


def test_the_auditor_takes_no_part_of_a_stream_for_the_object(store: CutStore) -> None:
    store.cuts = [1000]
    with pytest.raises(Unavailable):
        list(Store.connect("us-east-1").chunks(URI))


def test_the_worker_reads_a_cut_mirror_again(
    store: CutStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steps.governance.unity_catalog.retrying._FIRST_PAUSE_SECONDS", 0.0)
    store.cuts = [1000, 0]
    assert ArtifactStore("us-east-1").read(URI, limit=len(CONTENT)) == CONTENT
    with pytest.raises(IntegrityError, match="too large"):
        ArtifactStore("us-east-1").read(URI, limit=len(CONTENT) - 1)


@pytest.mark.parametrize("lying", [False, True])
def test_a_stream_of_a_known_size_never_ends_early(store: CutStore, lying: bool) -> None:
    """Nor with a Content-Length that was changed to the cut: the pinned size is known."""
    store.cuts, store.lying = [1000], lying
    with closing(boto3.client("s3")) as s3:
        answer = s3.get_object(Bucket="b", Key="k", VersionId="1")
        stream = WholeBody(answer, size=len(CONTENT))
        with pytest.raises(BotoCoreError):
            list(iter(lambda: stream.read(100), b""))


def test_the_archive_of_a_registration_is_not_refused_when_it_arrives_cut(
    store: CutStore, tmp_path: object
) -> None:
    store.content = gzip.compress(CONTENT)
    store.cuts, store.lying = [20], True
    artifact = Artifact("s3://b/model.tar.gz", "1", len(store.content))
    with pytest.raises(Unavailable, match=r"read s3://b/model.tar.gz\?versionId=1"):
        ArtifactStore("us-east-1").unpack(artifact, None, tmp_path)  # type: ignore[arg-type]


def test_a_lease_whose_entry_arrives_cut_is_unavailable(store: CutStore) -> None:
    store.content, store.cuts = b'{"held":true,"owner":"x"}', [10] * 99
    with pytest.raises(Unavailable), Lease("us-east-1", folder="s3://b/f", seconds=60):
        pass


def test_a_body_that_ends_with_the_announced_length_is_whole(store: CutStore) -> None:
    with closing(boto3.client("s3")) as s3:
        assert read_whole(s3.get_object(Bucket="b", Key="k"), limit=len(CONTENT)) == CONTENT
        answer = s3.get_object(Bucket="b", Key="k")
        with pytest.raises(TooLarge):
            read_whole(answer, limit=len(CONTENT) - 1)
        assert answer["Body"]._raw_stream.closed, "what is not read keeps no connection"
        shorter = WholeBody(s3.get_object(Bucket="b", Key="k"), size=len(CONTENT) + 1)
        assert shorter.read(len(CONTENT)) == CONTENT
        with pytest.raises(IncompleteReadError):
            shorter.read(1)

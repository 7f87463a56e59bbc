"""A page that a proxy answers with status 200 is neither a document, nor a write, nor a list."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from steps.audit.services.store import Store
from steps.governance import aws
from steps.governance.errors import AccessDenied, GovernanceError, NotFound, Unavailable
from steps.governance.evidence import Evidence
from tests.steps.governance.support.faked_clock import FakedClock

URI = "s3://b/executions/e/prepare/manifest.json"
GARBAGE, PAGE = b"\x00garbage\xff", b"<html><body>please log in</body></html>"
CALLS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "get": ("s3", lambda s3: s3.get_object(Bucket="b", Key="k")),
    "head": ("s3", lambda s3: s3.head_object(Bucket="b", Key="k")),
    "put": ("s3", lambda s3: s3.put_object(Bucket="b", Key="k", Body=b"x")),
    "list": ("s3", lambda s3: s3.list_objects_v2(Bucket="b")),
    "receive": ("sqs", lambda sqs: sqs.receive_message(QueueUrl="http://q/1/q")),
    "key": ("kms", lambda kms: kms.get_public_key(KeyId="k")),
    "steps": (
        "sagemaker",
        lambda sagemaker: sagemaker.list_pipeline_execution_steps(PipelineExecutionArn="a" * 60),
    ),
    "job": ("emr-serverless", lambda emr: emr.get_job_run(applicationId="a", jobRunId="j")),
    "identity": ("sts", lambda sts: sts.get_caller_identity()),
}

_READ: Callable[[Evidence], object] = lambda evidence: evidence.read(URI)  # noqa: E731
_WRITE: Callable[[Evidence], object] = lambda each: each.write_once(URI, b"{}")  # noqa: E731


@pytest.fixture(params=[GARBAGE, PAGE], ids=["garbage", "page"])
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A service that answers everything with one page and status 200."""
    with answering(monkeypatch, 200, request.param):
        yield


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, status: int, body: bytes) -> Iterator[None]:
    """Let AWS answer everything with this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815 - http.server requires these names

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.0)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        aws.client.cache_clear()
        try:
            yield
        finally:
            aws.client.cache_clear()
            server.shutdown()
            thread.join()


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("call", CALLS)
def test_a_page_is_a_lost_answer_of_every_service(call: str) -> None:
    service, act = CALLS[call]
    with pytest.raises(Unavailable), aws.translated("ask"):
        act(aws.client(service, "us-east-1"))


@pytest.mark.usefixtures("page")
def test_evidence_is_read_and_written_again_and_nothing_is_called_altered() -> None:
    for act in (_READ, _WRITE):
        clock = FakedClock()
        with pytest.raises(Unavailable, match="S3 gave no answer"):
            act(Evidence("us-east-1", clock.policy()))
        assert 50 < clock.passed < 60


@pytest.mark.usefixtures("page")
def test_the_auditor_takes_no_page_for_a_document() -> None:
    with pytest.raises(Unavailable):
        Store.connect("us-east-1").read(URI)


@pytest.mark.parametrize("call", ["get", "put", "list", "job"])
@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_a_page_with_an_error_status_is_named_by_the_status(
    monkeypatch: pytest.MonkeyPatch, call: str, status: int
) -> None:
    """The answers of S3 have their code in XML; a page lacks it."""
    service, act = CALLS[call]
    with (
        answering(monkeypatch, status, PAGE),
        pytest.raises(GovernanceError, match=rf"got +(HTTP )?{status}\b"),
        aws.translated("ask"),
    ):
        act(aws.client(service, "us-east-1"))


@pytest.mark.parametrize("status", [403, 404, 503])
@pytest.mark.parametrize("act", [_READ, _WRITE])
def test_evidence_names_the_status_of_a_page_and_does_not_call_a_document_absent(
    monkeypatch: pytest.MonkeyPatch, status: int, act: Callable[[Evidence], object]
) -> None:
    with (
        answering(monkeypatch, status, PAGE),
        pytest.raises(GovernanceError, match=rf"got +(HTTP )?{status}\b") as error,
    ):
        act(Evidence("us-east-1", FakedClock().policy()))
    assert not isinstance(error.value, NotFound | AccessDenied)

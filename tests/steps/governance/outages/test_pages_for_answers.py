"""A page of a proxy is neither a document, nor a write, nor "absent", but a lost answer."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import MappingProxyType
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from steps.audit.services.store import Store
from steps.governance import aws, aws_answers
from steps.governance.errors import AccessDenied, GovernanceError, NotFound, Unavailable
from steps.governance.evidence import Evidence
from steps.governance.sign_in.identities import read_identity
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
    "secret": ("secretsmanager", lambda secrets: secrets.get_secret_value(SecretId="a")),
    "identity": ("sts", lambda sts: sts.get_caller_identity()),
}

_READ: Callable[[Evidence], object] = lambda evidence: evidence.read(URI)  # noqa: E731
_WRITE: Callable[[Evidence], object] = lambda each: each.write_once(URI, b"{}")  # noqa: E731


@pytest.fixture(params=[GARBAGE, PAGE], ids=["garbage", "page"])
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A service that answers everything with one page and status 200."""
    with answering(monkeypatch, 200, request.param):
        yield


def _handler(
    status: int, body: bytes, headers: Mapping[str, str], asked: list[str]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            asked.append(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_PUT = do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def answering(
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[list[str]]:
    """Let AWS answer everything with this; the list has the paths that were asked."""
    asked: list[str] = []

    with HTTPServer(("127.0.0.1", 0), _handler(status, body, headers, asked)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0.0)
        monkeypatch.setattr(aws_answers, "_MOST_PAUSE_SECONDS", 0.0)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        aws.client.cache_clear()
        try:
            yield asked
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


REFUSALS = {
    "page": PAGE,
    "garbage": GARBAGE,
    "text": b"not found",
    "nothing": b"",
    "broken page": b"<html><br>no end",
    "JSON of a gateway": b'{"code": 404, "message": "no route"}',
    "JSON without a code": b'{"message": "Forbidden"}',
}


_OFTEN = ("page", "nothing", "JSON of a gateway")


@pytest.mark.parametrize(
    "body",
    [pytest.param(each, marks=[] if each in _OFTEN else pytest.mark.long) for each in REFUSALS],
)
@pytest.mark.parametrize(
    "status", [403, 404, *(pytest.param(each, marks=pytest.mark.long) for each in (302, 400, 401))]
)
@pytest.mark.parametrize("call", CALLS)
def test_a_refusal_without_a_code_of_aws_is_a_failing_gateway(
    monkeypatch: pytest.MonkeyPatch, call: str, status: int, body: str
) -> None:
    """It is neither "not found" nor "denied": it is asked again, and then named by its status."""
    service, act = CALLS[call]
    with answering(monkeypatch, status, REFUSALS[body]) as asked:
        with (
            pytest.raises(Unavailable, match=rf"got +the answer .* HTTP {status}\b"),
            aws.translated("ask"),
        ):
            act(aws.client(service, "us-east-1"))
        assert len(asked) >= 4


# A refusal as AWS writes it: body, further headers
_TYPED = b'{"__type": "com.amazonaws.%s", "message": "no"}'
_IN_XML = b"<?xml version='1.0'?><%s><Code>%s</Code><Message>no</Message></%s>"
AWS_REFUSES: dict[str, tuple[str, int, bytes, dict[str, str], type[GovernanceError]]] = {
    "get": ("get", 404, _IN_XML % (b"Error", b"NoSuchKey", b"Error"), {}, NotFound),
    "get denied": ("get", 403, _IN_XML % (b"Error", b"AccessDenied", b"Error"), {}, AccessDenied),
    "head": ("head", 404, b"", {"x-amz-request-id": "1"}, NotFound),
    "head denied": ("head", 403, b"", {"x-amz-request-id": "1"}, AccessDenied),
    "steps": ("steps", 400, _TYPED % b"sagemaker#ResourceNotFound", {}, NotFound),
    "secret": ("secret", 400, _TYPED % b"secrets#ResourceNotFoundException", {}, NotFound),
    "key": ("key", 400, _TYPED % b"kms#AccessDeniedException", {}, AccessDenied),
    "job": (
        "job",
        404,
        b'{"message": "no"}',
        {"x-amzn-ErrorType": "ResourceNotFoundException:http://internal"},
        NotFound,
    ),
    "identity": (
        "identity",
        403,
        b"<ErrorResponse xmlns='s'><Error><Code>AccessDenied</Code></Error></ErrorResponse>",
        {},
        AccessDenied,
    ),
}


@pytest.mark.parametrize("case", AWS_REFUSES)
def test_a_refusal_of_aws_is_believed_at_once(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    call, status, body, headers, expected = AWS_REFUSES[case]
    service, act = CALLS[call]
    with answering(monkeypatch, status, body, headers) as asked:
        with pytest.raises(expected), aws.translated("ask"):
            act(aws.client(service, "us-east-1"))
        assert len(asked) == 1


@pytest.mark.parametrize("status", [403, 404, 503])
@pytest.mark.parametrize("act", [_READ, _WRITE])
def test_evidence_waits_for_a_gateway_that_answers_with_a_page(
    monkeypatch: pytest.MonkeyPatch, status: int, act: Callable[[Evidence], object]
) -> None:
    clock = FakedClock()
    with (
        answering(monkeypatch, status, PAGE),
        pytest.raises(Unavailable, match=rf"\b{status}\b"),
    ):
        act(Evidence("us-east-1", clock.policy()))
    assert 50 < clock.passed < 60


@pytest.mark.parametrize("status", [200, 403, 404])
def test_a_page_for_the_identitys_secret_is_no_missing_secret(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with (
        answering(monkeypatch, status, PAGE),
        pytest.raises(Unavailable, match=rf"HTTP {status}\b"),
    ):
        read_identity("a/secret", "us-east-1")

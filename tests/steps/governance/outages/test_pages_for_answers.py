"""A page that a proxy answers with status 200 is neither a document, nor a write, nor a list."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from steps.audit.services.store import Store
from steps.governance import aws
from steps.governance.errors import Unavailable
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


@pytest.fixture(params=[GARBAGE, PAGE], ids=["garbage", "page"])
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A service that answers everything with one page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", str(len(request.param)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(request.param)

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
        yield
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
    for act in (lambda each: each.read(URI), lambda each: each.write_once(URI, b"{}")):
        clock = FakedClock()
        with pytest.raises(Unavailable, match="S3 gave no answer"):
            act(Evidence("us-east-1", clock.policy()))
        assert 50 < clock.passed < 60


@pytest.mark.usefixtures("page")
def test_the_auditor_takes_no_page_for_a_document() -> None:
    with pytest.raises(Unavailable):
        Store.connect("us-east-1").read(URI)

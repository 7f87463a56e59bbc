"""Sizes: each limit of AWS that this project can reach, and the first value past it."""

import hashlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipeline.errors import UsageError
from pipeline.local.aws import infrastructure, limits, paging
from pipeline.local.aws.errors import Invalid
from pipeline.local.aws.processes import logs
from pipeline.local.aws.processes.job_process import JobProcess, inherited
from pipeline.local.aws.processes.logs import LogStream
from pipeline.local.aws.training_jobs import status
from pipeline.local.aws.training_jobs.transfer import Transfer, download
from pipeline.local.setup.aws_account import Root


def shape_of(operation, service="sagemaker"):
    return limits.input_of(service, operation)


@pytest.mark.parametrize(
    ("operation", "request_", "member", "bound"),
    [
        (
            "CreateTrainingJob",
            {"HyperParameters": {"base_model": "x" * 2501}},
            "hyperParameters.base_model",
            2500,
        ),
        (
            "CreateTrainingJob",
            {"HyperParameters": {str(n): "" for n in range(101)}},
            "hyperParameters",
            100,
        ),
        ("CreateTrainingJob", {"Environment": {"HOST": "x" * 513}}, "environment.HOST", 512),
        ("CreateTrainingJob", {"TrainingJobName": "x" * 64}, "trainingJobName", 63),
        (
            "CreateTrainingJob",
            {"Tags": [{"Key": str(n), "Value": ""} for n in range(51)]},
            "tags",
            50,
        ),
        (
            "CreateTrainingJob",
            {"Tags": [{"Key": "k", "Value": "x" * 257}]},
            "tags.1.member.value",
            256,
        ),
        ("CreatePipeline", {"PipelineDescription": "x" * 3073}, "pipelineDescription", 3072),
        ("CreatePipeline", {"PipelineDefinition": "x" * (2**20 + 1)}, "pipelineDefinition", 2**20),
        ("SendPipelineExecutionStepFailure", {"FailureReason": "x" * 257}, "failureReason", 256),
        ("ListTrainingJobs", {"MaxResults": 101}, "maxResults", 100),
        ("ListPipelineExecutionSteps", {"MaxResults": 101}, "maxResults", 100),
    ],
)
def test_a_request_past_a_bound_of_aws_api_model_is_refused_by_member(
    operation, request_, member, bound
):
    message = (
        rf"at '{member}' failed to satisfy constraint: Member must have \w+ less than or equal "
        rf"to {bound}$"
    )
    with pytest.raises(Invalid, match=message):
        limits.check(shape_of(operation), request_)


def test_values_at_the_bound_and_operations_of_our_own_are_accepted():
    limits.check(
        shape_of("CreateTrainingJob"), {"HyperParameters": {str(n): "x" * 2500 for n in range(100)}}
    )
    limits.check(
        shape_of("ListJobRuns", "emr-serverless"), {"applicationId": "a" * 13, "maxResults": "50"}
    )
    limits.check(shape_of("InterruptTrainingJob"), {"TrainingJobName": "x" * 1000})
    with pytest.raises(Invalid, match="less than or equal to 50"):
        limits.check(
            shape_of("ListJobRuns", "emr-serverless"),
            {"applicationId": "a" * 13, "maxResults": "51"},
        )
    with pytest.raises(Invalid, match="must be of type integer"):
        limits.check(
            shape_of("ListJobRuns", "emr-serverless"),
            {"applicationId": "a" * 13, "maxResults": "many"},
        )


def test_the_server_holds_every_request_against_the_model_and_repeats_no_value(server, job_name):
    secret = "x" * 2501
    with pytest.raises(ClientError, match=r"hyperParameters\.do") as refused:
        server.client("sagemaker").create_training_job(
            TrainingJobName=job_name, **server.train_arguments(HyperParameters={"do": secret})
        )
    assert secret not in str(refused.value)
    with pytest.raises(ClientError, match="maxResults"):
        server.client("sagemaker").list_pipelines(MaxResults=101)
    with pytest.raises(ClientError, match="maxResults"):
        server.client("emr-serverless").list_applications(maxResults=51)


def test_a_resource_has_fifty_tags_however_they_come(server):
    sagemaker = server.client("sagemaker")
    arn = sagemaker.describe_pipeline(PipelineName="governed-finetune-local")["PipelineArn"]
    for half in ("a", "b"):
        sagemaker.add_tags(
            ResourceArn=arn, Tags=[{"Key": f"{half}{n}", "Value": "v"} for n in range(25)]
        )
    with pytest.raises(ClientError, match="at most 50 tags, got 51"):
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "one-more", "Value": "v"}])
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    keys = [tag["Key"] for page in pages for tag in page["Tags"]]
    assert len(set(keys)) == 50
    sagemaker.delete_tags(
        ResourceArn=arn, TagKeys=[key for key in keys if key[0] in "ab" and key[1:].isdigit()]
    )


def test_a_list_without_a_size_has_more_pages_than_one():
    found, token = paging.page(range(paging.DEFAULT_PAGE + 1), {})
    assert (len(found), len(token)) == (paging.DEFAULT_PAGE, 1)


def test_an_unknown_page_token_is_refused():
    for token in ("!!", "eA==", "LTU="):
        with pytest.raises(Invalid, match="page token"):
            paging.page(range(3), {"NextToken": token})


def test_the_one_running_job_is_looked_for_on_every_page(monkeypatch):
    names = [f"job-{number}" for number in range(12)]

    class Paged:
        @staticmethod
        def paginate(**_: Any):
            return [{"TrainingJobSummaries": [{"TrainingJobName": name}]} for name in names]

    class Client:
        @staticmethod
        def get_paginator(operation):
            assert operation == "list_training_jobs"
            return Paged

    monkeypatch.setattr(Root, "client", lambda *_: Client)
    with pytest.raises(UsageError, match="job-11"):
        object.__new__(Root)._the_running_job()


def test_every_object_past_the_first_thousand_reaches_the_job(server, tmp_path):
    s3, bucket = server.client("s3"), server.outputs["ArtifactsBucket"]

    def put(number):
        # A folder's marker: listed, not fetched
        s3.put_object(Bucket=bucket, Key=f"many/{number:04d}/", Body=b"")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, range(1000)))
    s3.put_object(Bucket=bucket, Key="many/last", Body=b"past the first page")
    first = s3.list_objects_v2(Bucket=bucket, Prefix="many/")
    assert (first["KeyCount"], first["IsTruncated"]) == (1000, True)
    assert download(s3, f"s3://{bucket}/many/", tmp_path)
    assert (tmp_path / "last").read_bytes() == b"past the first page"


def test_an_archive_of_several_parts_is_uploaded_as_one_version(server, tmp_path):
    s3, bucket = server.client("s3"), server.outputs["ArtifactsBucket"]
    ml = tmp_path / "ml"
    (ml / "model").mkdir(parents=True)
    content = os.urandom(17 * 2**20 + 1)  # boto3 sends and fetches in parts from 8 MiB on
    (ml / "model" / "adapter.bin").write_bytes(content)
    job = {"ModelArtifacts": {"S3ModelArtifacts": f"s3://{bucket}/parts/model.tar.gz"}}
    Transfer(s3, "parts", job).upload_model(ml)
    head = s3.head_object(Bucket=bucket, Key="parts/model.tar.gz")
    assert head["ContentLength"] > len(content)
    assert head["ETag"].strip('"').endswith("-3"), "three parts"
    assert head["VersionId"] != "null"
    assert download(s3, f"s3://{bucket}/parts/", tmp_path / "back")
    body = s3.get_object(Bucket=bucket, Key="parts/model.tar.gz", VersionId=head["VersionId"])[
        "Body"
    ]
    with (tmp_path / "back" / "model.tar.gz").open("rb") as fetched:
        assert (
            hashlib.file_digest(fetched, "sha256").digest() == hashlib.sha256(body.read()).digest()
        )


class Recorded:
    """CloudWatch Logs as far as a stream needs it, refusing what PutLogEvents refuses."""

    class exceptions:  # noqa: N801 - botocore's spelling
        class ResourceAlreadyExistsException(Exception): ...

    def __init__(self):
        self.batches = []
        self.open = threading.Event()

    def create_log_group(self, **_: Any) -> None: ...

    def create_log_stream(self, **_: Any) -> None:
        # Until all lines are there, so that a request could hold too many of them
        assert self.open.wait(60)

    def put_log_events(self, *, logEvents, **_: Any):  # noqa: N803 - as above
        sizes = [len(event["message"].encode()) for event in logEvents]
        assert len(sizes) <= 10_000
        assert max(sizes) <= 256 * 1024 - 26
        assert sum(sizes) + 26 * len(sizes) <= 1_048_576
        self.batches.append([event["message"] for event in logEvents])

    @property
    def text(self) -> str:
        return "".join(message for batch in self.batches for message in batch)


def test_lines_of_any_length_and_number_become_events_that_cloudwatch_takes(tmp_path):
    client = Recorded()
    stream = LogStream(client, group="g", name="n", copy=tmp_path / "log")
    long = "€" * 400_000  # 1.2 MB of UTF-8
    for line in (long, *(["short"] * 25_001), long[: 2**18]):
        stream.write(line)
    client.open.set()
    stream.close()
    assert client.text == long + "short" * 25_001 + long[: 2**18]
    assert len(client.batches) > 2


def test_parts_of_a_line_end_between_characters():
    assert list(logs.parts("a€b", 3)) == ["a", "€", "b"]
    assert list(logs.parts("", 3)) == [""]


@pytest.mark.parametrize("merged", [True, False])
def test_a_job_may_write_more_than_a_pipe_holds_without_a_line_end(tmp_path, merged):
    """2 MiB on each stream, 64 KiB being what a pipe holds: characters that the bound cuts, and
    bytes that are not UTF-8.
    """
    received: dict[str, list[str]] = {"stdout": [], "stderr": []}
    program = (
        "import sys; w = sys.stderr.buffer.write; w(b'\\xff' * 300_000 + b'\\n')\n"
        "sys.stdout.buffer.write('€'.encode() * 700_000); w(b'x' * 2**21); "
        "sys.stdout.buffer.write(b'!\\xe2\\x82')"
    )
    job = JobProcess(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        environment=inherited(tmp_path),
        on_line=lambda name, line: received[name].append(line),
        merged=merged,
    )
    assert job.wait(60) == 0
    everything = "".join(received["stdout"] + received["stderr"])
    assert everything.count("€") == 700_000
    assert everything.count("x") == 2**21
    assert everything.count("\ufffd") == 300_000 + 1
    assert max(len(line) for lines in received.values() for line in lines) <= 250_000


@pytest.mark.parametrize("layer", infrastructure.LAYERS)
def test_each_template_fits_into_one_request_with_room_for_more(layer):
    # CloudFormation's bound for a template that is sent inline is 51,200 bytes
    assert (infrastructure.FOLDER / f"{layer}.yaml").stat().st_size <= 46_080


def test_a_reason_of_any_length_is_kept_within_what_describe_shows():
    job = {"SecondaryStatusTransitions": [], "TrainingJobStatus": "InProgress"}
    status.end(job, "Failed", "Failed", "why " * 1000)
    assert len(job["FailureReason"]) == status.MAX_REASON_CHARACTERS == 1024

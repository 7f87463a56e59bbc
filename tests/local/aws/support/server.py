"""The real server of these tests, and the account in it.

Clients are unchanged boto3. Every answer of our two services is checked against botocore's model,
because botocore's parser ignores a misspelt member.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from pipeline.local.aws import infrastructure
from tests.local.aws.support import requests
from tests.local.aws.support.botocore_models import check_answer
from tests.local.aws.support.programs import make_repository
from tests.support import storage_role

REPOSITORY = Path(__file__).parents[4]
PIPELINE = "governed-finetune-local"


def eventually(predicate: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until the predicate is true."""
    deadline = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@dataclass
class Server:
    """The server process and the account in it."""

    state: Path
    repository: Path
    port: int
    arguments: tuple[str, ...] = ()
    outputs: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    _keys: dict[str, dict[str, str]] = field(default_factory=dict)
    _clients: dict[tuple[str, ...], Any] = field(default_factory=dict)

    eventually = staticmethod(eventually)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        """Start the server; return the seconds until it was ready."""
        self.forget_clients()
        began = time.monotonic()
        command = [sys.executable, "-m", "pipeline.local.aws", "--port", str(self.port)]
        command += ["--state", str(self.state), "--repository", str(self.repository)]
        command += ["--stop-grace-seconds", "1", *self.arguments]
        environment = dict(os.environ) | {
            "SECRET_OF_THE_SHELL": "must not be seen",
            "AWS_PROFILE": "not-mine",
        }
        self.process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline()) == {
            "ready": True,
            "endpoint": self.endpoint,
        }
        return time.monotonic() - began

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the server; return its exit code."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.forget_clients()
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    @property
    def root(self) -> dict[str, str]:
        keys: dict[str, str] = json.loads((self.state / "aws/root.json").read_text())
        return keys

    def keys(self, role: str) -> dict[str, str]:
        """Keys of one of the stack's roles, or of root."""
        if role == "root":
            return self.root
        if role == "uc-storage" and role not in self._keys:
            self._keys[role] = storage_role.keys(self.client)
        if role not in self._keys:
            self._keys[role] = infrastructure.assume_role(self.client("sts"), role)
        return self._keys[role]

    def client(self, service: str, role: str = "root", **keys: str) -> Any:
        """Return the boto3 client of a role, or of other keys, as `boto3.client` names them.

        It is created once and closed when the server stops: a client that only the garbage
        collector ends can leave a socket open, which is a ResourceWarning.
        """
        which = (service, role, *keys.values())
        if which not in self._clients:
            self._clients[which] = self._new_client(service, keys or self.keys(role))
        return self._clients[which]

    def forget_clients(self) -> None:
        """Close all clients; the next ones have new sessions of their roles."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._keys.clear()

    def _new_client(self, service: str, keys: dict[str, str]) -> Any:
        """Return a client whose answers are checked against botocore's models."""
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        client = boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            config=config,
            **keys,
        )
        if service in ("sagemaker", "emr-serverless"):
            client.meta.events.register(f"before-parse.{service}", check_answer)
        return client

    def deploy(self) -> None:
        self.outputs = infrastructure.deploy(self.client("cloudformation"), {})

    def made(self, kind: str) -> list[str]:
        """What the layers made of a CloudFormation type, by its id; tests make more of them."""
        describe = self.client("cloudformation").describe_stack_resources
        stacks = (f"{infrastructure.PREFIX}-{layer}" for layer in infrastructure.LAYERS)
        found = [each for name in stacks for each in describe(StackName=name)["StackResources"]]
        return [each["PhysicalResourceId"] for each in found if each["ResourceType"] == kind]

    def train_arguments(self, **changes: Any) -> dict[str, Any]:
        """Return the request of a training job with the stack's train role."""
        return requests.train_arguments(self.outputs, **changes)

    def prepare_arguments(self, do: Any = "nothing") -> dict[str, Any]:
        """Return the arguments of an EMRServerless step with the stack's prepare role."""
        return requests.prepare_arguments(self.outputs, do)

    def definition(self) -> dict[str, Any]:
        """Return the definition of the tests' pipeline."""
        return requests.definition(self.outputs)

    def start_execution(self, **parameters: str) -> str:
        """Start an execution as the scientist; return its ARN."""
        given = [{"Name": name, "Value": value} for name, value in parameters.items()]
        scientist = self.client("sagemaker", "scientist")
        arn: str = scientist.start_pipeline_execution(
            PipelineName=PIPELINE, PipelineParameters=given
        )["PipelineExecutionArn"]
        return arn

    def status(self, arn: str) -> str:
        found: str = self.client("sagemaker", "scientist").describe_pipeline_execution(
            PipelineExecutionArn=arn
        )["PipelineExecutionStatus"]
        return found

    def steps(self, arn: str) -> dict[str, dict[str, Any]]:
        """The execution's steps by name."""
        pages = self.client("sagemaker", "scientist").get_paginator("list_pipeline_execution_steps")
        return {
            step["StepName"]: step
            for page in pages.paginate(PipelineExecutionArn=arn)
            for step in page["PipelineExecutionSteps"]
        }

    def finished(self, arn: str, seconds: float = 40) -> str:
        """Wait for the execution's end; return its status."""
        eventually(lambda: self.status(arn) not in ("Executing", "Stopping"), seconds)
        return self.status(arn)

    def messages(self, arn: str, count: int = 1) -> list[dict[str, Any]]:
        """The worker's messages about one execution, once there are as many; others stay in the
        queue.
        """
        queue, url = self.client("sqs", "register"), self.outputs["RegisterQueueUrl"]
        found: list[dict[str, Any]] = []

        def receive() -> bool:
            for message in queue.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            ).get("Messages", []):
                body = json.loads(message["Body"])
                if body["pipelineExecutionArn"] == arn:
                    found.append(body)
                    queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                else:
                    queue.change_message_visibility(
                        QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                    )
            return len(found) >= count

        eventually(receive, 40)
        return found

    def answer(self, token: str, **changes: Any) -> Any:
        """Send the worker's Success."""
        outputs = [
            {"Name": "model_version", "Value": "1"},
            {"Name": "model_uri", "Value": "models:/a.b.c/1"},
        ]
        request = {"CallbackToken": token, "OutputParameters": outputs, **changes}
        return self.client("sagemaker", "register").send_pipeline_execution_step_success(**request)

    def log(self, group: str, stream: str) -> list[str]:
        """Every line of one log stream."""
        events = self.client("logs").get_log_events(
            logGroupName=group, logStreamName=stream, startFromHead=True, limit=10_000
        )
        times = [event["timestamp"] for event in events["events"]]
        assert times == sorted(times)
        return [event["message"] for event in events["events"]]

    def training_log(self, name: str) -> list[str]:
        group = "/aws/sagemaker/TrainingJobs"
        streams = self.client("logs").describe_log_streams(
            logGroupName=group, logStreamNamePrefix=f"{name}/algo-1-"
        )
        (stream,) = streams["logStreams"]
        return self.log(group, stream["logStreamName"])

    def processes(self, text: str) -> list[int]:
        """Processes of this machine whose command line or environment names the text."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                try:
                    seen = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
                except OSError:
                    continue
                if text.encode() in seen and (
                    self.process is None or int(folder.name) != self.process.pid
                ):
                    found.append(int(folder.name))
        return found

    def job_processes(self) -> list[int]:
        """Processes of any job of this server."""
        return self.processes(f"{self.state.resolve()}/aws/jobs/")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_server(folder: Path, *arguments: str) -> Server:
    return Server(folder / "state", make_repository(folder / "repository"), free_port(), arguments)

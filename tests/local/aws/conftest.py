"""One embedded account per test session: the real server, the cloud's own template, tiny programs
instead of images.

Clients are unchanged boto3. Every answer of our two services is held against botocore's model of
it, because a parser that drops what it does not know would hide a misspelt member.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from pipeline.local.aws import infrastructure
from pipeline.local.aws.processes import images

REPOSITORY = Path(__file__).parents[3]
PIPELINE = "governed-finetune-local"
ACCOUNT = "000000000000"
DOCKERFILE = (
    'FROM python:3.11\nWORKDIR /opt/governed-finetune\nENTRYPOINT ["python", "-m", "steps.train"]\n'
)

TRAIN = """
import boto3, json, os, pathlib, signal, sys, time
ml = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
given = json.loads((ml / "input/config/hyperparameters.json").read_text())
do, _, what = given["do"].partition(" ")
print("train begins", sys.argv[1:], flush=True)
if do == "sleep":
    if what == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if what == "family":
        import subprocess
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "grandchild"])
    print("asleep", flush=True)
    time.sleep(600)
if do == "crash":
    print("one line before"); raise RuntimeError(what)
if do == "say":
    (ml / "output/failure").write_text(what); sys.exit(3)
if do == "read":
    bucket, _, key = what.partition("/")
    boto3.client("s3").get_object(Bucket=bucket, Key=key)
if do == "once":
    marker = pathlib.Path(what)
    if not marker.exists():
        marker.touch(); sys.exit("the first time it fails")
if do == "resume":
    folder = ml / "checkpoints"
    found = {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}
    print("FOUND " + json.dumps(found), "scratch" if (pathlib.Path.home() / "scratch").exists() else "clean", flush=True)
    if not found:
        def save(*_):
            (folder / "last").write_text("at the signal"); sys.exit(int(what or 143))
        signal.signal(signal.SIGTERM, signal.SIG_IGN if what == "stubborn" else save)
        (folder / "step-1").mkdir(); (folder / "step-1/state").write_text("one"); (folder / "step-0").write_text("zero")
        (pathlib.Path.home() / "scratch").write_text("of this instance")
        print("[eval] eval_loss_before=9.5; eval_tokens=9;"); print("asleep", flush=True)
        while not (ml / "go").exists():
            time.sleep(0.02)
        (folder / "step-0").unlink()
        time.sleep(600)
    given["loss"] = "2.0"
if do == "describe":
    print("DESCRIPTION " + json.dumps({
        "environment": sorted(os.environ), "home": os.environ["HOME"], "arn": boto3.client("sts").get_caller_identity()["Arn"],
        "config": {p.name: json.loads(p.read_text()) for p in (ml / "input/config").iterdir()},
        "data": sorted(str(p.relative_to(ml)) for p in (ml / "input/data").rglob("*") if p.is_file()), "cwd": os.getcwd()}))
for number in range(int(given.get("lines", 0))):
    print(f"line {number}")
print("[eval] eval_loss_before=7.5; eval_tokens=9;")
for loss in ("9.0", given.get("loss", "2.5")):
    print(f"[eval] eval_loss={loss}; eval_tokens=9;")
(ml / "model/adapter.txt").write_text("weights"); (ml / "model/deep").mkdir(); (ml / "model/deep/b.txt").write_text("b")
(ml / "output/data/report.txt").write_text("report")
"""

PREPARE = """
import boto3, os, sys, time
do, _, what = dict(zip(sys.argv[1::2], sys.argv[2::2]))["--do"].partition(" ")
print("prepare begins", flush=True)
if do == "sleep":
    print("asleep", flush=True); time.sleep(600)
if do == "crash":
    raise RuntimeError(what)
if do == "read":
    bucket, _, key = what.partition("/")
    boto3.client("s3").get_object(Bucket=bucket, Key=key)
if do == "spark":
    from pyspark.sql import SparkSession
    from steps.kernel import doubled
    spark = SparkSession.builder.getOrCreate()
    rows = spark.range(3).mapInArrow(doubled, "id long").collect()
    print("ROWS", sorted(row.id for row in rows), "remote" if "SPARK_REMOTE" in os.environ else "classic")
"""

KERNEL = """
import pyarrow as pa, pyarrow.compute as pc
def doubled(batches):
    for batch in batches:
        yield pa.RecordBatch.from_arrays([pc.multiply(batch.column(0), 2)], names=["id"])
"""


def eventually(predicate: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until it holds."""
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

    eventually = staticmethod(eventually)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        """Start the server; the seconds until it was ready."""
        began = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "pipeline.local.aws",
            "--port",
            str(self.port),
            "--state",
            str(self.state),
        ]
        command += [
            "--repository",
            str(self.repository),
            "--stop-grace-seconds",
            "1",
            *self.arguments,
        ]
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
        self._keys.clear()
        return time.monotonic() - began

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the server; its exit code."""
        assert self.process is not None
        assert self.process.stdout is not None
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
        if role not in self._keys:
            self._keys[role] = infrastructure.assume_role(self.client("sts"), role)
        return self._keys[role]

    def client(self, service: str, role: str = "root", **keys: str) -> Any:
        """A boto3 client of that role, whose answers are held against botocore's models."""
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
        client = boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            config=config,
            **(keys or self.keys(role)),
        )
        if service in ("sagemaker", "emr-serverless"):
            client.meta.events.register(f"before-parse.{service}", check_answer)
        return client

    def deploy(self) -> None:
        self.outputs = infrastructure.deploy(self.client("cloudformation"), {})

    def train_arguments(self, **changes: Any) -> dict[str, Any]:
        """What a training job of the stack's train role needs."""
        return {
            "AlgorithmSpecification": {
                "TrainingImage": "111122223333.dkr.ecr.us-east-1.amazonaws.com/governed-finetune-train@sha256:"
                + "0" * 64,
                "TrainingInputMode": "File",
                "MetricDefinitions": [
                    {
                        "Name": "eval:loss_before",
                        "Regex": "eval_loss_before=([0-9.eE+-]+|nan|inf);",
                    },
                    {"Name": "eval:loss", "Regex": "eval_loss=([0-9.eE+-]+|nan|inf);"},
                    {"Name": "never", "Regex": "never=([0-9.]+);"},
                ],
            },
            "RoleArn": self.outputs["TrainRoleArn"],
            "OutputDataConfig": {
                "S3OutputPath": f"s3://{self.outputs['ArtifactsBucket']}/executions/x"
            },
            "ResourceConfig": {
                "InstanceType": "ml.g5.16xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 10,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "HyperParameters": {"do": "train"},
            **changes,
        }

    def prepare_arguments(self, do: Any = "nothing") -> dict[str, Any]:
        """What an EMRServerless step of the stack's prepare role needs."""
        submit = {
            "entryPoint": f"local://{images.WORKDIR}/steps/prepare.py",
            "entryPointArguments": ["--do", do],
        }
        return {
            "ExecutionRoleArn": self.outputs["PrepareRoleArn"],
            "ApplicationId": self.outputs["ApplicationId"],
            "JobConfig": {
                "name": "prepare",
                "executionRoleArn": self.outputs["PrepareRoleArn"],
                "applicationId": self.outputs["ApplicationId"],
                "jobDriver": {"sparkSubmit": submit},
                "configurationOverrides": {},
            },
        }

    def definition(self) -> dict[str, Any]:
        """Prepare, Train, Gate, Register or Rejected, in the shape that the SDK compiles to."""
        loss = {"Get": "Steps.Train.FinalMetricDataList['eval:loss'].Value"}
        within = {
            "Type": "LessThanOrEqualTo",
            "LeftValue": loss,
            "RightValue": {"Get": "Parameters.MaxEvalLoss"},
        }
        hyperparameters = {"do": {"Get": "Parameters.Train"}, "loss": {"Get": "Parameters.Loss"}}
        outputs = [
            {"OutputName": name, "OutputType": "String"} for name in ("model_version", "model_uri")
        ]
        words = ["eval loss ", loss, " is not within ", {"Get": "Parameters.MaxEvalLoss"}]
        return {
            "Version": "2020-12-01",
            "Metadata": {},
            "Parameters": [
                {"Name": "Prepare", "Type": "String", "DefaultValue": "nothing"},
                {"Name": "Train", "Type": "String", "DefaultValue": "train"},
                {"Name": "Loss", "Type": "String", "DefaultValue": "2.5"},
                {"Name": "MaxEvalLoss", "Type": "Float", "DefaultValue": 3.0},
                {
                    "Name": "Mode",
                    "Type": "String",
                    "DefaultValue": "auto",
                    "EnumValues": ["auto", "off"],
                },
            ],
            "Steps": [
                {
                    "Name": "Prepare",
                    "Type": "EMRServerless",
                    "DisplayName": "Prepare",
                    "Arguments": self.prepare_arguments({"Get": "Parameters.Prepare"}),
                },
                {
                    "Name": "Train",
                    "Type": "Training",
                    "DependsOn": ["Prepare"],
                    "Arguments": self.train_arguments(HyperParameters=hyperparameters)
                    | {"MlflowConfig": None},
                },
                {
                    "Name": "Gate",
                    "Type": "Condition",
                    "Arguments": {
                        "Conditions": [within],
                        "IfSteps": [
                            {
                                "Name": "Register",
                                "Type": "Callback",
                                "SqsQueueUrl": self.outputs["RegisterQueueUrl"],
                                "Arguments": {},
                                "OutputParameters": outputs,
                            }
                        ],
                        "ElseSteps": [
                            {
                                "Name": "Rejected",
                                "Type": "Fail",
                                "Arguments": {
                                    "ErrorMessage": {"Std:Join": {"On": "", "Values": words}}
                                },
                            }
                        ],
                    },
                },
            ],
        }

    def start_execution(self, **parameters: str) -> str:
        """An execution started by the scientist; its ARN."""
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
        """The execution's last status."""
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
        """The worker's Success."""
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


def check_answer(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Every member of a successful answer is one that botocore knows, and none that it requires is
    missing.
    """
    if response_dict["status_code"] == 200:
        _check_shape(
            json.loads(response_dict["body"] or b"{}"),
            operation_model.output_shape,
            operation_model.name,
        )


def _check_shape(value: Any, shape: Any, where: str) -> None:
    if shape is None or shape.type_name == "map":
        return
    if shape.type_name == "structure":
        names = {member.serialization.get("name", name) for name, member in shape.members.items()}
        assert value.keys() <= names, f"{where}: {value.keys() - names}"
        assert set(shape.required_members) <= value.keys(), (
            f"{where}: {set(shape.required_members) - value.keys()}"
        )
        for name, member in value.items():
            _check_shape(member, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for item in value:
            _check_shape(item, shape.member, f"{where}[]")
    else:
        kinds = {
            "string": str,
            "integer": int,
            "long": int,
            "boolean": bool,
            "timestamp": (int, float),
        }
        assert isinstance(value, kinds.get(shape.type_name, (int, float))), f"{where}: {value!r}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_repository(folder: Path) -> Path:
    """A repository with the one image and the two programs that these tests need."""
    for path, text in {
        "containers/train/Dockerfile": DOCKERFILE,
        "steps/train.py": TRAIN,
        "steps/prepare.py": PREPARE,
        "steps/kernel.py": KERNEL,
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def make_server(folder: Path, *arguments: str) -> Server:
    return Server(folder / "state", make_repository(folder / "repository"), free_port(), arguments)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the stack and the pipeline deployed, shared by tests that do not stop it."""
    found = make_server(tmp_path_factory.mktemp("account"))
    found.start()
    try:
        found.deploy()
        found.client("sagemaker", "ci").create_pipeline(
            PipelineName=PIPELINE,
            PipelineDefinition=json.dumps(found.definition()),
            RoleArn=found.outputs["PipelineRoleArn"],
        )
        yield found
    finally:
        found.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that the test may stop, kill and start again."""
    found = make_server(tmp_path)
    found.start()
    found.deploy()
    found.client("sagemaker", "ci").create_pipeline(
        PipelineName=PIPELINE,
        PipelineDefinition=json.dumps(found.definition()),
        RoleArn=found.outputs["PipelineRoleArn"],
    )
    yield found
    if found.process is not None and found.process.poll() is None:
        found.stop()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Server]:
    """A server that is not started yet, and has nothing deployed."""
    found = make_server(tmp_path)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.stop()


@pytest.fixture
def job_name() -> str:
    """A name that no other job has."""
    return f"pipelines-test-{uuid.uuid4().hex[:12]}"

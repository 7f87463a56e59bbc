"""The whole journey in one go: environment up, catalog filled, pipeline deployed, executed, and its model asked something.

Each part is what a person would do by hand, as who they would do it: CI deploys, a data scientist starts the execution and
loads the model. The definition that runs is the one `upsert` sent.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3

from pipeline import layout, parameters
from pipeline.errors import PipelineError
from pipeline.execution import start
from pipeline.execution.outcome import Outcome
from pipeline.execution.progress import Show
from pipeline.local import environment
from pipeline.local.environment import Options, Started
from pipeline.local.host.servers import REPOSITORY, inherited
from pipeline.local.host.state import State

Say = Callable[[str], None]


@dataclass
class Journey:
    """What one journey did, and how long each part of it took in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)
    deployed: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    max_eval_examples: int = -1  # of each evaluation; -1: all
    answer: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Take a part's time, even if it fails."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = time.monotonic() - began


def travel(
    state: State, options: Options, overrides: Mapping[str, str], *, say: Say, show: Show
) -> Journey:
    """Do it all; the environment is left running.

    Raises:
        PipelineError: any part failed; what it said is in the message.
    """
    journey = Journey()
    with (
        journey.timed("environment"),
        _announced(say, "environment"),
        environment.started(state, options) as running,
    ):
        deploying = _command(running.as_role("ci"), "pipeline.upsert", "--env", "local", "--json")
        try:
            environment.fill(running, options)
        except BaseException:
            deploying.kill()
            deploying.communicate()
            raise
        journey.deployed = _answer_of(deploying, "upsert")
    with journey.timed("execution"):
        journey.outcome = _execute(running, overrides, show)
    journey.counts = _counts(running, journey.outcome)
    journey.max_eval_examples = _max_eval_examples(running, overrides)
    if journey.outcome.succeeded:
        with (
            journey.timed("model loaded and asked"),
            _announced(say, "loading the registered model"),
        ):
            journey.answer = _ask(running, journey.outcome)
    return journey


def _execute(running: Started, overrides: Mapping[str, str], show: Show) -> Outcome:
    client = _client(running, "sagemaker")
    arn = start.start(running.config, client, overrides)
    return start.follow(running.config, client, arn, show=show)


def _counts(running: Started, outcome: Outcome) -> dict[str, Any]:
    """What Prepare read, kept and dropped, from the manifest it wrote; empty if it wrote none."""
    uri = layout.of_execution(
        layout.prepare_manifest(running.config), outcome.arn.rsplit("/", 1)[-1]
    )
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3 = _client(running, "s3")
    try:
        content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return {}
    counts: dict[str, Any] = json.loads(content)["counts"]
    return counts


def _max_eval_examples(running: Started, overrides: Mapping[str, str]) -> int:
    name = "MaxEvalExamples"
    default = running.config.parameters.get(name, parameters.BY_NAME[name].default)
    return int(overrides.get(name, default))


def _ask(running: Started, outcome: Outcome) -> dict[str, str]:
    words = ("--model", outcome.model_name, "--alias", outcome.model_alias)
    answer: dict[str, str] = _answer_of(
        _command(running.as_scientist(), "pipeline.local.ask_model", *words), "the model"
    )
    return answer


def _client(running: Started, service: str) -> Any:
    session = running.as_role("scientist")
    return boto3.client(
        service,
        region_name=session["AWS_REGION"],
        endpoint_url=session["AWS_ENDPOINT_URL"],
        aws_access_key_id=session["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=session["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=session["AWS_SESSION_TOKEN"],
    )


def _command(variables: Mapping[str, str], module: str, *words: str) -> subprocess.Popen[str]:
    """One of our own commands in a process of its own: with the identity it needs and nothing else of this shell's."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *words],
        env=inherited() | {"PYTHONPATH": str(REPOSITORY)} | dict(variables),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _answer_of(process: subprocess.Popen[str], name: str) -> Any:
    output, complaint = process.communicate()
    if process.returncode != 0:
        tail = "\n".join(f"    {line}" for line in complaint.splitlines()[-12:])
        raise PipelineError(f"{name} failed with exit code {process.returncode}\n{tail}")
    return json.loads(output[output.index("{") :])


@contextmanager
def _announced(say: Say, part: str) -> Iterator[None]:
    began = time.monotonic()
    say(f"{part} …")
    yield
    say(f"{part} ready after {time.monotonic() - began:.1f} s")

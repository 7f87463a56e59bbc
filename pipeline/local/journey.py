"""The whole journey in one go: environment up, catalog filled, pipeline deployed, executed, and its
model asked something.

Each part is what a person would do by hand, as who they would do it: CI deploys, a data scientist
starts the execution and loads the model. The definition that runs is the one `upsert` sent.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3

from pipeline import layout, parameters
from pipeline.execution import start
from pipeline.execution.outcome import Outcome, Progress
from pipeline.execution.progress import Show
from pipeline.local import environment
from pipeline.local.environment import Options, Started
from pipeline.local.host.state import State
from pipeline.local.prepared_command import PreparedCommand

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
    with closing(_Commands()) as commands:
        with (
            journey.timed("environment"),
            _announced(say, "environment"),
            environment.started(state, options) as running,
        ):
            commands.deploy.begin(running.as_role("ci"), "--env", "local", "--json")
            environment.fill(running, options)
            journey.deployed = commands.deploy.document("upsert")
            environment.complete(running)
        with journey.timed("execution"):
            journey.outcome = _execute(running, overrides, commands.preparing_to_ask(show))
        journey.counts = _counts(running, journey.outcome)
        journey.max_eval_examples = _max_eval_examples(running, overrides)
        if journey.outcome.succeeded:
            with (
                journey.timed("model loaded and asked"),
                _announced(say, "loading the registered model"),
            ):
                journey.answer = _completion(commands, running, journey.outcome)
    return journey


class _Commands:
    """The commands of a journey in processes of their own, each started before its turn comes.

    Each gets the identity that it needs and nothing else of this shell's environment.
    """

    def __init__(self) -> None:
        self.deploy = PreparedCommand("pipeline.upsert", imports="pipeline.definition")
        self._ask: PreparedCommand | None = None

    @property
    def ask(self) -> PreparedCommand:
        """The command that loads the model; it starts when it is first used."""
        if self._ask is None:
            self._ask = PreparedCommand(
                "pipeline.local.ask_model", imports="pipeline.local.model_libraries"
            )
        return self._ask

    def preparing_to_ask(self, show: Show) -> Show:
        """`show`, which also starts `ask` as soon as Train runs: both import torch meanwhile."""

        def shown(progress: Progress) -> None:
            if any(step.name == "Train" and step.started for step in progress.steps):
                self.ask  # noqa: B018 - starts the process
            show(progress)

        return shown

    def close(self) -> None:
        """End what still runs: after a failure, or of an execution that registered nothing."""
        for command in (self.deploy, self._ask):
            if command is not None:
                command.stop()


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


def _completion(commands: _Commands, running: Started, outcome: Outcome) -> dict[str, str]:
    words = ("--model", outcome.model_name, "--alias", outcome.model_alias)
    commands.ask.begin(running.as_scientist(), *words)
    answer: dict[str, str] = commands.ask.document("the model")
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


@contextmanager
def _announced(say: Say, part: str) -> Iterator[None]:
    began = time.monotonic()
    say(f"{part} …")
    yield
    say(f"{part} ready after {time.monotonic() - began:.1f} s")

"""The journey: start the environment, fill the catalog, deploy and execute the pipeline, and let
its model answer a prompt.

Each part uses the identity that it has in production: CI deploys, a data scientist starts the
execution and loads the model. The definition that runs is the one that `upsert` sent.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipeline import layout
from pipeline.configuration import parameters
from pipeline.execution import attention, start
from pipeline.execution.outcome import Outcome, Progress
from pipeline.execution.progress import Show
from pipeline.inspection import live, prompts_cut
from pipeline.local import environment
from pipeline.local.environment import Options
from pipeline.local.host.state import State
from pipeline.local.notifications.bulletin import Bulletin
from pipeline.local.notifications.notice import Notice
from pipeline.local.prepared_command import PreparedCommand
from pipeline.local.setup.workspace import Seeded
from pipeline.local.started import Started

Announce = Callable[[str], None]


@dataclass
class Journey:
    """The results of a journey, and the seconds that each part took."""

    seconds: dict[str, float] = field(default_factory=dict)
    deployed: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    max_eval_examples: int = -1  # of each evaluation; -1: all
    answer: dict[str, str] = field(default_factory=dict)
    warning: str = ""  # of prompts that are cut
    notices: list[Notice] = field(default_factory=list)  # that arrived meanwhile

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Measure the time of a part, even if it fails."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = time.monotonic() - began


def travel(
    state: State, options: Options, overrides: Mapping[str, str], *, announce: Announce, show: Show
) -> Journey:
    """Run all parts; the environment is left running.

    Raises:
        PipelineError: a part failed; the message has its output.
    """
    journey = Journey()
    with closing(_Commands()) as commands:
        with (
            journey.timed("environment"),
            _announced(announce, "environment"),
            environment.started(state, options) as running,
        ):
            commands.deploy.begin(running.as_role("ci"), "--env", "local", "--json")
            _name_corpus(announce, environment.fill(running, options))
            journey.deployed = commands.deploy.document("upsert")
            environment.complete(running)
            state.use.begin(fresh=running.fresh)
        bulletin = Bulletin(running, brief=True)
        with journey.timed("execution"):
            watching = bulletin.along(commands.starting_query(show))
            journey.outcome = _execute(running, overrides, watching)
        bulletin.show(ended=journey.outcome.arn)
        journey.notices = bulletin.shown
        journey.counts = _counts(running, journey.outcome)
        journey.warning = prompts_cut.warning(
            running.config, lambda: running.scientist_client("s3"), journey.outcome
        )
        journey.max_eval_examples = _max_eval_examples(running, overrides)
        if journey.outcome.succeeded:
            with (
                journey.timed("model loaded and asked"),
                _announced(announce, "loading the registered model"),
            ):
                journey.answer = _completion(commands, running, journey.outcome)
    return journey


def _name_corpus(announce: Announce, seeded: Seeded) -> None:
    if seeded.kept_others:
        announce(
            "corpus      the filings that an earlier --filings loaded (version "
            f"{seeded.raw_version} of the raw table);\n"
            "            for the small corpus give another folder with --state"
        )


class _Commands:
    """A journey's commands in separate processes, each started before it is needed. Each gets the
    identity that it needs and nothing else of this shell's environment.
    """

    def __init__(self) -> None:
        self.deploy = PreparedCommand("pipeline.upsert", imports="pipeline.definition")
        self._query: PreparedCommand | None = None

    @property
    def query(self) -> PreparedCommand:
        """The command that loads the model; it starts when it is first used."""
        if self._query is None:
            self._query = PreparedCommand(
                "pipeline.local.ask_model", imports="pipeline.local.model_libraries"
            )
        return self._query

    def starting_query(self, show: Show) -> Show:
        """Return `show` extended: it starts `query` when Train starts; both then import torch."""

        def shown(progress: Progress) -> None:
            if any(step.name == "Train" and step.started for step in progress.steps):
                self.query  # noqa: B018 - starts the process
            show(progress)

        return shown

    def close(self) -> None:
        """End commands that still run, after a failure or if no model was registered."""
        for command in (self.deploy, self._query):
            if command is not None:
                command.stop()


def _execute(running: Started, overrides: Mapping[str, str], show: Show) -> Outcome:
    client = running.scientist_client("sagemaker")
    arn = start.start(running.config, client, overrides)
    watchful = attention.noting(running.config, lambda: running.scientist_client("s3"), show)
    lively = live.noting(running.config, lambda: running.scientist_client("logs"), watchful)
    return start.follow(running.config, client, arn, show=lively)


def _counts(running: Started, outcome: Outcome) -> dict[str, Any]:
    """Return the counts of Prepare's manifest; empty if it did not write one."""
    uri = layout.of_execution(
        layout.prepare_manifest(running.config), outcome.arn.rsplit("/", 1)[-1]
    )
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3 = running.scientist_client("s3")
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
    commands.query.begin(running.as_scientist(), *words)
    answer: dict[str, str] = commands.query.document("the model")
    return answer


@contextmanager
def _announced(announce: Announce, part: str) -> Iterator[None]:
    began = time.monotonic()
    announce(f"{part} …")
    yield
    announce(f"{part} ready after {time.monotonic() - began:.1f} s")

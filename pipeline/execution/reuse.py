"""Whether the examples of an earlier execution can be used again: `CuratedFrom`.

    changed = reuse.changed(config, client, arn, definition, values)
    changed        # ["--split: family, and there company"]; empty: the examples would be the same

The parameters and the configuration of both executions are in SageMaker's answers: each definition
has Prepare's command line and the image that it was made for. What needs the tables and the
manifest, Prepare checks itself, such as which version was the newest one (-1) then. This only
spares a person the start.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline import account
from pipeline.configuration.config import Config
from pipeline.errors import UsageError
from pipeline.execution import ran_with

NOTHING = "none"
PARAMETER = "CuratedFrom"
# What of Prepare's command line decides the examples. `steps/prepare/contract/settings.py` has the
# same list, which tests/test_contract_values.py compares.
DECIDING = (
    *("--raw-table", "--curated-table", "--eval-fraction", "--seed", "--scrub", "--quality"),
    *("--contract", "--sources", "--split", "--tasks"),
)
# What else of the job Register compares with the definition of the execution that reuses it
_JOB = ("image", "entry point", "Spark arguments", "role")
_Step = Mapping[str, Any]


def require(
    config: Config, client: Any, pipeline: Mapping[str, Any], given: Mapping[str, str]
) -> None:
    """Refuse a start whose Prepare would refuse to use the examples of `CuratedFrom` again.

    `pipeline` is the deployed one, `given` the parameters of the start.

    Raises:
        UsageError: something that Prepare depends on differs, or that Prepare did not succeed.
        Refused: AWS refused, or does not know the execution.
    """
    document = json.loads(pipeline["PipelineDefinition"])
    values = ran_with.planned(document, given).values
    origin = values.get(PARAMETER, NOTHING)
    if origin == NOTHING:
        return
    arn = f"{pipeline['PipelineArn']}/execution/{origin}"
    if differing := changed(config, client, arn, document, values):
        lines = "\n".join(f"  {each}" for each in differing)
        message = (
            f"the examples of execution {origin} cannot be used again:\n{lines}\n"
            f"  do  take those values (--from {origin}), or do the work again: "
            f"--set {PARAMETER}={NOTHING}"
        )
        raise UsageError(message)


def offered(
    config: Config, client: Any, pipeline: Mapping[str, Any], given: Mapping[str, str], arn: str
) -> str:
    """Return the id of an execution whose examples this start would make again; empty if none."""
    document = json.loads(pipeline["PipelineDefinition"])
    values = ran_with.planned(document, given).values
    if values.get(PARAMETER) != NOTHING or changed(config, client, arn, document, values):
        return ""
    return arn.rsplit("/", 1)[-1]


def origin_of(config: Config, client: Any, arn: str) -> str:
    """Return the id of the execution that made the examples of this one: itself or another."""
    return origin_in(ran_with.read(config, client, arn).values, arn)


def origin_in(values: Mapping[str, str], arn: str) -> str:
    """Return the id of the execution that made the examples of `arn`, given its parameters."""
    used = values.get(PARAMETER, NOTHING)
    return arn.rsplit("/", 1)[-1] if used == NOTHING else used


def changed(
    config: Config,
    client: Any,
    arn: str,
    definition: Mapping[str, Any],
    values: Mapping[str, str],
) -> list[str]:
    """Return what differs, each with the value of now and that of the execution `arn`."""
    with account.answering(f"reading the definition of {arn}", config):
        answer = client.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
        pages = client.get_paginator("list_pipeline_execution_steps").paginate(
            PipelineExecutionArn=arn
        )
        steps = [step for page in pages for step in page["PipelineExecutionSteps"]]
    then = ran_with.read(config, client, arn).values
    status = next((each["StepStatus"] for each in steps if each["StepName"] == "Prepare"), "none")
    found = [] if status == "Succeeded" else [f"its Prepare has not succeeded: {status}"]
    now_made = _made(definition, values)
    then_made = _made(json.loads(answer["PipelineDefinition"]), then)
    if "-1" not in (now_made["--raw-version"], then_made["--raw-version"]):
        found += _differing("--raw-version", now_made, then_made)
    for option in (*DECIDING, *_JOB):
        found += _differing(option, now_made, then_made)
    if then_made.get("--curated-from", NOTHING) != NOTHING:
        found.append(f"it used the examples of {then_made['--curated-from']} again itself")
    return found


def _differing(option: str, now: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    here, there = now.get(option, "the default"), then.get(option, "the default")
    return [] if ran_with.same(here, there) else [f"{option}: {here}, and there {there}"]


def _made(definition: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
    """Return Prepare's command line with the parameters' values, and what `_JOB` names."""
    step = next(each for each in _every(definition["Steps"]) if each["Type"] == "EMRServerless")
    job = step["Arguments"]["JobConfig"]
    submit = job["jobDriver"]["sparkSubmit"]
    texts = [_text(word, values) for word in submit["entryPointArguments"]]
    about = (
        job["tags"]["image"],
        submit["entryPoint"],
        submit.get("sparkSubmitParameters", ""),
        step["Arguments"]["ExecutionRoleArn"],
    )
    return dict(zip(texts[::2], texts[1::2], strict=True)) | dict(zip(_JOB, about, strict=True))


def _text(word: Any, values: Mapping[str, str]) -> str:
    """Return a word of a definition with its parameters; other variables stay as they are."""
    if not isinstance(word, dict):
        return str(word)
    if "Std:Join" in word:
        joined = word["Std:Join"]
        return str(joined["On"]).join(_text(each, values) for each in joined["Values"])
    name = str(word.get("Get", "")).removeprefix("Parameters.")
    return values.get(name, str(word))


def _every(steps: list[_Step]) -> Iterator[_Step]:
    for step in steps:
        yield step
        if step["Type"] == "Condition":
            for branch in ("IfSteps", "ElseSteps"):
                yield from _every(step["Arguments"].get(branch, []))

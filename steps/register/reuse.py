"""The execution whose examples were used again: its facts, compared with this execution's manifest.

    reuse.pairs(facts)      # for `cross_check`

This execution's Prepare verified the earlier one's manifest and tables. Register trusts that no
more than anything else: the earlier manifest must have the named digest and the same content, and
a successful job of this pipeline must have made it. That job must be as this execution's definition
has it (image, role, entry point, Spark arguments), not only as its own: somebody may have changed
the pipeline for one execution.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steps.governance.documents.manifest import Prepared
from steps.governance.names import execution_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from steps.register.facts import AppliedImage, Execution, Facts

NOTHING = "none"  # the parameter CuratedFrom of an execution that did the work itself
# What differs between the manifest of a reuse and the one that it repeats
_OWN = {"execution_arn", "principal", "reading", "build", "reused"}
_Pair = tuple[str, object, object]


@dataclass(frozen=True)
class Origin:
    """The earlier execution, its Prepare job and image, and its manifest with the stored sha256."""

    execution: "Execution"
    prepare_job: "Mapping[str, Any]"
    image: "AppliedImage"
    prepared: Prepared
    prepared_sha256: str


def pairs(facts: "Facts") -> "list[_Pair]":
    """Return what must be equal: the parameter and the manifest, and everything about the origin.

    An execution that started before the parameter existed cannot have used another's work.
    """
    wanted = facts.execution.parameters.get("CuratedFrom", NOTHING)
    reused = facts.prepared.reused
    named = execution_id(reused.execution_arn) if reused else NOTHING
    return [("execution whose examples are used", wanted, named), *_origin(facts)]


def _origin(facts: "Facts") -> "Iterator[_Pair]":
    origin, reused = facts.origin, facts.prepared.reused
    if origin is None or reused is None:
        return
    earlier, mine = origin.prepared, facts.prepared
    job = origin.prepare_job
    yield "manifest that was used again", reused.manifest_sha256, origin.prepared_sha256
    yield "execution in that manifest", reused.execution_arn, earlier.execution_arn
    yield "pipeline of both executions", facts.execution.pipeline_arn, origin.execution.pipeline_arn
    yield "reuse of a reuse", None, earlier.reused
    yield "examples", earlier.model_dump(exclude=_OWN), mine.model_dump(exclude=_OWN)
    yield "code of both Prepare jobs", earlier.build, mine.build
    yield "state of that prepare job", "SUCCESS", job["state"]
    yield "execution in that prepare job", reused.execution_arn, argument(job, "--execution-arn")
    yield from _as_defined(facts, origin)


def _as_defined(facts: "Facts", origin: Origin) -> "Iterator[_Pair]":
    """Yield what the earlier job must have of this execution's definition, and of its image."""
    prepare = facts.execution.arguments("EMRServerless")
    wanted, found = (
        config["jobDriver"]["sparkSubmit"] for config in (prepare["JobConfig"], origin.prepare_job)
    )
    yield "image of that prepare job", prepare["JobConfig"]["tags"]["image"], origin.image.uri
    yield "digest of that image", facts.image.digest, origin.image.digest
    yield (
        "role of that prepare job",
        prepare["ExecutionRoleArn"],
        origin.prepare_job["executionRole"],
    )
    for what, name in (("entry point", "entryPoint"), ("Spark arguments", "sparkSubmitParameters")):
        yield f"{what} of that prepare job", wanted.get(name), found.get(name)


def argument(job: "Mapping[str, Any]", option: str) -> str | None:
    """Return the value of an option on a job run's command line."""
    words = job["jobDriver"]["sparkSubmit"].get("entryPointArguments", [])
    return dict(zip(words[::2], words[1::2], strict=False)).get(option)

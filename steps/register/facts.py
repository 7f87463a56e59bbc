"""What is known about an execution before its model is registered: parameters, jobs, manifests.

The definition with which the execution started names the images and roles that its jobs must have
had; the jobs themselves state those that they had.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from steps.governance.documents.manifest import Prepared, Trained
from steps.governance.documents.record import Starter
from steps.governance.errors import UsageError
from steps.governance.names import UcName, checked_alias, written_name
from steps.register.reuse import Origin


@dataclass(frozen=True)
class Execution:
    """The execution as it was started.

    `parameters` are the given ones, and the definition's defaults for the others.
    `pipeline_version_id` is None if SageMaker has no versions of the pipeline.
    """

    arn: str
    pipeline_arn: str
    definition: Mapping[str, Any]
    definition_sha256: str
    started_at: datetime
    started_by: Starter
    pipeline_version_id: int | None
    parameters: Mapping[str, str]

    def arguments(self, step_type: str) -> Mapping[str, Any]:
        """Return the arguments of the definition's one step of this type.

        Raises:
            UsageError: the definition has no such step, or several.
        """
        found = [step["Arguments"] for step in _every(self.definition) if step["Type"] == step_type]
        if len(found) != 1:
            raise UsageError(
                "the pipeline's definition cannot be used",
                expected=f"one {step_type} step",
                got=f"{len(found)} of them",
                do="upsert the pipeline again",
            )
        return dict(found[0])

    @property
    def conditions(self) -> list[str]:
        """The names of the definition's Condition steps."""
        return [step["Name"] for step in _every(self.definition) if step["Type"] == "Condition"]

    def name(self, parameter: str) -> UcName:
        """Return a parameter that is the Unity Catalog name of an object to write.

        Raises:
            NameRefused: it is not such a name.
        """
        return written_name(self.parameter(parameter))

    @property
    def alias(self) -> str:
        """The alias that the new version gets.

        Raises:
            NameRefused: the registry would refuse it.
        """
        return checked_alias(self.parameter("ModelAlias"))

    @property
    def max_eval_loss(self) -> float:
        """Gate's upper bound of the evaluation loss, in nats per target token.

        Raises:
            UsageError: it is not a number.
        """
        text = self.parameter("MaxEvalLoss")
        try:
            return float(text)
        except ValueError:
            raise UsageError(
                "the parameter MaxEvalLoss cannot be used",
                expected="a number",
                got=repr(text)[:100],
            ) from None

    def require_registrable(self) -> None:
        """Check the parameters that the registry would refuse. Studio does not check them.

        Raises:
            UsageError: the model's name, its alias or the bound cannot be used.
        """
        self.name("ModelName")
        _ = self.alias, self.max_eval_loss

    def parameter(self, name: str) -> str:
        """Return a parameter's value.

        Raises:
            UsageError: the pipeline has no such parameter.
        """
        if name not in self.parameters:
            raise UsageError(
                f"the pipeline's definition has no parameter {name}", do="upsert the pipeline again"
            )
        return self.parameters[name]


@dataclass(frozen=True)
class AppliedImage:
    """An image and the digest that it was resolved to (`sha256:` and 64 hex digits)."""

    uri: str
    digest: str

    @property
    def pinned(self) -> str:
        """The image by digest: `<repository>@sha256:…`, with the tag if the URI has one."""
        return f"{self.uri.partition('@')[0]}@{self.digest}"


@dataclass(frozen=True)
class Facts:
    """An execution, its two jobs as their services describe them, and the two manifests.

    `image` is Prepare's image as EMR Serverless applied it. `prepared_sha256` and `trained_sha256`
    are those of the manifests' bytes as they are stored.
    """

    execution: Execution
    prepare_job: Mapping[str, Any]
    image: AppliedImage
    training_job: Mapping[str, Any]
    prepared: Prepared
    prepared_sha256: str
    trained: Trained
    trained_sha256: str
    origin: Origin | None = None  # the execution whose examples were used again


def _every(definition: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every step, those in the branches of a Condition too."""
    waiting = list(definition.get("Steps", []))
    while waiting:
        step = waiting.pop()
        yield step
        if step["Type"] == "Condition":
            branches = (step["Arguments"].get(name, []) for name in ("IfSteps", "ElseSteps"))
            waiting += [inner for branch in branches for inner in branch]

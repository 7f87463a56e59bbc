"""Everything that is compared, read once for each comparison. A source that fails hides no other.

inventory = Inventory(arguments, services)
inventory.executions            # by id; raises the same error each time if it cannot be read
inventory.settled("4x7k…")      # whether an execution has ended long enough ago
"""

import difflib
import hmac
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self, TypeVar, cast

from steps.governance.errors import GovernanceError, UsageError
from steps.governance.model_packages.group import Package, PackageGroup
from steps.governance.names import execution_id
from steps.governance.unity_catalog.identity import connect
from steps.reconcile.arguments import Arguments
from steps.reconcile.sources.evidence import Evidence, EvidenceReader
from steps.reconcile.sources.jobs import Execution, Jobs
from steps.reconcile.sources.queues import Letter, Queues
from steps.reconcile.sources.registry import Model, Registry

_Answer = TypeVar("_Answer")
_THREADS = 4  # SageMaker throttles these calls


@dataclass(frozen=True)
class Services:
    """The clients that answer a comparison."""

    jobs: Jobs
    evidence: EvidenceReader
    queues: Queues
    connect: Callable[[], Registry]
    packages: PackageGroup | None = None  # if conf names a group

    @classmethod
    def connected(cls, arguments: Arguments) -> Self:
        """Return the clients; the workspace is asked for a token when it is needed."""
        region, group = arguments.region, arguments.model_package_group

        def registry() -> Registry:
            return Registry(
                connect(
                    host=arguments.databricks_host,
                    secret_id=arguments.databricks_secret_id,
                    region=region,
                )
            )

        return cls(
            Jobs(region, arguments.pipeline_name),
            EvidenceReader(region, arguments.evidence_uri),
            Queues(arguments.queue_url, region),
            registry,
            None if group is None else PackageGroup(region, group),
        )


class Inventory:
    """The state of all services at one moment."""

    def __init__(self, arguments: Arguments, services: Services) -> None:
        self.arguments, self.services = arguments, services
        self._kept: dict[str, Any] = {}

    @property
    def executions(self) -> Mapping[str, Execution]:
        """The executions of the pipeline by their ids; with `--execution` this one."""
        return self._once("executions", self._executions)

    @property
    def evidence(self) -> Evidence:
        """The evidence bucket."""
        read = self.services.evidence.read
        return self._once("evidence", lambda: read(self.arguments.execution))

    @property
    def registry(self) -> Registry:
        """Unity Catalog, connected once."""
        return self._once("registry", self.services.connect)

    @property
    def models(self) -> Mapping[str, Model]:
        """The configured model and every model that a record names, by name."""
        return self._once("models", self._models)

    @property
    def packages(self) -> list[Package]:
        """The packages of the group, oldest first."""
        return self._once("packages", self._packages)

    @property
    def nodes(self) -> Mapping[str, str]:
        """The execution's id of each lineage node, by the node's name."""
        return self._once("nodes", self.registry.nodes)

    @property
    def letters(self) -> list[Letter]:
        """The dead letters; they stay hidden until `close`."""
        return self._once("letters", self.services.queues.dead_letters)

    @property
    def hidden_letters(self) -> int:
        """The dead letters that another program holds at this moment."""
        letters = self.letters
        return max(0, self.services.queues.dead() - len(letters))

    @property
    def waiting(self) -> int:
        """The messages in the register queue."""
        return self._once("waiting", self.services.queues.waiting)

    def young(self, identity: str) -> str:
        """Return why an execution is not touched yet; empty if it may be.

        An execution that SageMaker does not know has no worker any more.
        """
        if identity in self.evidence.held:
            return "a worker holds its lease"
        execution = self.executions.get(identity)
        if execution is None:
            return ""
        if execution.under_way:
            return "it has not ended"
        if not self.is_older(execution.changed):
            return f"it ended less than {self.arguments.grace_seconds} s ago"
        return ""

    def settled(self, identity: str) -> bool:
        """Whether an execution's objects may be compared and touched."""
        return not self.young(identity)

    def is_older(self, moment: datetime | None) -> bool:
        """Whether a moment is longer ago than the grace time; one that is not stated is not."""
        if moment is None:
            return self.arguments.grace_seconds == 0
        return (datetime.now(UTC) - moment).total_seconds() >= self.arguments.grace_seconds

    def chosen(self, identity: str) -> bool:
        """Whether `--execution` and `--model` leave an execution in."""
        if self.arguments.execution not in (None, identity):
            return False
        if self.arguments.model is None:
            return True
        recorded = self.evidence.records.get(identity)
        return recorded is not None and recorded.record.model.name == str(self.arguments.model)

    def is_of(self, letter: Letter, identity: str) -> bool:
        """Whether SageMaker lists the letter's token for this execution."""
        execution = self.executions.get(identity)
        if execution is None or execution.arn != letter.arn or not execution.token:
            return False
        given = letter.token.encode("utf-8", "replace")
        return hmac.compare_digest(execution.token.encode(), given)

    def close(self) -> None:
        """Give the dead letters back that were not redriven."""
        found = self._kept.pop("letters", None)
        if isinstance(found, list):
            self.services.queues.release(found)

    def _executions(self) -> dict[str, Execution]:
        jobs, only = self.services.jobs, self.arguments.execution
        arns = [arn for arn in jobs.executions() if only in (None, execution_id(arn))]
        with ThreadPoolExecutor(_THREADS) as pool:
            return {found.id: found for found in pool.map(jobs.execution, arns)}

    def _models(self) -> dict[str, Model]:
        if self.arguments.model is not None:
            names = {str(self.arguments.model)}
        else:
            names = {each.record.model.name for each in self.evidence.records.values()}
            names |= {str(self.arguments.model_name)}
        found = {name: self.registry.model(name) for name in sorted(names)}
        return {name: model or Model(name) for name, model in found.items()}

    def _packages(self) -> list[Package]:
        group = self.services.packages
        return [] if group is None else [group.describe(arn) for arn, _ in group.summaries()]

    def _once(self, name: str, read: Callable[[], _Answer]) -> _Answer:
        if name not in self._kept:
            try:
                self._kept[name] = read()
            except GovernanceError as error:
                self._kept[name] = error
        if isinstance(self._kept[name], GovernanceError):
            raise self._kept[name]
        return cast(_Answer, self._kept[name])


def require_known(inventory: Inventory) -> None:
    """Require that `--execution` and `--model` exist.

    Raises:
        UsageError: neither SageMaker nor the evidence knows the execution, or no such
            model exists.
    """
    only, model = inventory.arguments.execution, inventory.arguments.model
    if only and only not in inventory.executions and not inventory.evidence.folders:
        known = [execution_id(arn) for arn in inventory.services.jobs.executions()]
        near = difflib.get_close_matches(only, known, n=1, cutoff=0.0)
        raise UsageError(
            f"nothing was compared: no execution {only} exists",
            expected="an execution of the pipeline, or one that has evidence",
            got=only,
            do=f"did you mean {near[0]}?" if near else "the pipeline has no execution yet",
        )
    if model and inventory.registry.model(str(model)) is None:
        known = sorted({each.record.model.name for each in inventory.evidence.records.values()})
        near = difflib.get_close_matches(str(model), known, n=1, cutoff=0.0)
        raise UsageError(
            f"nothing was compared: no model {model} exists",
            expected="a registered model",
            got=str(model),
            do=f"did you mean {near[0]}?" if near else "no record names a model yet",
        )

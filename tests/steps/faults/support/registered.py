"""What one Register step left, read from the stores: registry, evidence, ledger, lineage, answers.

seen(execution, reasons, hung="")      # for `judge.judged`
"""

from collections import Counter
from collections.abc import Sequence

from botocore.exceptions import ClientError
from databricks.sdk.errors import NotFound
from databricks.sdk.service import catalog as uc

from tests.steps.faults.support.judge import Seen
from tests.steps.register.support import ledgers
from tests.steps.register.support.executions import Execution
from tests.steps.register.support.register_environment import ARTIFACTS, EVIDENCE


def seen(execution: Execution, errors: Sequence[str], *, hung: str = "") -> Seen:
    """Read everything that a user or an auditor could find.

    `errors` are texts that ended workers. The notes in the execution's description and the reason
    of the Failure are added.
    """
    notes = [note for note in execution.state.get("descriptions", []) if "waits:" in note]
    failures = {a["FailureReason"] for a in execution.answers() if a["status"] == "Failed"}
    return Seen(
        status=execution.step["StepStatus"],
        hung=hung,
        reasons=[*errors, *notes, *failures],
        usable=usable(execution),
        missing=_missing(execution) if execution.step["StepStatus"] == "Succeeded" else "",
        copies=copies(execution),
    )


def usable(execution: Execution) -> list[str]:
    """Return what a reader of the registry could take for a registered model."""
    found = [f"READY version {number}" for number in _ready(execution, withdrawn=False)]
    try:
        alias = execution.environment.admin().model_versions.get_by_alias(
            execution.model, "challenger"
        )
    except NotFound:
        return found
    return [*found, f"an alias of version {alias.version}"]


def copies(execution: Execution) -> dict[str, int]:
    """Return how often each thing is stored that may exist once."""
    answers = {(each["status"], each["ClientRequestToken"]) for each in execution.answers()}
    return {
        "READY version": len(_ready(execution, withdrawn=True)),
        "answer": len(answers),
        "ledger entry": _ledger_entries(execution),
        **_lineage(execution),
    }


def _ready(execution: Execution, *, withdrawn: bool) -> list[int]:
    ready = [
        int(version.version or 0)
        for version in execution.versions()
        if version.status is uc.ModelVersionInfoStatus.READY
    ]
    return [number for number in ready if withdrawn or "withdrawn" not in execution.tags(number)]


def _ledger_entries(execution: Execution) -> int:
    key = f"executions/{execution.id}/register/record.json"
    return sum(entry.document == key for entry, _ in ledgers.entries(execution.environment))


def _lineage(execution: Execution) -> Counter[str]:
    """Count nodes and edges by their names; a record names the nodes."""
    try:
        nodes = execution.evidence("record.json")["lineage"]["nodes"]
    except ClientError:
        return Counter()
    admin = execution.environment.admin()
    names = [node.removeprefix("job:") for node in nodes]
    listed = Counter(each.name for each in admin.external_metadata.list_external_metadata())
    found = Counter({f"node {name}": listed[name] for name in names})
    for name in names:
        end = uc.ExternalLineageObject(external_metadata=uc.ExternalLineageExternalMetadata(name))
        for direction in uc.LineageDirection:
            edges = admin.external_lineage.list_external_lineage_relationships(end, direction)
            found.update(f"edge {direction.value} of {name} {edge.as_dict()}" for edge in edges)
    return found


def _missing(execution: Execution) -> str:
    """Return what a registration stores and this one did not; empty if it is whole."""
    try:
        execution.check_registered()
        _check_inputs(execution)
    except (AssertionError, ValueError, LookupError, NotFound, ClientError) as error:
        return f"{type(error).__name__} {str(error)[:300]}"
    return ""


def _check_inputs(execution: Execution) -> None:
    """Check: the manifests of Prepare and Train and the archive are as they were."""
    s3, train = execution.environment.client("s3"), f"train/{execution.trained.training_job}"
    for step, manifest in (("prepare", execution.prepared), (train, execution.trained)):
        key = f"executions/{execution.id}/{step}/manifest.json"
        stored = s3.get_object(Bucket=EVIDENCE, Key=key)["Body"].read()
        assert stored == manifest.to_bytes(), key
    versions = s3.list_object_versions(Bucket=ARTIFACTS, Prefix=execution.artifact_key)
    assert len(versions["Versions"]) == 1, "the archive was written again"

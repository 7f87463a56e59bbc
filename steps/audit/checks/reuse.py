"""Pairs of a record whose execution used the examples of an earlier one again.

They belong to the checks of Prepare's manifest and of its job, which then cover both executions:
the earlier manifest as it is stored now, written once, with the same examples; the earlier job.
"""

from dataclasses import replace

from steps.audit.case import Case
from steps.audit.findings import Comparison, Gone
from steps.governance.documents import canonical
from steps.governance.documents.manifest import Prepared
from steps.governance.documents.record import ReusedFacts
from steps.governance.errors import NotFound
from steps.governance.names import execution_id

Pairs = list[tuple[str, object, object]]
NOTHING = "none"
# What differs between the manifest of a reuse and the one that it repeats
_OWN = {"execution_arn", "principal", "reading", "build", "reused"}


def manifest_pairs(case: Case) -> Pairs:
    """Return the pairs of parameter, record and both manifests; without reuse, that all agree."""
    recorded, claimed = case.record.prepare.reused, case.prepared.reused
    wanted = case.record.execution.parameters.get("CuratedFrom", NOTHING)
    named = execution_id(recorded.execution_arn) if recorded else NOTHING
    pairs: Pairs = [("examples used again, as asked for", wanted, named)]
    if recorded is None or claimed is None:
        return [*pairs, ("examples used again", recorded, claimed)]
    key = f"{case.context.folder(recorded.execution_arn)}/{case.prepare_manifest}"
    content = case.context.document(key)
    stored = case.context.evidence.get(key)
    pairs += [
        ("execution used again", recorded.execution_arn, claimed.execution_arn),
        ("its manifest, as named", recorded.manifest_sha256, claimed.manifest_sha256),
        ("its manifest, as stored", recorded.manifest_sha256, canonical.sha256(content)),
        ("its manifest was written once", (1, 0), stored and (stored.versions, stored.deletions)),
    ]
    if pairs[3][1] == pairs[3][2]:
        earlier = Prepared.from_bytes(content, origin=case.context.uri(key))
        mine = case.prepared.model_dump(exclude=_OWN)
        pairs += [
            ("its execution", recorded.execution_arn, earlier.execution_arn),
            ("examples of both", earlier.model_dump(exclude=_OWN), mine),
            ("it used none again itself", None, earlier.reused),
        ]
    return pairs


def with_earlier_job(case: Case, own: Comparison) -> Comparison:
    """Return the pairs of this execution's Prepare job and, if they agree, the earlier one's.

    Raises:
        Gone: SageMaker or EMR Serverless does not know the earlier one any more.
    """
    recorded, pairs = case.record.prepare.reused, [*own.pairs]
    if recorded is None:
        return own
    for more in (_definition_pairs, _job_pairs):
        if any(wanted != found for _, wanted, found in pairs):
            break
        try:
            pairs += more(case, recorded)
        except NotFound as error:
            raise Gone(
                f"the job of {execution_id(recorded.execution_arn)}, whose examples were used",
                f"it is not known any more; this execution's own job is as recorded: {error}",
                recorded.job_run_arn,
            ) from error
    return replace(own, pairs=pairs)


def _definition_pairs(case: Case, recorded: ReusedFacts) -> Pairs:
    execution = case.context.services.jobs.execution(recorded.execution_arn)
    digest = canonical.sha256(execution.definition.encode())
    pairs: Pairs = [("earlier definition", recorded.definition_sha256, digest)]
    if recorded.pipeline_version_id is not None:
        found = execution.described.get("PipelineVersionId")
        pairs.append(("earlier pipeline version", recorded.pipeline_version_id, found))
    return pairs


def _job_pairs(case: Case, recorded: ReusedFacts) -> Pairs:
    run = case.context.services.jobs.job_run(recorded.job_run_arn)
    submit = run.get("jobDriver", {}).get("sparkSubmit", {})
    words, entry_point = submit.get("entryPointArguments", []), submit.get("entryPoint")
    named = dict(zip(words[::2], words[1::2], strict=False)).get("--execution-arn")
    pairs: Pairs = [
        ("earlier job run", recorded.job_run_arn, run["arn"]),
        ("earlier job's state", "SUCCESS", run["state"]),
        ("earlier job's execution", recorded.execution_arn, named),
        ("earlier job's role", case.record.prepare.role_arn, run["executionRole"]),
        ("earlier job's release", recorded.release_label, run["releaseLabel"]),
        ("earlier job's entry point", recorded.entry_point, entry_point),
        ("entry point of both jobs", case.record.prepare.entry_point, entry_point),
    ]
    applied = run.get("imageConfiguration", {})
    if "resolvedImageDigest" in applied:
        digest = recorded.image.rpartition("@")[2]
        pairs.append(("earlier job's image", digest, applied["resolvedImageDigest"]))
    return pairs

"""The record as a CycloneDX ML-BOM: the model, its data, its base model and its images.

    project(evidence, "1.7")    # or "1.6"; the fields that we use are the same in both

cyclonedx-python-lib has no class for `modelCard`, `data` and `formulation`, so the document is made
here, and the library's JsonStrictValidator validates it in the tests (decision 019).
"""

from typing import Any, Literal

from steps.governance.documents import canonical
from steps.governance.openlineage.events import Step
from steps.trace.formats import public
from steps.trace.record_evidence import RecordEvidence

SpecVersion = Literal["1.6", "1.7"]
MODEL, BASE, RAW, CURATED = "model", "base-model", "raw-table", "curated-table"


def project(evidence: RecordEvidence, version: SpecVersion) -> bytes:
    """Return the BOM as JSON."""
    return public.rendered(bom(evidence, version))


def bom(evidence: RecordEvidence, version: SpecVersion) -> dict[str, Any]:
    """Return the BOM."""
    images = _images(evidence)
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{version}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": version,
        "serialNumber": f"urn:uuid:{public.document_id(evidence, 'cyclonedx')}",
        "version": 1,
        "metadata": {
            "timestamp": evidence.record.registered_at,
            "component": _model(evidence),
        },
        "components": [_base_model(evidence), *_tables(evidence), *images],
        "dependencies": [
            {"ref": MODEL, "dependsOn": [BASE, CURATED]},
            {"ref": CURATED, "dependsOn": [RAW]},
        ],
        "formulation": [{"bom-ref": "formulation", "workflows": [_workflow(evidence, images)]}],
    }


def _model(evidence: RecordEvidence) -> dict[str, Any]:
    record = evidence.record
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": record.model.name,
        "version": str(record.model.version),
        "hashes": [_sha256(record.artifact.sha256)],
        "pedigree": {"notes": f"A LoRA adapter of {record.base_model.name}: see {BASE}."},
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "text-generation",
                "datasets": [{"ref": CURATED}],
                "inputs": [{"format": "text"}],
                "outputs": [{"format": "text"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": _metrics(evidence)},
        },
        "properties": _properties(
            public.hyperparameters(evidence)
            | {
                "record_sha256": canonical.sha256(evidence.record_bytes),
                "fp8_requested": record.fp8.requested,
                "fp8_effective": record.fp8.effective,
                "dtype": record.fp8.dtype,
                "best_step": str(record.metrics.best_step),
                "train_tokens": str(record.metrics.train_tokens),
                "instance_type": record.train.instance_type,
            }
        ),
    }


def _metrics(evidence: RecordEvidence) -> list[dict[str, Any]]:
    """Losses in nats per target token of the held-out examples."""
    metrics = evidence.record.metrics
    values = {
        "eval loss before training (nats per target token)": metrics.eval_loss_before,
        "eval loss (nats per target token)": metrics.eval_loss,
    }
    return [
        {"type": name, "value": repr(value), "slice": "held-out companies"}
        for name, value in values.items()
    ]


def _base_model(evidence: RecordEvidence) -> dict[str, Any]:
    base = evidence.record.base_model
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": BASE,
        "name": base.name,
        "version": base.revision,
        "properties": _properties({"mirror_sha256": base.mirror_sha256}),
    }
    if "/" in base.name:  # an owner and a name, as on the hub
        found["purl"] = f"pkg:huggingface/{base.name}@{base.revision}"
    if base.licence is not None:
        found["licenses"] = [{"license": _licence(base.licence)}]
    return found


def _licence(spelled: str) -> dict[str, str]:
    """Return the SPDX identifier of a licence as the hub spells it, or its name."""
    from cyclonedx.spdx import fixup_id  # 0.1 s, and only where the base model names a licence

    identifier = fixup_id(spelled)
    return {"name": spelled} if identifier is None else {"id": identifier}


def _tables(evidence: RecordEvidence) -> list[dict[str, Any]]:
    """Both tables as data components; a Delta version is a pointer, so manifests give digests."""
    record, prepared = evidence.record, evidence.prepared
    counts = prepared.counts
    curated = {
        "manifest_sha256": record.prepare.manifest_sha256,
        "schema_sha256": prepared.schema_sha256,
        "template": prepared.template,
        "examples_train": str(counts.examples_train),
        "examples_eval": str(counts.examples_eval),
        "companies_train": str(counts.companies_train),
        "companies_eval": str(counts.companies_eval),
    }
    raw = {"filings_read": str(counts.filings_read), "filings_kept": str(counts.filings_kept)}
    if evidence.filings is not None:
        raw["filings_with_examples"] = str(evidence.filings.filings)
    if record.membership is not None:
        curated["membership_sha256"] = record.membership.sha256
    return [
        _dataset(RAW, (record.raw.table, record.raw.version), raw),
        _dataset(CURATED, (record.curated.table, record.curated.version), curated),
    ]


def _dataset(ref: str, table: tuple[str, int], facts: dict[str, str]) -> dict[str, Any]:
    name, version = table
    contents = {"properties": _properties(facts)}
    return {
        "type": "data",
        "bom-ref": ref,
        "name": name,
        "version": str(version),
        "data": [{"type": "dataset", "name": name, "contents": contents}],
    }


def _images(evidence: RecordEvidence) -> list[dict[str, Any]]:
    record = evidence.record
    images = {
        "prepare": (record.prepare.image, record.prepare.build),
        "train": (record.train.image, record.train.build),
        "register": (
            (record.register_.image, record.register_.build) if record.register_ else (None, None)
        ),
    }
    found = []
    for step, (reference, build) in images.items():
        if reference is None:
            continue
        name, digest = public.image(reference)
        facts = {"lock_sha256": build.lock_sha256, "clean": str(build.clean)} if build else {}
        if build is not None and build.git_commit is not None:
            facts["git_commit"] = build.git_commit
        image: dict[str, Any] = {"type": "container", "bom-ref": f"image-{step}", "name": name}
        if digest is not None:
            image |= {"version": f"sha256:{digest}", "hashes": [_sha256(digest)]}
        found.append(image | ({"properties": _properties(facts)} if facts else {}))
    return found


def _workflow(evidence: RecordEvidence, images: list[dict[str, Any]]) -> dict[str, Any]:
    record, arn = evidence.record, evidence.record.execution.arn
    prepare, register = Step(arn, "prepare"), Step(arn, "register")
    train = Step(arn, "train", evidence.trained.training_job)
    known = {image["bom-ref"] for image in images}
    built = _task(train, "build", ([CURATED, BASE], [MODEL]), known)
    built |= {"timeStart": record.train.started_at, "timeEnd": record.train.ended_at}
    return {
        "bom-ref": "workflow",
        "uid": prepare.execution_run_id,
        "name": "governed fine-tune",
        "taskTypes": ["build"],
        "timeStart": record.execution.started_at,
        "timeEnd": record.registered_at,
        "tasks": [
            _task(prepare, "other", ([RAW], [CURATED]), known),
            built,
            _task(register, "deliver", ([MODEL], [MODEL]), known),
        ],
    }


def _task(
    step: Step, kind: str, data: tuple[list[str], list[str]], images: set[str]
) -> dict[str, Any]:
    inputs, outputs = data
    image = f"image-{step.name}"
    task: dict[str, Any] = {
        "bom-ref": f"task-{step.name}",
        "uid": step.run_id,
        "name": step.name,
        "taskTypes": [kind],
        "inputs": [{"resource": {"ref": ref}} for ref in inputs],
        "outputs": [{"type": "artifact", "resource": {"ref": ref}} for ref in outputs],
    }
    return task | ({"resourceReferences": [{"ref": image}]} if image in images else {})


def _properties(facts: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": f"governed-finetune:{name}", "value": value} for name, value in facts.items()]


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}

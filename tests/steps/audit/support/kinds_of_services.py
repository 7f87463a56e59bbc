"""Kinds of tampering with jobs, registry, lineage and tables; and false signed claims."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from databricks.sdk.service import catalog as uc

from steps.governance.documents.record import WITHDRAWN_TAG
from tests.steps.audit.support.tampering import (
    Applied,
    Tamper,
    falsified,
    registered,
    service,
    tagged,
)
from tests.steps.audit.support.world import Entry, World
from tests.steps.register.support.register_environment import CURATED, RAW


def _reused(member: str) -> Callable[[World, Entry], Applied]:
    source = {"SourcePipelineExecutionArn": "arn:aws:sagemaker:x:1:pipeline/p/execution/other"}
    return service("steps", lambda steps: [steps[0], steps[1] | {member: source}, *steps[2:]])


def _with_a_closed_gate(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    closed = {"Metadata": {"Condition": {"Outcome": "False"}}}
    return [step | (closed if step["StepName"] == "Gate" else {}) for step in steps]


_JOB = "training-job.fields"
_RUN = "prepare-job.fields"
_JOBS = [
    Tamper(f"training job: {name}", _JOB, service(f"training_job.{path}", value))
    for name, path, value in (
        ("image", "AlgorithmSpecification.TrainingImage", "registry/other@sha256:" + "e" * 64),
        ("role", "RoleArn", "arn:aws:iam::000000000000:role/admin"),
        ("instance type", "ResourceConfig.InstanceType", "ml.p5.48xlarge"),
        ("instance count", "ResourceConfig.InstanceCount", 9),
        ("seed", "HyperParameters.seed", "18"),
        ("status", "TrainingJobStatus", "Stopped"),
        ("start", "TrainingStartTime", 1795323000.0),
        ("end", "TrainingEndTime", 1795329000.0),
        ("archive", "ModelArtifacts.S3ModelArtifacts", "s3://gf-artifacts/other"),
        ("billed seconds", "BillableTimeInSeconds", 1),
        (
            "loss",
            "FinalMetricDataList",
            [{"MetricName": "eval:loss", "Value": 1.0, "Timestamp": 1795323700.0}],
        ),
    )
] + [
    Tamper(f"job run: {name}", _RUN, service(f"prepare_job.{path}", value))
    for name, path, value in (
        ("role", "executionRole", "arn:aws:iam::000000000000:role/admin"),
        ("release", "releaseLabel", "emr-7.0.0"),
        ("state", "state", "FAILED"),
        ("entry point", "jobDriver.sparkSubmit.entryPoint", "s3://elsewhere/main.py"),
        ("billed seconds", "totalExecutionDurationSeconds", 1),
        ("image", "imageConfiguration.resolvedImageDigest", "sha256:" + "0" * 64),
    )
]
_EXECUTION = [
    Tamper(
        "definition: replaced",
        "definition.digest",
        service("definition", lambda text: text.replace("2.5", "9.5")),
    ),
    Tamper(
        "definition: one blank more", "definition.digest", service("definition", lambda t: t + " ")
    ),
    Tamper(
        "parameter: changed", "execution.parameters", service("parameters.ModelAlias", "champion")
    ),
    Tamper("parameter: added", "execution.parameters", service("parameters.Epochs", "9")),
    Tamper(
        "who started it",
        "execution.identity",
        service("created_by", {"IamIdentity": {"Arn": "arn:aws:iam::1:user/somebody"}}),
    ),
    *(
        Tamper(f"a step of another execution: {member}", "execution.identity", _reused(member))
        for member in ("SelectiveExecutionResult", "CacheHitResult")
    ),
    Tamper("a gate that did not hold", "execution.identity", service("steps", _with_a_closed_gate)),
    Tamper(
        "pipeline of the execution",
        "execution.identity",
        service("pipeline_arn", "arn:aws:sagemaker:us-east-1:000000000000:pipeline/other"),
    ),
]
_FALSE = [
    Tamper(f"false claim: {path}", code, falsified(**{path: value}))
    for path, code, value in (
        ("key", "record.document", "0" * 64),
        ("execution__pipeline_arn", "record.document", "arn:aws:sagemaker:x:1:pipeline/other"),
        ("data__manifest_sha256", "manifest.chain", "0" * 64),
        ("data__version", "manifest.chain", 99),
        ("prepare__manifest_sha256", "prepare.manifest", "0" * 64),
        ("raw__version", "prepare.manifest", 99),
        ("train__manifest_sha256", "train.manifest", "0" * 64),
        ("metrics__eval_loss_before", "train.manifest", 1.0),
        ("fp8__effective", "train.manifest", "compute"),
        ("base_model__licence", "train.manifest", "apache-2.0"),
        ("train__image", _JOB, "registry/train@sha256:" + "0" * 64),
        ("train__billed__seconds", _JOB, 1),
        ("prepare__release_label", _RUN, "emr-7.0.0"),
        ("prepare__billed__seconds", _RUN, 1),
        ("execution__definition_sha256", "definition.digest", "0" * 64),
        ("execution__started_at", "execution.identity", "2026-11-22T06:00:00Z"),
        ("execution__parameters__Epochs", "execution.parameters", "9"),
        ("execution__started_by__arn", "execution.identity", "arn:aws:iam::1:user/somebody"),
        ("artifact__version_id", "version.source", "another"),
        ("model__source", "version.source", "s3://elsewhere/model.tar.gz"),
        ("ledger__sha256", "ledger.entry", "f" * 64),
        ("raw__table_id", "tables", "another"),
        ("curated__location", "tables", "s3://gf-governed/elsewhere"),
        ("membership__sha256", "membership.digest", "0" * 64),
        ("base_model__mirror_sha256", "base-model.mirror", "0" * 64),
        ("lineage__nodes", "lineage.nodes", ["job:ft_" + "0" * 24, "job:ft_" + "1" * 24]),
        ("lineage__edges", "lineage.edges", []),
    )
]


def _end(label: str) -> uc.ExternalLineageObject:
    kind, name = label.split(":", 1)
    if kind == "table":
        return uc.ExternalLineageObject(table=uc.ExternalLineageTable(name=name))
    if kind == "job":
        return uc.ExternalLineageObject(
            external_metadata=uc.ExternalLineageExternalMetadata(name=name)
        )
    model, version = name.split("/")
    return uc.ExternalLineageObject(
        model_version=uc.ExternalLineageModelVersion(name=model, version=version)
    )


def _edge_removed(number: int) -> Callable[[World, Entry], Applied]:
    @contextmanager
    def apply(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
        source, target = entry.record.lineage.edges[number]
        lineage = world.environment.admin().external_lineage
        lineage.delete_external_lineage_relationship(
            uc.DeleteRequestExternalLineage(source=_end(source), target=_end(target))
        )
        try:
            yield {}
        finally:
            _draw(world, source, target)

    return apply


def _edge_added(source: str, target: str) -> Callable[[World, Entry], Applied]:
    @contextmanager
    def apply(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
        nodes, model = entry.record.lineage.nodes, entry.record.model
        names = {
            "prepare": nodes[0],
            "train": nodes[1],
            "version": f"model_version:{model.name}/{model.version}",
            "raw": f"table:{RAW}",
            "curated": f"table:{CURATED}",
        }
        ends = (names[source], names[target])
        _draw(world, *ends)
        try:
            yield {}
        finally:
            world.environment.admin().external_lineage.delete_external_lineage_relationship(
                uc.DeleteRequestExternalLineage(source=_end(ends[0]), target=_end(ends[1]))
            )

    return apply


def _draw(world: World, source: str, target: str) -> None:
    world.environment.admin().external_lineage.create_external_lineage_relationship(
        uc.CreateRequestExternalLineage(source=_end(source), target=_end(target))
    )


def _node_changed(number: int, **properties: str) -> Callable[[World, Entry], Applied]:
    @contextmanager
    def apply(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
        name = entry.record.lineage.nodes[number].removeprefix("job:")
        path = f"/api/2.0/lineage-tracking/external-metadata/{name}"
        client = world.environment.admin().api_client
        before = client.do("GET", path)["properties"]
        query = {"update_mask": "properties"}
        client.do("PATCH", path, query=query, body={"properties": before | properties})
        try:
            yield {}
        finally:
            client.do("PATCH", path, query=query, body={"properties": before})

    return apply


_LINEAGE = [
    Tamper(f"lineage: edge {number + 1} removed", "lineage.edges", _edge_removed(number))
    for number in range(4)
] + [
    Tamper("lineage: another source of Train", "lineage.edges", _edge_added("raw", "train")),
    Tamper(
        "lineage: another source of Prepare", "lineage.edges", _edge_added("curated", "prepare")
    ),
    Tamper(
        "lineage: another source of the version", "lineage.edges", _edge_added("prepare", "version")
    ),
    Tamper(
        "lineage: digest of Prepare", "lineage.nodes", _node_changed(0, manifest_sha256="0" * 64)
    ),
    Tamper("lineage: version of the data", "lineage.nodes", _node_changed(1, curated_version="99")),
    Tamper("lineage: execution", "lineage.nodes", _node_changed(1, execution_id="another")),
]
_TAGS = [
    Tamper(f"tag: {key}", "version.tags", tagged(key, "another"))
    for key in (
        "key",
        "execution_arn",
        "artifact_sha256",
        "manifest_sha256",
        "base_model",
        "fp8_effective",
        "eval_loss",
        "curated_version",
        "record_sha256",
        "file_1",
    )
] + [
    Tamper("tag: withdrawn added", "version.tags", tagged(WITHDRAWN_TAG, "taken back")),
    Tamper("tag: ledger entry", "ledger.published", tagged("ledger_entry", "99:" + "0" * 64)),
]


@contextmanager
def _version_deleted(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
    from tests.steps.audit.support.history import Options, register

    name = "edgar.models.deleted"
    world.new_model(name)
    made = register(world, name, Options())
    kept = register(world, name, Options())  # with the alias
    world.uc("DELETE", f"models/{name}/versions/{made.record.model.version}")
    yield {"target": kept.target}


@contextmanager
def _version_made_by_hand(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
    model = entry.record.model.name
    made = world.registry("model-versions/create", {"name": model, "source": "s3://elsewhere/x"})
    number = made["model_version"]["version"]
    world.uc("PATCH", f"models/{model}/versions/{number}/finalize")
    try:
        yield {}
    finally:
        world.uc("DELETE", f"models/{model}/versions/{number}")


def _alias_moved(alias: str, version: int | None) -> Callable[[World, Entry], Applied]:
    @contextmanager
    def apply(world: World, entry: Entry) -> Iterator[dict[str, Any]]:
        model = entry.record.model.name
        before = world.aliases(model).get(alias)
        if version is None:
            world.unset_alias(model, alias)
        else:
            world.set_alias(model, alias, version)
        try:
            yield {}
        finally:
            if before is None:
                world.unset_alias(model, alias)
            else:
                world.set_alias(model, alias, before)

    return apply


_CHAINED = [
    Tamper("table: another one of this name", "tables", registered(other_table=True)),
    Tamper("data: of another Prepare", "manifest.chain", registered(other_prepare=True)),
]
_VERSIONS = [
    Tamper("version: deleted", "versions.recorded", _version_deleted),
    Tamper("version: made by hand", "versions.recorded", _version_made_by_hand),
    Tamper("alias: moved back", "version.alias", _alias_moved("challenger", 1)),
    Tamper("alias: removed", "version.alias", _alias_moved("challenger", None)),
    Tamper("alias: approved one moved", "alias.approval", _alias_moved("champion", 3)),
    Tamper("alias: approved one removed", "alias.approval", _alias_moved("champion", None)),
    Tamper("alias: without an approval", "alias.approval", _alias_moved("production", 1)),
]
SERVICES: list[Tamper] = [*_JOBS, *_EXECUTION, *_FALSE, *_LINEAGE, *_TAGS, *_CHAINED, *_VERSIONS]

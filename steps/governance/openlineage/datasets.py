"""OpenLineage datasets of tables, archives and model versions.

    raw = table(prepared.source)
    curated(prepared)       # with schema and column lineage

A table is named by its place, as OpenLineage names files in S3 (namespace `s3://<bucket>`, name
`<key>`), and has its Unity Catalog name as a symlink. Receivers join datasets by these names.
"""

from typing import Any

from steps.governance.curated_columns import CURATED, SCHEMA_SHA256, Column
from steps.governance.documents.manifest import Prepared, TableVersion
from steps.governance.openlineage.events import Step, facet

CATALOG = "unity-catalog"  # the namespace of Unity Catalog's names


def table(at: TableVersion) -> dict[str, Any]:
    """Return a table at its Delta version."""
    return {
        **_place(at.location),
        "facets": _version(str(at.version)) | _symlink(at.table, "TABLE"),
    }


def curated(prepared: Prepared) -> dict[str, Any]:
    """Return the curated table; its columns are there if they are those that we know."""
    dataset = table(prepared.target)
    if prepared.schema_sha256 != SCHEMA_SHA256:
        return dataset
    raw = _place(prepared.source.location)
    described = facet(
        "schema",
        fields=[
            {"name": column.name, "type": column.type, "description": column.meaning}
            for column in CURATED
        ],
    )
    lineage = facet(
        "columnLineage",
        fields={
            column.name: {"inputFields": _inputs(raw, column)}
            for column in CURATED
            if column.always_from
        },
    )
    return dataset | {"facets": dataset["facets"] | described | lineage}


def base_model(name: str, revision: str) -> dict[str, Any]:
    """Return the base model at one revision, as its mirror names it."""
    return {"namespace": "base-models", "name": name, "facets": _version(revision)}


def archive(step: Step, uri: str | None = None) -> dict[str, Any]:
    """Return the training job's model archive; its place is known only after the job."""
    dataset = {"namespace": step.namespace, "name": f"training-job/{step.job}/model.tar.gz"}
    if uri is None:
        return dataset
    place = _place(uri)
    identifiers = [{**place, "type": "FILE"}]
    return dataset | {"facets": facet("symlinks", identifiers=identifiers)}


def model_version(name: str, version: int) -> dict[str, Any]:
    """Return a registered model at one version."""
    return {"namespace": CATALOG, "name": f"models/{name}", "facets": _version(str(version))}


def _inputs(raw: dict[str, str], column: Column) -> list[dict[str, Any]]:
    kind = {"type": "DIRECT", "subtype": "TRANSFORMATION"}
    return [{**raw, "field": name, "transformations": [kind]} for name in column.always_from]


def _place(uri: str) -> dict[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return {"namespace": f"s3://{bucket}", "name": key.rstrip("/") or "/"}


def _version(version: str) -> dict[str, Any]:
    return facet("version", datasetVersion=version)


def _symlink(name: str, kind: str) -> dict[str, Any]:
    identifiers = [{"namespace": CATALOG, "name": name, "type": kind}]
    return facet("symlinks", identifiers=identifiers)

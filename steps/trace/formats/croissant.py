"""The curated table of a record as a Croissant 1.1 dataset, with the responsible-AI fields.

Files are named by their paths in the table, with size and sha256; where the table is stored is not
public. Columns are there if the manifest's schema digest is that of the columns that we know.

Sources: http://mlcommons.org/croissant/1.1, http://mlcommons.org/croissant/RAI/1.0.
"""

from typing import Any

from steps.governance.curated_columns import CURATED, SCHEMA_SHA256
from steps.trace.formats import public
from steps.trace.record_evidence import RecordEvidence

_TYPES = {"string": "sc:Text", "int": "sc:Integer"}
# IANA registered application/vnd.apache.parquet in 2024; mlcroissant 1.1.1 reads only this one.
_PARQUET = "application/x-parquet"
_CR = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field"),
    *("fileProperty", "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset"),
    *("jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex"),
    *("repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
    **{name: f"cr:{name}" for name in _CR},
}


def project(evidence: RecordEvidence) -> bytes:
    """Return the dataset as JSON-LD."""
    return public.rendered(dataset(evidence))


def dataset(evidence: RecordEvidence) -> dict[str, Any]:
    """Return the JSON-LD document."""
    prepared = evidence.prepared
    table, source = prepared.target, prepared.source
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": table.table,
        "description": (
            f"The rows that one pipeline execution added to {table.table} in Delta version "
            f"{table.version}, made from {source.table} at Delta version {source.version}."
        ),
        "version": f"{table.version}.0.0",
        "dateCreated": prepared.created_at,
        "isLiveDataset": False,
        "distribution": _distribution(evidence),
        "recordSet": _records(evidence),
        **_responsible(evidence),
    }


def _distribution(evidence: RecordEvidence) -> list[dict[str, Any]]:
    files = [
        {
            "@type": "cr:FileObject",
            "@id": file.path,
            "name": file.path,
            "contentUrl": file.path,
            "contentSize": f"{file.size} B",
            "encodingFormat": _PARQUET,
            "sha256": file.sha256,
        }
        for file in evidence.prepared.files
    ]
    partition = evidence.prepared.target.partition
    rows = {
        "@type": "cr:FileSet",
        "@id": "rows",
        "name": "rows",
        "encodingFormat": _PARQUET,
        "includes": f"{partition}/*.parquet" if partition else "*.parquet",
    }
    return [*files, rows]


def _records(evidence: RecordEvidence) -> list[dict[str, Any]]:
    if evidence.prepared.schema_sha256 != SCHEMA_SHA256:
        return []
    partition = (evidence.prepared.target.partition or "").partition("=")[0]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"examples/{column.name}",
            "name": f"examples/{column.name}",
            "description": column.meaning,
            "dataType": _TYPES[column.type],
            "source": {"fileSet": {"@id": "rows"}, "extract": {"column": column.name}},
        }
        for column in CURATED
        if column.name != partition  # Delta keeps it in its log, not in the files
    ]
    return [{"@type": "cr:RecordSet", "@id": "examples", "name": "examples", "field": fields}]


def _responsible(evidence: RecordEvidence) -> dict[str, Any]:
    """The responsible-AI fields that the record knows; the others are left out."""
    prepared, model = evidence.prepared, evidence.record.model
    counts = prepared.counts
    reasons = ", ".join(f"{name} {number}" for name, number in counts.rejected_by_reason.items())
    found: dict[str, Any] = {
        "rai:dataCollectionRawData": (
            f"{prepared.source.table} at Delta version {prepared.source.version}: "
            f"{counts.filings_read} filings read."
        ),
        "rai:dataPreprocessingProtocol": [
            f"Template {prepared.template}.",
            f"{counts.filings_kept} filings kept, {counts.filings_rejected} rejected; "
            f"{counts.examples_rejected} examples rejected"
            + (f" (reasons: {reasons})." if reasons else "."),
            (
                f"Split by company: {counts.companies_train} companies with "
                f"{counts.examples_train} examples for training, {counts.companies_eval} with "
                f"{counts.examples_eval} for evaluation."
            ),
        ],
        "rai:dataUseCases": [
            (
                f"Training and evaluation of {model.name} version {model.version} "
                f"(base model {evidence.record.base_model.name})."
            )
        ],
    }
    if counts.ignored_fields:
        ignored = ", ".join(f"{name}: {number}" for name, number in counts.ignored_fields.items())
        found["rai:dataCollectionMissingData"] = f"Fields that could not be used: {ignored}."
    return found

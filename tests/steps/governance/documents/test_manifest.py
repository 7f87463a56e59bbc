"""Equal manifests have equal bytes, and an incomplete manifest is refused."""

import json
from typing import Any

import pytest

from steps.governance.documents.manifest import Prepared
from steps.governance.errors import IntegrityError

DIGEST = "0" * 64
DOCUMENT: dict[str, Any] = {
    "schema": "governed-finetune/prepared/1",
    "execution_arn": "arn:aws:sagemaker:us-east-1:000000000000:pipeline/p/execution/abcdef012345",
    "created_at": "2026-11-22T05:00:00Z",
    "principal": "app-1",
    "source": {
        "table": "edgar.raw.filings",
        "table_id": "1",
        "location": "s3://g/raw",
        "version": 0,
    },
    "target": {
        "table": "edgar.curated.examples",
        "table_id": "2",
        "location": "s3://g/curated",
        "version": 3,
        "partition": "execution_id=abcdef012345",
    },
    "rejected": {"table": "edgar.curated.examples_rejected", "version": 3},
    "files": [
        {"path": "execution_id=abcdef012345/a.parquet", "size": 10, "sha256": DIGEST, "rows": 2}
    ],
    "schema_sha256": DIGEST,
    "template": "risk-factor-heading/1",
    "counts": {
        "filings_read": 2,
        "filings_kept": 1,
        "filings_rejected": 1,
        "examples_train": 1,
        "examples_eval": 1,
        "examples_rejected": 0,
        "companies_train": 1,
        "companies_eval": 1,
        "rejected_by_reason": {"no_risk_factors": 1},
    },
}


def parse(document: Any) -> Prepared:
    return Prepared.from_bytes(json.dumps(document).encode(), origin="s3://e/manifest.json")


def test_bytes_survive_a_round_trip_in_any_key_order() -> None:
    manifest = parse(DOCUMENT)
    assert json.loads(manifest.to_bytes()) == DOCUMENT
    shuffled = parse(dict(reversed(DOCUMENT.items())))
    assert shuffled.to_bytes() == manifest.to_bytes()
    assert shuffled.sha256 == manifest.sha256


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema": "governed-finetune/prepared/9"}, "schema"),
        ({"files": [{"path": "a", "size": -1, "sha256": DIGEST}]}, "files.0.size"),
        ({"files": [{"path": "a", "size": 1, "sha256": "short"}]}, "files.0.sha256"),
        ({"extra": 1}, "extra"),
        ({"principal": None}, "principal"),
        ({"counts": {}}, "counts.filings_read"),
        ({"source": {**DOCUMENT["source"], "version": "0"}}, "source.version"),
    ],
)
def test_a_document_that_differs_from_the_schema_is_refused_by_field(
    change: dict[str, Any], named: str
) -> None:
    with pytest.raises(
        IntegrityError, match=f"s3://e/manifest.json cannot be trusted(.|\n)*{named}"
    ):
        parse(DOCUMENT | change)


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"{", b"\xff"])
def test_bytes_that_are_no_document_are_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError):
        Prepared.from_bytes(content, origin="s3://e/manifest.json")

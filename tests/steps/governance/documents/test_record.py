"""The run's record: canonical, complete, immutable in form, and keyed by content."""

import json

import pytest
from pydantic import ValidationError

from steps.governance.documents.record import Record, effect_key
from steps.governance.errors import IntegrityError

DIGEST = "ab" * 32
TABLE = {"table": "a.b.c", "table_id": "id", "location": "s3://x/y", "version": 0}
DOCUMENT = {
    "schema": "governed-finetune/registered/1",
    "key": DIGEST,
    "registered_at": "2026-11-22T05:00:00Z",
    "principals": {
        "databricks": "application-id", "aws": "arn:aws:sts::000000000000:assumed-role/register/1",
    },
    "execution": {
        "arn": "arn", "pipeline_arn": "arn", "definition_sha256": DIGEST,
        "started_at": "2026-11-22T05:00:00Z", "parameters": {"Seed": "17"},
    },
    "prepare": {
        "job_run_arn": "arn", "role_arn": "arn", "entry_point": "s3://x",
        "release_label": "emr-spark-8.0.0", "manifest_sha256": DIGEST,
    },
    "raw": TABLE,
    "curated": TABLE | {"partition": "execution_id=1"},
    "train": {
        "job_arn": "arn", "role_arn": "arn", "image": "image@sha256",
        "instance_type": "ml.g5.16xlarge",
        "instance_count": 1, "started_at": "t", "ended_at": "t", "hyperparameters": {"seed": "17"},
        "manifest_sha256": DIGEST,
    },
    "data": {
        "table": "a.b.c", "table_id": "id", "version": 0, "manifest_sha256": DIGEST,
        "examples_train": 1, "examples_eval": 1,
    },
    "base_model": {"name": "m", "revision": "0" * 40, "mirror_sha256": DIGEST},
    "fp8": {"requested": "auto", "effective": "storage", "dtype": "bfloat16", "device": "cpu"},
    "metrics": {
        "eval_loss_before": 7.5, "eval_loss": 2.25, "eval_tokens": 1, "train_tokens": 1, "steps": 1,
        "best_step": 1, "stopped_early": False, "resumed_from": [],
    },
    "artifact": {
        "uri": "s3://x/model.tar.gz", "version_id": "v", "size": 1, "sha256": DIGEST,
        "files": [{"path": "README.md", "size": 1, "sha256": DIGEST}],
    },
    "model": {
        "name": "a.b.m", "version": 1, "source": "s3://x/model.tar.gz?versionId=v",
        "alias": "challenger",
    },
    "lineage": {"nodes": ["job:ft_1"], "edges": [["table:a.b.c", "job:ft_1"]]},
}  # fmt: skip


def test_a_record_read_back_has_the_same_bytes() -> None:
    record = Record.from_bytes(json.dumps(DOCUMENT).encode(), origin="test")
    again = Record.from_bytes(record.to_bytes(), origin="test")
    assert again == record
    assert again.to_bytes() == record.to_bytes()
    assert json.loads(record.to_bytes()) == DOCUMENT


@pytest.mark.parametrize("part", [name for name in DOCUMENT if name != "schema"])
def test_a_record_without_one_of_its_parts_is_refused(part: str) -> None:
    with pytest.raises(IntegrityError, match="a complete Record manifest"):
        Record.from_bytes(
            json.dumps({k: v for k, v in DOCUMENT.items() if k != part}).encode(), origin="test"
        )


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(IntegrityError):
        Record.from_bytes(json.dumps(DOCUMENT | {"note": "x"}).encode(), origin="test")


def test_a_record_cannot_be_changed() -> None:
    record = Record.from_bytes(json.dumps(DOCUMENT).encode(), origin="test")
    with pytest.raises(ValidationError, match="frozen"):
        record.key = "cd" * 32


def test_the_key_depends_on_execution_step_and_content_and_on_nothing_else() -> None:
    keys = {
        effect_key(arn, step, digest)
        for arn in ("a", "b")
        for step in ("c", "d")
        for digest in ("e", "f")
    }
    assert len(keys) == 8
    assert effect_key("a", "c", "e") == effect_key("a", "c", "e")
    # SageMaker takes 32 to 128 characters as a request token
    assert all(len(key) == 64 for key in keys)

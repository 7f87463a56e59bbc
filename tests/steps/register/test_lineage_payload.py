"""What everybody may read of the two jobs: enough to find the evidence, and no text."""

from typing import Any

import pytest
from databricks.sdk.service import catalog as uc

from pipeline.local.workspace.lineage import limits
from steps.governance.unity_catalog import column_lineage
from steps.register import lineage_chain
from steps.register.worker import Fate, Worker
from tests.steps.register.support import executions
from tests.steps.register.support.deliveries import deliver

pytestmark = pytest.mark.environment


@pytest.fixture
def jobs(worker: Worker, execution: executions.Execution) -> list[uc.ExternalMetadata]:
    """The prepare job and the training job of a registered execution, as anybody sees them."""
    execution.send()
    assert deliver(worker) is Fate.DELETE
    names = [
        node.removeprefix("job:") for node in execution.evidence("record.json")["lineage"]["nodes"]
    ]
    metadata = execution.environment.admin().external_metadata
    return [metadata.get_external_metadata(name) for name in names]


def test_the_jobs_hold_what_reconstruction_needs(
    execution: executions.Execution, jobs: list[uc.ExternalMetadata]
) -> None:
    prepare, train = jobs
    assert prepare.properties == {
        "execution_id": execution.id,
        "job_id": execution.state["prepare_job"]["jobRunId"],
        "principal": "prepare",
        "started_at": "2026-11-22T04:58:20Z",
        "ended_at": "2026-11-22T04:59:21Z",
        "git_commit": "a" * 40,
        "image_digest": "sha256:" + "ab" * 32,
        "manifest_sha256": execution.prepared.sha256,
        "raw_version": "0",
        "curated_version": "3",
    }
    assert train.properties == {
        "execution_id": execution.id,
        "job_id": execution.trained.training_job,
        "principal": "train",
        "started_at": "2026-11-22T05:00:00Z",
        "ended_at": "2026-11-22T05:01:40Z",
        "git_commit": "c" * 40,
        "instance_type": "ml.g5.16xlarge",
        "tuning_method": "lora",
        "fp8_mode": "storage",
        "manifest_sha256": execution.trained.sha256,
        "prepare_manifest_sha256": execution.prepared.sha256,
        "base_model_mirror_sha256": execution.trained.base_model.mirror_sha256,
        "curated_version": "3",
    }


def test_the_edges_to_tables_relate_columns(
    execution: executions.Execution, jobs: list[uc.ExternalMetadata]
) -> None:
    prepare, train = (job.name for job in jobs)
    assert columns(execution, prepare, "UPSTREAM") == set(column_lineage.from_raw([]))
    assert columns(execution, prepare, "DOWNSTREAM") == {
        (name, name) for name in column_lineage.MADE
    }
    assert columns(execution, train, "UPSTREAM") == {
        (name, name) for name in column_lineage.TRAINED_ON
    }
    assert columns(execution, train, "DOWNSTREAM") == set()


def columns(execution: executions.Execution, name: str, way: str) -> set[tuple[Any, Any]]:
    end = uc.ExternalLineageObject(external_metadata=uc.ExternalLineageExternalMetadata(name))
    lineage = execution.environment.admin().external_lineage
    (edge,) = lineage.list_external_lineage_relationships(end, uc.LineageDirection(way))
    return {(pair.source, pair.target) for pair in edge.external_lineage_info.columns or []}


def test_the_payload_is_far_below_the_limits_and_the_same_for_each_delivery(
    worker: Worker, execution: executions.Execution
) -> None:
    facts = worker.services.facts.read(execution.arn)
    for job in lineage_chain.nodes(facts):
        limits.check_properties(dict(job.properties))
        limits.check_columns(list(job.columns))
        assert len(job.properties) <= limits.MOST_PROPERTIES // 2
        assert max(map(len, job.properties.values())) <= 100
    assert lineage_chain.nodes(facts) == lineage_chain.nodes(
        worker.services.facts.read(execution.arn)
    )

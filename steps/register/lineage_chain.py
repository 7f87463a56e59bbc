"""This execution's lineage: raw table → prepare job → curated table → training job → model version.

The two jobs are external-metadata objects, named by the sha256 of their ARN. Every account user can
read them, so they hold only digests, versions and the execution's id.
"""

import itertools
from collections.abc import Callable

from steps.governance.lineage import Job, Lineage, job, label, model_version, table
from steps.governance.names import UcName, execution_id, metadata_name
from steps.governance.record import LineageFacts
from steps.register.facts import Facts


def draw(
    lineage: Lineage, facts: Facts, *, model: UcName, version: int, guard: Callable[[], None]
) -> LineageFacts:
    """Create both nodes and all four edges where they are missing, and return them.

    Raises:
        AccessDenied: the principal lacks the privilege for a node or an edge.
    """
    prepare, train = nodes(facts)
    for node in (prepare, train):
        guard()
        lineage.ensure_node(node)
    path = [
        table(UcName.parse(facts.prepared.source.table)),
        job(prepare.name),
        table(UcName.parse(facts.prepared.target.table)),
        job(train.name),
        model_version(model, version),
    ]
    edges = list(itertools.pairwise(path))
    for source, target in edges:
        guard()
        lineage.ensure_edge(source, target)
    return LineageFacts(
        nodes=[label(job(node.name)) for node in (prepare, train)],
        edges=[(label(source), label(target)) for source, target in edges],
    )


def nodes(facts: Facts) -> tuple[Job, Job]:
    """Return the prepare job and the training job of an execution."""
    run = {"execution_id": execution_id(facts.execution.arn)}
    return (
        Job(
            metadata_name(facts.prepare_job["arn"]),
            "EMR Serverless job run",
            run
            | {
                "manifest_sha256": facts.prepared_sha256,
                "raw_version": str(facts.prepared.source.version),
            },
        ),
        Job(
            metadata_name(facts.training_job["TrainingJobArn"]),
            "SageMaker training job",
            run
            | {
                "manifest_sha256": facts.trained_sha256,
                "curated_version": str(facts.prepared.target.version),
            },
        ),
    )

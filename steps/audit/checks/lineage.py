"""Checks of one record's lineage in Unity Catalog: its two nodes and its four edges."""

import itertools

from steps.audit.case import Case
from steps.audit.findings import Comparison
from steps.governance.names import execution_id, metadata_name
from steps.governance.unity_catalog.lineage import Edge


def lineage_nodes(case: Case) -> Comparison:
    """Both jobs' objects exist, are named by their ARNs and have the recorded digests."""
    record, registry = case.record, case.context.services.registry
    prepare, train = (
        metadata_name(record.prepare.job_run_arn),
        metadata_name(record.train.job_arn),
    )
    pairs: list[tuple[str, object, object]] = [
        ("nodes", sorted([f"job:{prepare}", f"job:{train}"]), sorted(record.lineage.nodes))
    ]
    for name, kind, facts in (
        (
            prepare,
            "EMR Serverless job run",
            {
                "manifest_sha256": record.prepare.manifest_sha256,
                "raw_version": str(record.raw.version),
            },
        ),
        (
            train,
            "SageMaker training job",
            {
                "manifest_sha256": record.train.manifest_sha256,
                "curated_version": str(record.curated.version),
            },
        ),
    ):
        node = registry.node(name)
        facts["execution_id"] = execution_id(record.execution.arn)
        pairs.append((f"kind of {name}", kind, node.entity_type))
        pairs += [
            (f"{each} of {name}", value, node.properties.get(each)) for each, value in facts.items()
        ]
    return Comparison(", ".join(record.lineage.nodes), pairs, summary="2 nodes")


def lineage_edges(case: Case) -> Comparison:
    """The chain raw → Prepare → curated → Train → version is complete, and nothing else enters it.

    Other executions also write the curated table, so only this record's edge to it is required
    there.
    """
    record, registry = case.record, case.context.services.registry
    model = record.model
    prepare, train = (
        metadata_name(record.prepare.job_run_arn),
        metadata_name(record.train.job_arn),
    )
    raw, curated = f"table:{record.raw.table}", f"table:{record.curated.table}"
    version = f"model_version:{model.name}/{model.version}"
    chain = [raw, f"job:{prepare}", curated, f"job:{train}", version]
    expected = [Edge(source, target) for source, target in itertools.pairwise(chain)]
    found = {
        "into Prepare": registry.upstream("job", prepare),
        "into Train": registry.upstream("job", train),
        "into the version": registry.upstream("model_version", model.name, model.version),
    }
    own = Edge(f"job:{prepare}", curated)
    into_curated = [
        edge for edge in registry.upstream("table", record.curated.table) if edge == own
    ]
    return Comparison(
        " → ".join(chain),
        [
            ("recorded", [_text(edge) for edge in expected], _recorded(case)),
            *(
                (what, [_text(edge)], sorted({_text(each) for each in found[what]}))
                for what, edge in zip(found, (expected[0], expected[2], expected[3]), strict=True)
            ),
            ("into the curated table", True, bool(into_curated)),
        ],
        summary="4 edges",
    )


def _recorded(case: Case) -> list[str]:
    return [f"{source} → {target}" for source, target in case.record.lineage.edges]


def _text(edge: Edge) -> str:
    return f"{edge.source} → {edge.target}"

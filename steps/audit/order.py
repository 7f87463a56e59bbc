"""All checks in their order. A document is checked before what is compared with it.

The order is that of trust: signatures, the ledger, the documents they cover, the services, the
files. `quick` leaves out the checks that read whole files.
"""

from steps.audit.case import Case
from steps.audit.check import Check
from steps.audit.checks import (
    aliases,
    chain,
    documents,
    files,
    lineage,
    model_signature,
    packages,
    services,
    version,
    whole,
)
from steps.audit.context import Context

LEDGER: tuple[Check[Context], ...] = (
    Check("bucket.lock", whole.bucket_lock),
    Check("ledger.signature", chain.ledger_signature),
    Check("ledger.chain", chain.ledger_chain),
    Check("ledger.documents", chain.ledger_documents),
)
RECORD: tuple[Check[Case], ...] = (
    Check("record.document", documents.record_document),
    Check("record.signature", documents.record_signature),
    Check("record.statement", documents.record_statement),
    Check("ledger.entry", chain.ledger_entry),
    Check("ledger.published", chain.ledger_published),
    Check("model.signature", model_signature.model_signature),
    Check("evidence.versions", documents.evidence_versions),
    Check("prepare.manifest", documents.prepare_manifest),
    Check("train.manifest", documents.train_manifest),
    Check("manifest.chain", documents.manifest_chain),
    Check("membership.digest", documents.membership_digest),
    Check("artifact.pin", documents.artifact_pin),
    Check("definition.digest", services.definition_digest),
    Check("execution.identity", services.execution_identity),
    Check("execution.parameters", services.execution_parameters),
    Check("prepare-job.fields", services.prepare_job),
    Check("training-job.fields", services.training_job),
    Check("version.source", services.version_source),
    Check("version.tags", services.version_tags),
    Check("tables", services.tables),
    Check("lineage.nodes", lineage.lineage_nodes),
    Check("lineage.edges", lineage.lineage_edges),
    Check("grants.now", services.grants_now),
    Check("base-model.mirror", files.base_model_mirror),
    Check("base-model.files", files.base_model_files, deep=True),
    Check("archive.digest", files.archive_digest, deep=True),
    Check("archive.members", files.archive_members, deep=True),
    Check("version.files", version.version_files, deep=True),
    Check("version.package", version.version_package, deep=True),
    Check("raw.log", files.raw_log, deep=True),
    Check("raw.files", files.raw_files, deep=True),
    Check("curated.log", files.curated_log, deep=True),
    Check("curated.files", files.curated_files, deep=True),
)
WHOLE: tuple[Check[whole.Whole], ...] = (
    Check("approval.documents", whole.approval_documents),
    Check("records.complete", whole.records_complete),
)
PACKAGES: tuple[Check[whole.Whole], ...] = (  # with a group in conf
    Check("packages.decided", packages.packages_decided),
    Check("packages.status", packages.packages_status),
)
MODEL: tuple[Check[whole.Model], ...] = (
    Check("versions.recorded", whole.versions_recorded),
    Check("version.alias", aliases.version_alias),
    Check("alias.approval", aliases.alias_approval),
)
CODES = tuple(check.code for group in (LEDGER, RECORD, WHOLE, PACKAGES, MODEL) for check in group)

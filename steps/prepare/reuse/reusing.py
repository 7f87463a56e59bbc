"""Prepare with `--curated-from`: verify what an earlier execution made, instead of making it again.

    reusing.run(arguments, catalog, evidence, build)      # this execution's own manifest

Nothing is written to a table, and Spark is not started. This execution's manifest has everything
about the examples as the earlier one's, names that one with its sha256, and states who verified it
now, with which rights (docs/decisions/054-reuse.md).
"""

import logging

from steps.governance.documents import membership
from steps.governance.documents.manifest import Prepared, Reused
from steps.governance.documents.reading import Build
from steps.governance.evidence import Evidence
from steps.governance.unity_catalog import granted
from steps.governance.unity_catalog.catalog import Catalog
from steps.prepare import places
from steps.prepare.arguments import Arguments
from steps.prepare.contract import sources
from steps.prepare.prepared_manifest import published
from steps.prepare.reuse import earlier, stored

log = logging.getLogger(__name__)


def run(arguments: Arguments, catalog: Catalog, evidence: Evidence, build: Build) -> Prepared:
    """Verify the earlier execution's examples and write this execution's manifest.

    A second attempt finds the manifest of the first one, as without reuse.

    Raises:
        GovernanceError: they are not used; what, expected, got, what to do.
    """
    sources.require(arguments)
    found = earlier.read(arguments, evidence, build)
    raw = places.source(catalog, arguments.raw_table)
    curated = places.source(catalog, arguments.curated_table)
    reading = catalog.reading(raw.standing, raw.access)
    stored.require(found.manifest, raw, curated)

    reading = reading.model_copy(update={"credential": granted.vended(raw.access)})
    made = found.manifest
    record = made.model_copy(
        update={
            "execution_arn": arguments.execution_arn,
            "principal": reading.principal,
            "reading": reading,
            "build": build,
            "reused": Reused(execution_arn=made.execution_arn, manifest_sha256=found.sha256),
        }
    )
    folder = arguments.manifest_uri.rpartition("/")[0]
    uri = f"{folder}/{membership.name(found.membership)}"
    evidence.write_once(uri, found.membership, content_type=membership.MEDIA_TYPE)
    record = published(evidence, arguments.manifest_uri, record)
    log.info(
        "the examples of execution %s are used again: %s version %d, manifest %s",
        *(arguments.curated_from, record.target.table, record.target.version, record.sha256),
    )
    return record

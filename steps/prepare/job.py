"""Prepare, top to bottom: from the raw table at one version to this execution's examples and the manifest that proves them.

    Job(arguments, catalog, store, evidence).run()

Re-entrant at every line. What was done before (a commit, a registration, the manifest) is found and compared, never
done twice; what was not committed is invisible. So EMR may run it again, or twice at once, for one execution.
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steps.governance.catalog import Catalog
from steps.governance.errors import GovernanceError
from steps.governance.evidence import Evidence
from steps.governance.manifest import Prepared
from steps.governance.names import UcName
from steps.prepare import judge, places, survey
from steps.prepare.arguments import LATEST, Arguments
from steps.prepare.delta_io import DeltaStore, Place
from steps.prepare.filings import OPTIONAL, REQUIRED
from steps.prepare.plan import Plan, plan
from steps.prepare.record import manifest
from steps.prepare.schemas import EXAMPLES, REJECTED
from steps.prepare.session import translated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One execution's Prepare. Tests give their own catalog, store or evidence."""

    arguments: Arguments
    catalog: Catalog
    store: DeltaStore
    evidence: Evidence

    def run(self) -> Prepared:
        """Do the whole job; the manifest is written last, so its presence means that everything before it is there.

        Raises:
            GovernanceError: what, expected, got, what to do. Without the curated commit nothing of this execution is used.
        """
        raw = places.source(self.catalog, self.arguments.raw_table)
        curated, rejected = self._target(self.arguments.curated_table), self._target(self._rejected_table)
        self.store.check_target(curated, EXAMPLES)
        self.store.check_target(rejected, REJECTED)
        version = self.store.resolve_version(raw, self._raw_version(rejected, curated))
        columns = self._columns(raw, version)
        log.info("reading %s version %d as %s", raw.name, version, self.catalog.principal)

        filings = judge.judged_filings(self.store.read(raw, version, columns))
        examples = judge.judged_examples(filings)
        planned = self._plan(raw, version, filings, examples)

        curated_rows = judge.curated(
            examples, execution_id=self.arguments.execution_id, bound=planned.bound, seed=self.arguments.seed
        )
        self.store.check_rows(curated_rows, curated, EXAMPLES)  # else the rejected rows would be committed alone

        rows = judge.rejected(filings, examples, execution_id=self.arguments.execution_id)
        rejected_commit = self.store.append(rows, rejected, planned.rejected)
        places.registered(self.catalog, rejected, planned.rejected.schema)

        commit = self.store.append(curated_rows, curated, planned.curated)
        table = places.registered(self.catalog, curated, planned.curated.schema)

        record = manifest(
            planned, commit, source=raw.standing, target=table, rejected=(rejected.name, rejected_commit.version),
            principal=self.catalog.principal,
        )  # fmt: skip
        self.evidence.write_once(self.arguments.manifest_uri, record.to_bytes())
        log.info("%s version %d, manifest %s", table.name, commit.version, record.sha256)
        return record

    @property
    def _rejected_table(self) -> UcName:
        return self.arguments.curated_table.sibling("rejected")

    def _target(self, name: UcName) -> Place:
        return places.target(self.catalog, name, root=self.arguments.curated_root)

    def _raw_version(self, *targets: Place) -> int:
        """The version asked for; the latest means the same one in every attempt, so what an earlier one committed decides."""
        if self.arguments.raw_version == LATEST:
            for target in targets:
                if recorded := self.store.earlier(target, self.arguments.execution_arn):
                    return int(recorded["raw_version"])
        return self.arguments.raw_version

    def _columns(self, raw: Place, version: int) -> list[str]:
        """The columns to read.

        Raises:
            GovernanceError: one that every filing needs is missing or holds no text.
        """
        there = self.store.columns(raw, version)
        if missing := [name for name in REQUIRED if name not in there]:
            raise GovernanceError(
                f"table {raw.name} is no table of filings, nothing was written",
                expected=f"text columns {', '.join(REQUIRED)}",
                got=f"no text column {', '.join(missing)} at version {version}",
                do="load filings in EDGAR-CRAWLER's fields (docs/data.md)",
            )
        return [*REQUIRED, *(name for name in OPTIONAL if name in there)]

    def _plan(self, raw: Place, version: int, filings: "DataFrame", examples: "DataFrame") -> Plan:
        """Count everything once; refuse before anything is written."""
        with translated(f"read and judge the filings of {raw.name}"):
            found = survey.survey(filings, examples)
        survey.check(found, rows=self.store.rows(raw, version))
        planned = plan(found, self.arguments, raw_version=version)
        log.info("counts %s", planned.counts.model_dump_json())
        return planned

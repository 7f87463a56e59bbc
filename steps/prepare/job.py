"""Prepare from top to bottom: from a raw table's version to examples and their manifest.

    Job(arguments, catalog, store, evidence).run()

The job can be repeated after a crash at any line. An effect that exists (a commit, a registration,
the manifest) is found and compared, never repeated; files without a commit are invisible. So EMR
may run the job again, or twice at once, for one execution.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steps.governance.documents import builds, membership
from steps.governance.documents.manifest import Prepared, RejectedVersion
from steps.governance.documents.reading import Build
from steps.governance.errors import GovernanceError, Unavailable
from steps.governance.evidence import Evidence
from steps.governance.names import UcName
from steps.governance.unity_catalog import granted
from steps.governance.unity_catalog.catalog import Catalog
from steps.prepare import places
from steps.prepare.arguments import LATEST, Arguments
from steps.prepare.delta import raw_files
from steps.prepare.delta.staging.interface import Kernel, Staged
from steps.prepare.delta.store import DeltaStore, Place, Rows
from steps.prepare.filings import decision, judge, members
from steps.prepare.filings.columns import Columns, chosen
from steps.prepare.filings.decision import KEYS
from steps.prepare.filings.judge import EXAMPLE, FILING, GIVEN
from steps.prepare.filings.split import FEWEST_COMPANIES
from steps.prepare.filings.survey import Survey, check, survey
from steps.prepare.plan import Plan, plan, rejected_content
from steps.prepare.prepared_manifest import Origin, Tables, manifest, published
from steps.prepare.schemas import EXAMPLES, PARTITION, REJECTED
from steps.prepare.session import translated

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """The Prepare job of one execution. Tests pass their own catalog, store or evidence."""

    arguments: Arguments
    catalog: Catalog
    store: DeltaStore
    evidence: Evidence
    build: Build = field(default_factory=builds.of_this_image)

    def run(self) -> Prepared:
        """Run the whole job and return its manifest.

        The manifest is written last, so its presence means that everything before it is there.

        Raises:
            GovernanceError: what, expected, got, what to do. Without the curated commit nothing of
                this execution is used.
        """
        raw = places.source(self.catalog, self.arguments.raw_table)
        curated, rejected = (
            self._target(self.arguments.curated_table),
            self._target(self._rejected_table),
        )
        self.store.check_target(curated, EXAMPLES)
        self.store.check_target(rejected, REJECTED)
        version = self.store.resolve_version(raw, self._raw_version(rejected, curated))
        columns = chosen(self.store.columns(raw, version), table=str(raw.name), version=version)
        for fault in columns.unusable:
            log.warning("a column of %s is ignored: %s", raw.name, fault)
        log.info("reading %s version %d as %s", raw.name, version, self.catalog.principal)

        with self._explained(raw, version):
            return self._written(raw, version, columns, (curated, rejected))

    def _written(
        self, raw: Place, version: int, columns: Columns, targets: tuple[Place, Place]
    ) -> Prepared:
        """Judge the raw rows once, and write the rejected rows, the examples and the manifest."""
        curated, rejected = targets
        reading = self.catalog.reading(raw.standing, raw.access)
        before = raw_files.hashed(self.store.spark, raw, self.store.files(raw, version))
        with self.store.staged(Rows(raw, version, columns.names), _kernel(), curated) as staged:
            files = raw_files.unchanged(self.store.spark, raw, before)
            found = self._survey(raw, version, _decided(staged))
            if len(found.companies) < FEWEST_COMPANIES:
                raise self._too_few(found, self._append_rejected(staged, rejected, found, version))
            planned = plan(found, self.arguments, raw_version=version, unusable=columns.unusable)
            _log_counts(planned)
            filings = members.of(found, bound=planned.bound, seed=self.arguments.seed)
            listed = members.listed(filings, self.arguments.manifest_uri)

            # Else the rejected rows would be committed alone
            self.store.check_rows(self._examples(staged, planned), curated, EXAMPLES)
            rejected_version = self._append_rejected(staged, rejected, found, version)
            commit = self.store.append(self._examples(staged, planned), curated, planned.curated)
        table = places.registered(self.catalog, curated, planned.curated.schema)

        reading = reading.model_copy(update={"credential": granted.vended(raw.access)})
        rejects = RejectedVersion(table=str(rejected.name), version=rejected_version)
        return self._published(
            listed,
            manifest(
                planned,
                commit,
                Tables(raw.standing, table, rejects),
                Origin(files, reading, self.build, self.store.spark.version),
                membership=listed.entry,
            ),
        )

    def _published(self, listed: members.Listed, record: Prepared) -> Prepared:
        """Write the list of filings, then the manifest that names it."""
        self.evidence.write_once(listed.uri, listed.content, content_type=membership.MEDIA_TYPE)
        record = published(self.evidence, self.arguments.manifest_uri, record)
        log.info(
            "%s version %d, manifest %s", record.target.table, record.target.version, record.sha256
        )
        return record

    @contextmanager
    def _explained(self, raw: Place, version: int) -> Iterator[None]:
        """Check the raw files after an error: it may be that one was deleted while it was read."""
        try:
            yield
        except GovernanceError as error:
            if type(error) in (GovernanceError, Unavailable) and error.__cause__ is not None:
                self.store.require_files(raw, version)
            raise

    @property
    def _rejected_table(self) -> UcName:
        return self.arguments.curated_table.sibling("rejected")

    def _target(self, name: UcName) -> Place:
        return places.target(self.catalog, name, root=self.arguments.curated_root)

    def _raw_version(self, *targets: Place) -> int:
        """Return the requested version of the raw table.

        "Latest" must mean the same version in every attempt, so a version that an earlier attempt
        committed is used again.
        """
        if self.arguments.raw_version == LATEST:
            for target in targets:
                if recorded := self.store.earlier(target, self.arguments.execution_arn):
                    return int(recorded["raw_version"])
        return self.arguments.raw_version

    def _survey(self, raw: Place, version: int, rows: "DataFrame") -> Survey:
        """Count everything, before anything is committed."""
        with translated(f"decide about the filings of {raw.name}"):
            found = survey(rows)
        check(found, rows=self.store.rows(raw, version))
        if 2 * sum(found.reasons.values()) > found.examples:
            log.warning("rejected %s", found.explained())
        return found

    def _examples(self, staged: Staged, planned: Plan) -> "DataFrame":
        """Return the rows of the curated table: what was staged, with execution and split."""
        from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

        wanted = decision.kept(_decided(staged), bound=planned.bound, seed=self.arguments.seed)
        made = [name for name in EXAMPLES.names if name not in GIVEN]
        taken = staged.taken(EXAMPLE, wanted, made, rows=planned.curated.rows)
        identified = taken.withColumn(PARTITION, F.lit(self.arguments.execution_id))
        return identified.select(*EXAMPLES.names)

    def _append_rejected(self, staged: Staged, rejected: Place, found: Survey, version: int) -> int:
        content = rejected_content(found, self.arguments, raw_version=version)
        dropped = decision.rejected(
            _decided(staged), execution_id=self.arguments.execution_id, count=content.rows
        )
        commit = self.store.append(dropped, rejected, content)
        places.registered(self.catalog, rejected, content.schema)
        return commit.version

    def _too_few(self, found: Survey, version: int) -> GovernanceError:
        """Return why no split is possible, in numbers, and where each rejected row is."""
        companies = len(found.companies)
        return GovernanceError(
            "the examples cannot be split into train and eval, no example was written",
            expected=f"risk factors of at least {FEWEST_COMPANIES} companies, because no "
            "company may be in both splits",
            got=f"{companies} {'company' if companies == 1 else 'companies'} with usable risk "
            "factors; "
            f"rejected: {found.explained() or 'nothing'}",
            do=f"{self._where_rejected(found, version)}correct the raw table, or give one "
            "with filings of more companies",
        )

    def _where_rejected(self, found: Survey, version: int) -> str:
        if not found.rejected:
            return ""
        where = (
            f"table {self._rejected_table} version {version} (execution_id "
            f"{self.arguments.execution_id})"
        )
        return f"see the rejected rows in {where}; "


def _kernel() -> Kernel:
    return Kernel(judge.kernel, judge.SCHEMA, (FILING, EXAMPLE))


def _decided(staged: Staged) -> "DataFrame":
    """Return a new frame: the keys inside its tasks are as old as the frame."""
    return decision.decided(*(staged.read(kind, names) for kind, names in KEYS.items()))


def _log_counts(planned: Plan) -> None:
    log.info("counts %s", planned.counts.model_dump_json())
    for fault, filings in (planned.counts.ignored_fields or {}).items():
        log.warning("a field of %d kept filings is ignored: %s", filings, fault)

"""Prepare from top to bottom: from a raw table's version to examples and their manifest.

    Job(arguments, catalog, store, evidence).run()

The job can be repeated after a crash at any line. An effect that exists (a commit, a registration,
the manifest) is found and compared, never repeated; files without a commit are invisible. So EMR
may run the job again, or twice at once, for one execution.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from steps.governance.documents import builds, membership
from steps.governance.documents.manifest import Prepared, RejectedVersion
from steps.governance.documents.reading import Build
from steps.governance.errors import GovernanceError, Unavailable
from steps.governance.evidence import Evidence
from steps.governance.names import UcName
from steps.governance.unity_catalog import granted
from steps.governance.unity_catalog.catalog import Catalog
from steps.prepare import places, plan
from steps.prepare.arguments import LATEST, Arguments
from steps.prepare.contract import agreement, profile, sources
from steps.prepare.contract.agreement import Agreement, Run
from steps.prepare.delta import raw_files
from steps.prepare.delta.staging.interface import Kernel, Staged
from steps.prepare.delta.store import Content, DeltaStore, Place, Rows
from steps.prepare.filings import decision, judge, members
from steps.prepare.filings.columns import Columns, chosen
from steps.prepare.filings.judge import EXAMPLE, FILING
from steps.prepare.filings.quality.screening import Screen
from steps.prepare.filings.split import FEWEST_COMPANIES
from steps.prepare.filings.survey import Survey, check
from steps.prepare.plan import Plan
from steps.prepare.prepared_manifest import Origin, Tables, manifest, published
from steps.prepare.schemas import EXAMPLES, PARTITION, REJECTED
from steps.prepare.session import translated
from steps.prepare.verdict import counted, stages
from steps.prepare.verdict.numbers import Numbers
from steps.prepare.verdict.surveyed import survey

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

log = logging.getLogger(__name__)

_NO_RUN = Run()


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
        sources.require(self.arguments)
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
        rows = Rows(raw, version, columns.names)
        with self.store.staged(rows, _kernel(self.arguments), curated) as staged:
            files = raw_files.unchanged(self.store.spark, raw, before)
            numbers = self._counted(raw, version, staged)
            found = numbers.survey
            if len(found.companies) < FEWEST_COMPANIES:
                at = self._append_rejected(staged, rejected, found, version)
                raise plan.too_few(found, plan.where_rejected(found, self.arguments, at))
            planned = self._planned(numbers, version, columns.unusable)
            checked = self._agreement(numbers, planned, targets)
            if checked.broken:
                raise self._broken(staged, rejected, version, checked)
            planned = plan.agreed(planned, checked)
            listed = members.listed(members.of(found), self.arguments.manifest_uri)

            # Else the rejected rows would be committed alone
            self.store.check_rows(self._examples(staged, planned), curated, EXAMPLES)
            dropped = self._append_rejected(staged, rejected, found, version, checked.run)
            commit = self.store.append(self._examples(staged, planned), curated, planned.curated)
        table = places.registered(self.catalog, curated, planned.curated.schema)

        reading = reading.model_copy(update={"credential": granted.vended(raw.access)})
        rejects = RejectedVersion(table=str(rejected.name), version=dropped)
        return self._published(
            listed,
            manifest(
                planned,
                commit,
                Tables(raw.standing, table, rejects),
                Origin(files, reading, self.build, self.store.spark.version, checked.record),
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

    def _counted(self, raw: Place, version: int, staged: Staged) -> Numbers:
        """Decide about every row and count everything, before anything is committed."""
        with translated(f"decide about the filings of {raw.name}"):
            stages.run(staged, self.arguments)
            numbers = counted.counted(staged, self.arguments)
        found = numbers.survey
        check(found, rows=self.store.rows(raw, version))
        if 2 * sum(found.reasons.values()) > found.examples:
            log.warning("rejected %s", found.explained())
        return numbers

    def _examples(self, staged: Staged, planned: Plan) -> "DataFrame":
        """Return the rows of the curated table: what was staged, with execution and split."""
        from pyspark.sql import functions as F  # noqa: N812 - Spark's own idiom

        taken = stages.examples(staged, self.arguments, rows=planned.curated.rows)
        identified = taken.withColumn(PARTITION, F.lit(self.arguments.execution_id))
        return identified.select(*EXAMPLES.names)

    def _agreement(
        self, numbers: Numbers, planned: Plan, targets: tuple[Place, Place]
    ) -> Agreement:
        """Check the run's numbers against the contract, before anything is committed."""
        arn = self.arguments.execution_arn
        commits = (self.store.earlier(target, arn) for target in reversed(targets))
        recorded = next((one for one in commits if one is not None), None)
        made = profile.of(planned.counts, numbers.survey.measured, numbers.words)
        earlier = agreement.compared(targets[0], arn, recorded)
        return agreement.agreed(made, earlier, self.arguments, overlap=numbers.overlap)

    def _broken(
        self, staged: Staged, rejected: Place, version: int, found: Agreement
    ) -> GovernanceError:
        """Put all examples into the rejected table, by their digests; return the broken checks."""
        rows = decision.quarantined(stages.final(staged))
        with translated("count the examples of a broken contract"):
            found_now = survey(
                map(decision.quarantined, stages.finals(staged)), stages.rounds(staged)
            )
        content = plan.rejected_content(found_now, self.arguments, version, found.run.name)
        at = self._committed(rows, rejected, content)
        return found.error(plan.where_rejected(found_now, self.arguments, at))

    def _planned(self, numbers: Numbers, version: int, unusable: tuple[str, ...]) -> plan.Plan:
        found = numbers.survey
        planned = plan.plan(found, self.arguments, raw_version=version, unusable=unusable)
        more = {"families_by_size": numbers.families_by_size}
        if len(self.arguments.tasks.shares) > 1:
            more["examples_by_template"] = dict(sorted(numbers.templates.items()))
        planned = replace(planned, counts=planned.counts.model_copy(update=more))
        plan.log_counts(planned)
        return planned

    def _append_rejected(
        self, staged: Staged, rejected: Place, found: Survey, version: int, run: Run = _NO_RUN
    ) -> int:
        content = plan.rejected_content(found, self.arguments, version, run.name)
        return self._committed(stages.final(staged), rejected, content)

    def _committed(self, rows: "DataFrame", rejected: Place, content: Content) -> int:
        dropped = decision.rejected(
            rows, execution_id=self.arguments.execution_id, count=content.rows
        )
        commit = self.store.append(dropped, rejected, content)
        places.registered(self.catalog, rejected, content.schema)
        return commit.version


def _kernel(arguments: Arguments) -> Kernel:
    screen = Screen(arguments.scrub, arguments.quality)
    settings = judge.Settings(screen, arguments.tasks, arguments.seed)
    return Kernel(
        partial(judge.kernel, settings=settings), judge.SCHEMA, (FILING, EXAMPLE), judge.APART
    )

"""The interface of the job to Delta tables, `DeltaStore`, with one adapter per engine.

    delta_rs.DeltaRsStore              # on any Spark: Arrow tasks and delta-rs, keys of one table
    unity_connector.ConnectorStore     # on EMR: Spark's own Delta, UCSingleCatalog renews the keys

A version is resolved once and then read exactly. An execution has at most one commit per table,
even if the job is repeated: `append` returns an earlier commit of equal content, and raises
`Conflict` for other content. Nothing is visible before the commit.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from steps.governance.documents.document import FileEntry
from steps.governance.errors import Conflict, IntegrityError, NotFound
from steps.governance.names import UcName
from steps.governance.unity_catalog.catalog import Table
from steps.governance.unity_catalog.credentials import Access
from steps.prepare.delta.staging.interface import Kernel, Staged
from steps.prepare.schemas import TableSchema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Place:
    """The location of a Delta table, existing or planned, and the vended right to use it.

    `table` is None before it is registered.
    """

    name: UcName
    location: str
    access: Access
    table: Table | None

    @property
    def standing(self) -> Table:
        """The registered table of a place that was looked up, not planned.

        Raises:
            NotFound: it is not registered yet.
        """
        if self.table is None:
            raise NotFound(f"table {self.name} is not registered yet")
        return self.table


@dataclass(frozen=True)
class Provenance:
    """The metadata of a commit; equal content has an equal `content_sha256` on every engine."""

    execution_arn: str
    raw_table: str
    raw_version: int
    content_sha256: str
    template: str
    compared_with: str = ""  # the run that the contract compared with (steps.prepare.contract)
    profile: str = ""

    def metadata(self) -> dict[str, str]:
        """Return the commit's metadata: text, as Delta keeps it, without what is empty."""
        return {name: str(value) for name, value in vars(self).items() if value != ""}

    def user_metadata(self) -> str:
        """Return the same as Delta's `userMetadata`, which every engine can read."""
        return json.dumps(self.metadata(), sort_keys=True)


@dataclass(frozen=True)
class Rule:
    """A condition that the owner of a table declared for its rows.

    `expression` is Spark SQL; a row satisfies the rule if it is true.
    """

    name: str
    expression: str


@dataclass(frozen=True)
class Content:
    """What a commit must hold: its columns, its number of rows, and its metadata.

    `rules` are those of the table that the rows were checked against.
    """

    schema: TableSchema
    rows: int
    provenance: Provenance
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Commit:
    """One version of a table and the files it added.

    `timestamp_ms` is the commit's own, so a repetition reports the same.
    """

    version: int
    timestamp_ms: int
    files: tuple[FileEntry, ...]


@dataclass(frozen=True)
class Rows:
    """Columns of all rows of a table's version, by the names that the table gives them."""

    place: Place
    version: int
    columns: Sequence[str]


class DeltaStore(Protocol):
    """Reading at a version, and one commit per execution."""

    @property
    def spark(self) -> "SparkSession":
        """The session whose tasks read and write."""

    def check_target(self, place: Place, schema: TableSchema) -> None:
        """Compare an existing table with what Prepare writes, before anything is read or staged.

        Raises:
            Conflict: its owner declared what an append of this engine would not honour; the message
                names all of it.
        """

    def check_rows(self, frame: "DataFrame", place: Place, schema: TableSchema) -> tuple[Rule, ...]:
        """Check the rows against the owner's rules (NOT NULL, CHECK, a length); return these rules.

        Raises:
            Conflict: a row breaks a rule, or a rule cannot be evaluated.
        """

    def resolve_version(self, place: Place, version: int) -> int:
        """Return the version to read: `version`, or the newest for -1.

        Its log entries and files exist.

        Raises:
            NotFound: the version does not exist, or its log entries or files were deleted.
            GovernanceError: the table is a shallow clone, or uses Delta features that would be read
                wrongly.
        """

    def earlier(self, place: Place, execution_arn: str) -> Mapping[str, Any] | None:
        """Return the metadata of this execution's commit to the table (`Provenance.metadata`).

        None before there is one.

        Raises:
            Conflict: the commit was removed from the log.
        """

    def columns(self, place: Place, version: int) -> dict[str, str]:
        """Return the columns of that version: the table's spelling, Spark SQL's type names."""

    def rows(self, place: Place, version: int) -> int | None:
        """Return the number of rows of that version in the log, or None if the log lacks it."""

    def read(self, place: Place, version: int, columns: Sequence[str]) -> "DataFrame":
        """Return these columns of all rows of that version, in no particular order.

        A column is text (`steps.prepare.text.column_text`), or has a type that is read as the
        same text.

        Raises:
            GovernanceError: the table uses Delta features that would be read wrongly.
        """

    def files(self, place: Place, version: int) -> list[str]:
        """Return every file that the rows of that version come from, as a path below the table.

        Data files are as in the log; the files of deletion vectors belong to them.
        """

    def require_files(self, place: Place, version: int) -> None:
        """Look for every file of that version, to explain a read that failed.

        Raises:
            NotFound: files were deleted.
        """

    def staged(self, rows: Rows, kernel: Kernel, target: Place) -> AbstractContextManager[Staged]:
        """Read the rows once, and keep what the kernel makes of them until the block ends.

        No reader of `target` sees them. What is left after a crash has no commit either.
        """

    def append(self, frame: "DataFrame", place: Place, content: Content) -> Commit:
        """Commit the frame's rows, or find that this execution did so before.

        The frame's tasks make the data files, one or more each (`schemas.files_for`).

        Raises:
            IntegrityError: the engine produced another number of rows than was counted; nothing is
                committed.
            Conflict: this execution committed other content, or the rows or the table fail
                `check_rows` or `check_target`.
        """


def same_content(place: Place, recorded: Mapping[str, Any], provenance: Provenance) -> None:
    """Accept an earlier commit of this execution.

    Raises:
        Conflict: it holds other content, or the same that was made from something else.
    """
    wanted = provenance.metadata()
    wanted.pop("compared_with", None)  # another attempt at once may have seen another run
    if other := [name for name in wanted if recorded.get(name) != wanted[name]]:
        raise Conflict(
            f"this execution already wrote other content to table {place.name}",
            expected=", ".join(f"{name} {wanted[name]}" for name in other),
            got=", ".join(f"{name} {recorded.get(name)}" for name in other),
            do="start a new execution; a commit is never replaced",
        )


def same_rows(place: Place, version: int, got: object, content: Content) -> None:
    """Accept what an engine wrote and committed in one go.

    Raises:
        IntegrityError: it has another number of rows.
    """
    if got is None or int(str(got)) != content.rows:
        raise IntegrityError(
            f"table {place.name} holds other rows than were counted; without a manifest, no "
            "step reads them",
            expected=f"{content.rows} rows",
            got=f"{got} rows in version {version}",
            do="start a new execution; if it happens again the engine is not deterministic",
        )


def user_metadata(commit: Mapping[str, Any]) -> dict[str, Any]:
    """Return a commit's metadata; empty if another program made the commit."""
    try:
        document = json.loads(commit.get("userMetadata") or "{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}

"""The documents of one execution: both manifests, the record, and Train's report.

    found = documents.read(config, s3, summary)
    found.prepared["counts"], found.report["metrics"]     # None where it has not been written
    found.notes                                           # why a document could not be read

Prepare, Train and Register wrote them (docs/architecture.md). Train's report is in its archive,
which exists for a rejected execution too. All calls read, so botocore repeats them.
"""

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pipeline import account, layout
from pipeline.configuration.config import Config
from pipeline.errors import Refused
from pipeline.execution.outcome import StepState

_REPORT = "report.json"
_MOST_BYTES = 16 * 2**20  # of the report, as Register accepts it
_ABSENT = ("NoSuchKey", "404", "NotFound")
Document = Mapping[str, Any]


class Ran(Protocol):
    """An execution's id and steps, as `run_summary.Summary` has them."""

    @property
    def id(self) -> str:
        """The last part of its ARN."""

    @property
    def steps(self) -> tuple[StepState, ...]:
        """Its steps."""


@dataclass(frozen=True)
class Documents:
    """What the steps of one execution wrote about it; None for what it has not written."""

    prepared: Document | None
    trained: Document | None
    record: Document | None
    report: Document | None
    notes: tuple[str, ...]


def read(
    config: Config, s3: Any, run: "Ran", *, most_archive_bytes: int | None = None
) -> Documents:
    """Return the documents of an execution.

    The report is in Train's archive, which is read from its beginning. With `most_archive_bytes`
    that of a larger archive is left out, with a note.

    Raises:
        Refused: AWS refused a manifest or the record. A report that cannot be read is a note.
    """
    notes: list[str] = []
    train = next((step for step in run.steps if ":training-job/" in step.job), None)
    folder = _folder(config, run.id)
    trained = None
    if train is not None:
        trained = _document(
            config, s3, f"{folder}/train/{train.job.rsplit('/', 1)[-1]}/manifest.json"
        )
    return Documents(
        prepared=prepared(config, s3, run.id),
        trained=trained,
        record=_document(config, s3, f"{folder}/register/record.json"),
        report=_report(config, s3, train, notes, most_archive_bytes),
        notes=tuple(notes),
    )


def prepared(config: Config, s3: Any, execution_id: str) -> Document | None:
    """Return the manifest of an execution's Prepare, or None if it has not written one.

    Raises:
        Refused: AWS refused.
    """
    return _document(config, s3, f"{_folder(config, execution_id)}/prepare/manifest.json")


def registered_page(config: Config, s3: Any, arn: str) -> bytes:
    """Return the page that Register wrote next to the record.

    Raises:
        Refused: AWS refused, or Register has written none.
    """
    from botocore.exceptions import ClientError

    execution = arn.rsplit("/", 1)[-1]
    uri = f"{_folder(config, execution)}/register/report.html"
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with account.answering(f"reading {uri}", config):
        try:
            with s3.get_object(Bucket=bucket, Key=key)["Body"] as body:
                return bytes(body.read())
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ABSENT:
                raise
    message = f"{uri} does not exist: expected an execution that Register has registered\n"
    raise Refused(f"{message}  do        leave --registered out: the page is made of what is there")


def _folder(config: Config, execution_id: str) -> str:
    return f"{layout.evidence(config)}/{execution_id}"


def _document(config: Config, s3: Any, uri: str) -> Document | None:
    from botocore.exceptions import ClientError

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    with account.answering(f"reading {uri}", config):
        try:
            with s3.get_object(Bucket=bucket, Key=key)["Body"] as body:
                found: Document = json.loads(body.read())
        except ClientError as error:
            if error.response["Error"]["Code"] not in _ABSENT:
                raise
            return None
    return found


def _report(
    config: Config, s3: Any, train: StepState | None, notes: list[str], most_bytes: int | None
) -> Document | None:
    if train is None or train.ended is None or not train.archive:
        return None
    bucket, _, key = train.archive.removeprefix("s3://").partition("/")
    try:
        with account.answering(f"reading {train.archive}", config):
            answer = s3.get_object(Bucket=bucket, Key=key)
            with answer["Body"] as body:
                if most_bytes is not None and answer["ContentLength"] > most_bytes:
                    notes.append(f"Train's report: {train.archive} is large and was not read")
                    return None
                return report_in(body)
    except Refused as error:  # without s3:ListBucket an absent archive is AccessDenied
        notes.append(f"Train's report: {error}".splitlines()[0])
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        notes.append(f"Train's report: {train.archive} cannot be read: {error}")
    return None


def report_in(archive: Any) -> Document | None:
    """Return the report in an archive, which is read once from its beginning, or None.

    Raises:
        ValueError: the report is larger than Register accepts, or it is not JSON.
    """
    with tarfile.open(fileobj=archive, mode="r|gz") as members:
        for member in members:
            if member.name.removeprefix("./") != _REPORT or not member.isfile():
                continue
            if member.size > _MOST_BYTES:
                message = f"{_REPORT} has {member.size} bytes, of {_MOST_BYTES} at most"
                raise ValueError(message)
            content = members.extractfile(member)
            found: Document | None = json.loads(content.read()) if content else None
            return found
    return None

"""The manifest of the execution whose examples are used again, read and compared with this job.

    earlier = read(arguments, evidence, build)
    earlier.manifest.files, earlier.membership

The evidence bucket takes each document once and from the role of Prepare only. What such a document
cannot prove by itself is compared with the tables (`stored`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from steps.governance.documents import canonical
from steps.governance.documents.manifest import Prepared
from steps.governance.documents.reading import Build
from steps.governance.errors import GovernanceError, IntegrityError, NotFound, UsageError
from steps.governance.evidence import Evidence
from steps.governance.names import execution_id
from steps.prepare.arguments import LATEST, Arguments
from steps.prepare.contract import settings
from steps.prepare.schemas import EXAMPLES, PARTITION

ANEW = "start an execution without CuratedFrom, which does the work again"
_Pair = tuple[str, Any, Any]  # what is compared, the value of now, the value of the manifest


@dataclass(frozen=True)
class Earlier:
    """The earlier execution's manifest, its sha256 as stored, and its list of filings."""

    manifest: Prepared
    sha256: str
    membership: bytes


def read(arguments: Arguments, evidence: Evidence, build: Build) -> Earlier:
    """Return the manifest of `--curated-from`, if its examples are those of this job.

    Raises:
        UsageError: it is this execution, or one that used another's examples itself.
        NotFound: it has no manifest, so Prepare refused it, still works, or never ran.
        IntegrityError: the manifest is not of that execution of this pipeline.
        GovernanceError: its table, settings or code are others than those of this job.
    """
    uri = _uri(arguments)
    content = _content(arguments, evidence, uri)
    found = Prepared.from_bytes(content, origin=uri)
    if found.reused is not None:
        raise UsageError(
            f"execution {arguments.curated_from} used examples of another one again",
            expected="the execution that made them",
            got=f"one that took them from {execution_id(found.reused.execution_arn)}",
            do=f"give CuratedFrom={execution_id(found.reused.execution_arn)}",
        )
    _require_own(arguments, content, found)
    _require_same_work(arguments, found, build)
    listed = found.membership
    assert listed is not None  # every manifest of version 2 has one  # noqa: S101
    place = f"{uri.rpartition('/')[0]}/{listed.path}"
    filings = evidence.read(place)
    if (len(filings), canonical.sha256(filings)) != (listed.size, listed.sha256):
        raise IntegrityError(
            f"the list of filings at {place} is not the one of the manifest",
            expected=f"{listed.size} bytes, sha256 {listed.sha256}",
            got=f"{len(filings)} bytes, sha256 {canonical.sha256(filings)}",
            do=ANEW,
        )
    return Earlier(found, canonical.sha256(content), filings)


def execution_arn(arguments: Arguments) -> str:
    """Return the ARN of `--curated-from`: an execution of this job's own pipeline."""
    return f"{arguments.execution_arn.rpartition('/')[0]}/{arguments.curated_from}"


def _uri(arguments: Arguments) -> str:
    own = f"/{arguments.execution_id}/"
    if arguments.curated_from == arguments.execution_id or arguments.manifest_uri.count(own) != 1:
        raise UsageError(
            "the examples of an earlier execution cannot be used again",
            expected="the id of another execution of this pipeline, and a manifest below an id",
            got=f"{arguments.curated_from}, {arguments.manifest_uri}",
            do=ANEW,
        )
    return arguments.manifest_uri.replace(own, f"/{arguments.curated_from}/")


def _content(arguments: Arguments, evidence: Evidence, uri: str) -> bytes:
    try:
        return evidence.read(uri)
    except NotFound as error:
        raise NotFound(
            f"execution {arguments.curated_from} has no examples to use again",
            expected=f"the manifest of its Prepare at {uri}",
            got="none: Prepare rejected its data, has not ended, or it does not exist",
            do="choose an execution whose Prepare succeeded (python -m pipeline.runs)",
        ) from error


def _require_own(arguments: Arguments, content: bytes, found: Prepared) -> None:
    partition = f"{PARTITION}={arguments.curated_from}"
    strays = [each.path for each in found.files if not each.path.startswith(f"{partition}/")]
    made = found.contract.checks if found.contract else []
    broken = [each.name for each in made if not each.least <= each.found <= each.most]
    for what, expected, got in (
        ("canonical bytes", found.sha256, canonical.sha256(content)),
        ("execution", execution_arn(arguments), found.execution_arn),
        ("partition", partition, found.target.partition),
        ("files outside its partition", [], strays[:5]),
        ("broken checks of its contract", [], broken),
    ):
        if expected != got:
            raise IntegrityError(
                f"the manifest of execution {arguments.curated_from} cannot be trusted: {what}",
                expected=str(expected)[:300],
                got=str(got)[:300],
                do=f"find out who wrote it; {ANEW}",
            )


def _require_same_work(arguments: Arguments, found: Prepared, build: Build) -> None:
    """Refuse examples that this job would have made otherwise; name everything that differs."""
    differing = [pair for pair in _work(arguments, found, build) if pair[1] != pair[2]]
    if differing:
        raise GovernanceError(
            f"this job would make other examples than execution {arguments.curated_from}, "
            "so those are not used",
            expected="; ".join(f"{what} {now}" for what, now, _ in differing)[:600],
            got="; ".join(f"{what} {then}" for what, _, then in differing)[:600],
            do=_repair(arguments, [what for what, _, _ in differing]),
        )


def _repair(arguments: Arguments, differing: Sequence[str]) -> str:
    """Return what helps: no parameter brings other code or columns back."""
    if {"code", "columns"} & set(differing):
        return f"Prepare's code has changed since: {ANEW}"
    return f"repeat the parameters of that execution (--from {arguments.curated_from}), or {ANEW}"


def _work(arguments: Arguments, found: Prepared, build: Build) -> Iterator[_Pair]:
    wanted, recorded = settings.of(arguments), found.settings or {}
    yield from ((name, value, recorded.get(name, "unknown")) for name, value in wanted.items())
    if arguments.raw_version != LATEST:
        yield "raw version", arguments.raw_version, found.source.version
    yield "columns", EXAMPLES.sha256, found.schema_sha256
    yield "contract checked", True, found.contract is not None
    yield "code", _code(build), _code(found.build)


def _code(build: Build | None) -> str:
    if build is None:
        return "unknown"
    state = "clean" if build.clean else "changed"
    return f"commit {build.git_commit or 'unknown'} {state}, requirements {build.lock_sha256}"

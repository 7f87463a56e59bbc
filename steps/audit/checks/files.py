"""Deep checks: every recorded file is read again and hashed."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from steps.audit.case import Case
from steps.audit.checks.documents import UNRECORDED
from steps.audit.context import HASHERS
from steps.audit.findings import Comparison, Differs, Gone, Note
from steps.audit.services import delta
from steps.audit.services.hashing import Archive, Digest, archive, digest
from steps.audit.services.store import Store
from steps.governance.documents import canonical
from steps.governance.documents.document import FileEntry, validated
from steps.governance.documents.manifest import Mirror, TableVersion
from steps.governance.errors import NotFound
from steps.governance.names import execution_id

_MISSING = Digest("missing", 0)


def archive_digest(case: Case) -> Comparison:
    """The stored archive has the recorded size and digest."""
    artifact, found = case.record.artifact, _archive(case)
    return Comparison(
        f"{artifact.uri}?versionId={artifact.version_id}",
        [("size", artifact.size, found.own.size), ("sha256", artifact.sha256, found.own.sha256)],
    )


def archive_members(case: Case) -> Comparison:
    """The archive holds exactly the recorded files, and Train's manifest has the same."""
    artifact, found = case.record.artifact, _archive(case)
    where = f"{artifact.uri}?versionId={artifact.version_id}"
    if found.fault:
        raise Differs("an archive of the recorded files", found.fault, where)
    trained = {each.path: each.sha256 for each in case.trained.files}
    trained["manifest.json"] = canonical.sha256(case.trained_content)
    recorded = {each.path: each.sha256 for each in artifact.files}
    members = {name: each.sha256 for name, each in found.members.items()}
    pairs: list[tuple[str, object, object]] = [
        (name, recorded.get(name), members.get(name)) for name in sorted(recorded | members)
    ]
    pairs += [
        (f"{name} in Train's manifest", recorded.get(name), trained.get(name))
        for name in sorted(recorded | trained)
    ]
    return Comparison(where, pairs, summary=f"{len(recorded)} files")


def base_model_mirror(case: Case) -> Comparison:
    """`mirror.json` of the base model has the recorded digest."""
    uri = f"{_base_uri(case)}/mirror.json"
    content = _read(case, uri)
    recorded = case.record.base_model
    pairs: list[tuple[str, object, object]] = [
        ("sha256", recorded.mirror_sha256, canonical.sha256(content))
    ]
    if pairs[0][1] == pairs[0][2]:
        mirror = _mirror(content, uri)
        pairs += [
            ("name", recorded.name, mirror.name),
            ("revision", recorded.revision, mirror.revision),
        ]
    return Comparison(uri, pairs)


def base_model_files(case: Case) -> Comparison:
    """Each file of the base model has the digest that `mirror.json` has."""
    base, store = _base_uri(case), case.context.services.store
    mirror = _mirror(_read(case, f"{base}/mirror.json"), f"{base}/mirror.json")
    return _files(case, store, base, mirror.files)


def raw_log(case: Case) -> Comparison | Note:
    """The raw table's version has exactly the files that Prepare read."""
    if case.prepared.raw_files is None:
        return Note(UNRECORDED, case.record.raw.table)
    return _same_files(case, case.record.raw, case.prepared.raw_files)


def raw_files(case: Case) -> Comparison | Note:
    """The raw version's files have the digests of the bytes that Prepare read.

    VACUUM removes files of old versions. After the declared retention that is `gone`, not a
    mismatch.
    """
    recorded = case.prepared.raw_files
    if recorded is None:
        return Note(UNRECORDED, case.record.raw.table)
    store, _ = case.context.services.registry.table_store(case.record.raw.table)
    found = _files(case, store, case.record.raw.location.rstrip("/"), recorded)
    differing = [pair for pair in found.pairs if pair[1] != pair[2]]
    only_missing = all(_MISSING.sha256 in str(pair[2]) for pair in differing)
    if differing and only_missing and _is_past_retention(case):
        raise Gone(
            f"{len(recorded)} files for {case.context.arguments.retention_days} days",
            f"{len(differing)} of them removed since",
            found.where,
        )
    return found


def curated_log(case: Case) -> Comparison:
    """The curated table's commit is the one that Prepare's manifest describes."""
    prepared = case.prepared
    registry, curated = case.context.services.registry, case.record.curated
    actions = delta.commit(registry, curated)
    added = [action["add"] for action in actions if "add" in action]
    info: Mapping[str, Any] = next(
        (action["commitInfo"] for action in actions if "commitInfo" in action), {}
    )
    moment = datetime.fromisoformat(prepared.created_at)
    pairs: list[tuple[str, object, object]] = [
        ("execution", prepared.written_by, _execution(info)),
        ("time", int(moment.timestamp()), int(info.get("timestamp", 0)) // 1000),
        ("removed files", 0, sum("remove" in action for action in actions)),
        (
            "files of the commit",
            sorted((each.path, each.size) for each in prepared.files),
            sorted((each.get("path"), each.get("size")) for each in added),
        ),
    ]
    active = delta.files(registry, curated).sizes
    partition = f"execution_id={execution_id(prepared.written_by)}/"
    pairs.append(
        (
            "active files",
            sorted((each.path, each.size) for each in prepared.files),
            sorted(item for item in active.items() if item[0].startswith(partition)),
        )
    )
    return Comparison(f"{curated.location}/_delta_log/{curated.version:020d}.json", pairs)


def curated_files(case: Case) -> Comparison:
    """Each file that Prepare wrote has the recorded digest."""
    store, _ = case.context.services.registry.table_store(case.record.curated.table)
    return _files(case, store, case.record.curated.location.rstrip("/"), case.prepared.files)


def _same_files(case: Case, table: TableVersion, recorded: Sequence[FileEntry]) -> Comparison:
    found = delta.files(case.context.services.registry, table)
    sizes = {each.path: each.size for each in recorded}
    pairs = [
        (f"size of {path}", sizes.get(path), found.sizes.get(path))
        for path in sorted(sizes.keys() | found.sizes.keys())
    ]
    return Comparison(f"{found.location} version {table.version}", pairs, f"{len(sizes)} files")


def _files(case: Case, store: Store, root: str, recorded: Sequence[FileEntry]) -> Comparison:
    found = digests(case, store, {each.path: f"{root}/{unquote(each.path)}" for each in recorded})
    pairs = [
        (
            each.path,
            f"{each.size} bytes {each.sha256}",
            f"{found[each.path].size} bytes {found[each.path].sha256}",
        )
        for each in recorded
    ]
    return Comparison(root, pairs, summary=f"{len(recorded)} files")


def digests(case: Case, store: Store, uris: Mapping[str, str]) -> dict[str, Digest]:
    """Return the digest of each URI's object by its name; a missing one is `missing`."""

    def one(uri: str) -> Digest:
        try:
            return case.context.once("digest", uri, lambda: digest(store.chunks(uri)))
        except NotFound:
            return _MISSING

    found = case.context.each(one, list(uris.values()), HASHERS)
    return dict(zip(uris, found, strict=True))


def _archive(case: Case) -> Archive:
    artifact = case.record.artifact
    if case.archive is None:
        case.archive = archive(
            case.context.services.store.chunks(artifact.uri, artifact.version_id),
            {each.path: each.size for each in artifact.files},
        )
    return case.archive


def _read(case: Case, uri: str) -> bytes:
    return case.context.once("read", uri, lambda: case.context.services.store.read(uri))


def _base_uri(case: Case) -> str:
    for channel in case.training_job.get("InputDataConfig", []):
        if channel["ChannelName"] == "model":
            return str(channel["DataSource"]["S3DataSource"]["S3Uri"]).rstrip("/")
    raise Differs("an input channel `model`", "none", case.record.train.job_arn)


def _mirror(content: bytes, uri: str) -> Mirror:
    try:
        return validated(Mirror, content)
    except ValueError as error:
        raise Differs("name, revision and files", str(error), uri) from None


def _execution(info: Mapping[str, Any]) -> object:
    """The execution that a commit names, as Prepare's engines write it."""
    found = info.get("execution_arn")
    if found is None and isinstance(info.get("userMetadata"), str):
        try:
            document = canonical.loads(info["userMetadata"].encode())
        except ValueError:
            return None
        return document.get("execution_arn") if isinstance(document, dict) else None
    return found


def _is_past_retention(case: Case) -> bool:
    read = datetime.fromisoformat(case.prepared.created_at)
    return case.context.now() > read + timedelta(days=case.context.arguments.retention_days)

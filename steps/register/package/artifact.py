"""The trained model's archive: one version of one S3 object, compared with Train's manifest.

    artifact = store.pin("s3://…/model.tar.gz")           # choose the object's version, once
    unpacked = store.unpack(artifact, trained, folder)    # files that equal Train's manifest
    check_adapter(folder, unpacked.files, base)           # an adapter that its base can load

DescribeTrainingJob returns only a URI (no digest, no version), and the object at a URI can be
replaced. Train's manifest in the evidence bucket cannot be replaced. So the archive must hold
exactly the files that the manifest lists, and a copy of the manifest itself.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from steps.governance import aws
from steps.governance.documents import canonical
from steps.governance.documents.document import Count, FileEntry, Part, validated
from steps.governance.documents.manifest import Trained
from steps.governance.errors import IntegrityError
from steps.governance.files import split_s3_uri
from steps.governance.unity_catalog.retrying import Policy, repeated
from steps.governance.whole_objects import TooLarge, WholeBody, read_whole
from steps.register.package.archive import Member, members

REPORT = "report.json"
_MIB = 1 << 20
# The files a model archive may hold (docs/architecture.md), each with its largest size in bytes.
ALLOWED = {
    # Train saves float32: rank 128 on all linears of a 70B model is 6.7 GB. A plain tar header
    # counts to 8 GiB less one byte.
    "adapter_model.safetensors": 8192 * _MIB - 1,
    "adapter_config.json": _MIB,
    "tokenizer.json": 64 * _MIB,  # Ministral-3's has 17 MB
    "tokenizer_config.json": 4 * _MIB,
    "chat_template.jinja": _MIB,
    "special_tokens_map.json": _MIB,
    REPORT: 16 * _MIB,
    "report.html": 16 * _MIB,
    "README.md": _MIB,
    "manifest.json": 4 * _MIB,
}
_REQUIRED = {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"}


class _Pinned(Part):
    uri: str
    version_id: str
    size: Count


@dataclass(frozen=True)
class Artifact:
    """One version of one S3 object, so every read returns the same bytes."""

    uri: str
    version_id: str
    size: int

    @property
    def source(self) -> str:
        """The model version's `source` in the registry: the URI with the S3 version id."""
        return f"{self.uri}?versionId={self.version_id}"

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Parse what `to_bytes` returns.

        Raises:
            IntegrityError: the content is anything else.
        """
        try:
            pinned = validated(_Pinned, content)
        except ValueError as error:
            raise IntegrityError(
                "the record of the pinned artifact cannot be trusted",
                expected="uri, version_id and size, as Register writes them",
                got=str(error)[:500],
                do="find out who wrote artifact.json; evidence is never overwritten",
            ) from None
        return cls(pinned.uri, pinned.version_id, pinned.size)

    def to_bytes(self) -> bytes:
        """Return canonical JSON."""
        return canonical.dumps({"uri": self.uri, "version_id": self.version_id, "size": self.size})


@dataclass(frozen=True)
class Unpacked:
    """The archive's sha256, and its files, which were written to `folder`."""

    folder: Path
    sha256: str
    files: list[FileEntry]


class ArtifactStore:
    """Reads of the artifact bucket, with the worker's own role."""

    def __init__(self, region: str) -> None:
        self._s3 = aws.client("s3", region)

    def pin(self, uri: str) -> Artifact:
        """Return the current version of the object.

        Raises:
            NotFound: no object has this URI.
            IntegrityError: the bucket keeps no versions, so nothing can be pinned.
        """
        bucket, key = split_s3_uri(uri)
        with aws.translated(f"look at {uri}"):
            head = self._s3.head_object(Bucket=bucket, Key=key)
        version_id = head.get("VersionId", "null")
        if version_id == "null":
            raise IntegrityError(
                f"{uri} cannot be pinned",
                expected="a bucket with versioning",
                got="no version id",
                do="switch versioning on",
            )
        return Artifact(uri, version_id, int(head["ContentLength"]))

    def unpack(self, artifact: Artifact, trained: Trained, folder: Path) -> Unpacked:
        """Write the archive's files into `folder` and compare each with Train's manifest.

        Raises:
            IntegrityError: the archive is not the one that Train described, or not safe to handle.
            Unavailable: S3 did not send the whole archive.
        """
        bucket, key = split_s3_uri(artifact.uri)
        with aws.translated(f"read {artifact.source}"):
            answer = self._s3.get_object(Bucket=bucket, Key=key, VersionId=artifact.version_id)
            hashed = _Hashed(WholeBody(answer, size=artifact.size))
            files = [_write(member, folder) for member in members(hashed, ALLOWED)]
        _compare(files, trained)
        return Unpacked(folder, hashed.sha256.hexdigest(), files)

    def report(self, artifact: Artifact) -> bytes:
        """Return Train's report in the archive, or an empty document without one.

        The archive is read until there; `unpack` compared it with Train's manifest before.

        Raises:
            IntegrityError: the archive is not safe to handle.
            Unavailable: S3 did not send the whole archive.
        """
        bucket, key = split_s3_uri(artifact.uri)
        with aws.translated(f"read {artifact.source}"):
            answer = self._s3.get_object(Bucket=bucket, Key=key, VersionId=artifact.version_id)
            for member in members(WholeBody(answer, size=artifact.size), ALLOWED):
                if member.name == REPORT:
                    return b"".join(member.chunks)
        return b"{}"

    def read(self, uri: str, *, limit: int) -> bytes:
        """Return the bytes of a small object, at most `limit`.

        Raises:
            IntegrityError: it is larger.
            Unavailable: S3 did not send the whole object.
        """
        return repeated(lambda: self._read(uri, limit), doing=f"read {uri}", policy=Policy())

    def _read(self, uri: str, limit: int) -> bytes:
        bucket, key = split_s3_uri(uri)
        with aws.translated(f"read {uri}"):
            answer = self._s3.get_object(Bucket=bucket, Key=key)
            try:
                return read_whole(answer, limit=limit)
            except TooLarge:
                raise IntegrityError(
                    f"{uri} is too large", expected=f"at most {limit} bytes", got="more"
                ) from None


class _Hashed:
    """A stream that hashes the bytes it reads."""

    def __init__(self, body: Any) -> None:
        self._body, self.sha256 = body, hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        chunk = bytes(self._body.read(size))
        self.sha256.update(chunk)
        return chunk


def _write(member: Member, folder: Path) -> FileEntry:
    sha256 = hashlib.sha256()
    with (folder / member.name).open("xb") as file:  # the name is one of ALLOWED
        for chunk in member.chunks:
            sha256.update(chunk)
            file.write(chunk)
    return FileEntry(path=member.name, size=member.size, sha256=sha256.hexdigest())


def _compare(files: list[FileEntry], trained: Trained) -> None:
    """Check that the files are those of Train's manifest, and the manifest itself."""
    manifest = trained.to_bytes()
    own = FileEntry(
        path="manifest.json", size=len(manifest), sha256=hashlib.sha256(manifest).hexdigest()
    )
    expected = {entry.path: entry for entry in [*trained.files, own]}
    got = {entry.path: entry for entry in files}
    differing = sorted(
        path for path in expected.keys() | got.keys() if expected.get(path) != got.get(path)
    )
    if differing or len(expected) != len(trained.files) + 1:
        raise IntegrityError(
            "the model archive is not the one that Train described",
            expected="exactly the files of Train's manifest, byte for byte",
            got=f"another {', '.join(differing) or 'list of files'}",
            do="find out who replaced it; train again",
        )
    if missing := _REQUIRED - got.keys():
        raise IntegrityError(
            "the model archive is incomplete",
            expected=", ".join(sorted(missing)),
            got="no such file",
        )

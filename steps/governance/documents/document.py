"""The base of every stored document: strict parsing, canonical bytes, and the file entry.

    class Prepared(Manifest): …
    Prepared.from_bytes(content, origin="s3://…").to_bytes() == content

Documents are canonical JSON, written once. Parsing refuses unknown, missing and repeated fields,
and everything that `canonical.loads` refuses. A document names its schema with a version. A later
version only adds fields: they are None in a document of an earlier version, which stays readable.
"""

from collections.abc import Iterable
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steps.governance.documents import canonical
from steps.governance.errors import IntegrityError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
_Model = TypeVar("_Model", bound=BaseModel)


class Part(BaseModel):
    """Strict and frozen: unknown fields and other types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def validated(model: type[_Model], content: bytes) -> _Model:
    """Parse canonical JSON strictly into `model`.

    Raises:
        ValueError: not canonical JSON of this model; the text names each fault with its field.
    """
    canonical.loads(content)
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, fault['loc'])) or 'document'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise ValueError("; ".join(faults)) from None


def require_fields(part: BaseModel, names: Iterable[str], *, present: bool) -> None:
    """Require fields that came with a version: all there in this version, none in an earlier one.

    Raises:
        ValueError: a field is missing, or there before its time; the text names it.
    """
    for name in names:
        if (getattr(part, name) is not None) is not present:
            raise ValueError(f"{name}: {'missing' if present else 'unknown in this version'}")


class FileEntry(Part):
    """One file: path relative to the table or artifact root, size in bytes, sha256, row count."""

    path: str
    size: Count
    sha256: Sha256
    rows: Count | None = None


class Manifest(Part):
    """A complete document that is read and written as canonical JSON."""

    @classmethod
    def from_bytes(cls, content: bytes, *, origin: str) -> Self:
        """Parse a manifest read from `origin`.

        Raises:
            IntegrityError: not a complete manifest of this schema.
        """
        try:
            return validated(cls, content)
        except ValueError as error:
            raise IntegrityError(
                f"the manifest at {origin} cannot be trusted",
                expected=f"a complete {cls.__name__} manifest",
                got=str(error)[:500],
                do="run the step that writes it again; never edit it",
            ) from None

    def to_bytes(self) -> bytes:
        """Return the canonical bytes (RFC 8785); equal manifests have equal bytes."""
        return canonical.dumps(self.model_dump(exclude_none=True, by_alias=True))

    @property
    def sha256(self) -> str:
        """The sha256 of the canonical bytes; later documents refer to this one by it."""
        return canonical.sha256(self.to_bytes())

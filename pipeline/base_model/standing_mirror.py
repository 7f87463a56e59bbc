"""The mirror that lies under a prefix already: none, whole, or broken, and how it differs from another one.

    standing = StandingMirror(s3, "s3://artifacts/base-models/m/a/")
    standing.faults(standing.document(), name="m", revision="a…")
    # [("model.safetensors", "has 130 bytes, and mirror.json says …")]

Broken is a mirror whose objects are not those that its document names, or whose files would be refused today
(`pipeline.base_model.files`). Calls are reads. Objects are read once, in pieces; of weights only the header is kept.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from pipeline.base_model import document as mirror_document
from pipeline.base_model import files as model_files
from pipeline.base_model.document import MIRROR, Fault, entries

_NOT_THERE = ("NoSuchKey", "404")
_PIECE_BYTES = 8 * 2**20
_KEPT_BYTES = (
    100_000_000 + 8
)  # the most that safetensors takes as a header (safetensors 0.8.0), and its length


class StandingMirror:
    """What S3 holds under one mirror's prefix."""

    def __init__(self, s3: Any, uri: str) -> None:
        self._s3 = s3
        self.bucket, _, self.prefix = uri.removeprefix("s3://").partition("/")

    def document(self) -> dict[str, Any] | None:
        """`mirror.json`; None where there is none.

        Raises:
            ValueError: Train would refuse it; the text says why.
        """
        body = self._body(MIRROR)
        return None if body is None else mirror_document.read(body.read())

    def sizes(self) -> dict[str, int | None] | None:
        """Every object's size by its name, None without one, all pages; None where the listing counts and does not name."""
        found: dict[str, int | None] = {}
        more: dict[str, str] = {}
        while True:
            page = self._s3.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, **more)
            if page.get("KeyCount") and "Contents" not in page:
                return None
            found |= {
                each["Key"].removeprefix(self.prefix): each.get("Size")
                for each in page.get("Contents", ())
            }
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def misplaced(self, document: Mapping[str, Any]) -> list[Fault]:
        """Objects that are missing, extra or of another size than the document says, as far as one listing names them."""
        sizes, files = self.sizes(), entries(document)
        if sizes is None:
            return []
        wrong = [
            (
                name,
                f"has {sizes[name]} bytes, and {MIRROR} says {size}"
                if name in sizes
                else "is missing",
            )
            for name, (size, _) in files.items()
            if name not in sizes
            or sizes[name] not in (size, None)  # `wrong_content` finds a size that is not listed
        ]
        return wrong + [
            (name, f"is not in {MIRROR}") for name in sorted(sizes.keys() - files.keys() - {MIRROR})
        ]

    def faults(self, document: Mapping[str, Any], *, name: str, revision: str) -> list[Fault]:
        """Why Train would refuse what is there with this document; nothing where the mirror is whole."""
        if (document.get("name"), document.get("revision")) != (name, revision):
            return [(MIRROR, f"is of {document.get('name')!r} at {document.get('revision')!r}")]
        return self.misplaced(document) or self.wrong_content(document)

    def wrong_content(self, document: Mapping[str, Any]) -> list[Fault]:
        """Objects that are missing or differ from the document; else what `model_files` refuses. Each is read once."""
        with tempfile.TemporaryDirectory() as scratch:
            folder, wrong = Path(scratch), []
            for name, (size, sha256) in entries(document).items():
                got = self._read(name, folder / name)
                if got is None:
                    wrong.append((name, "is missing"))
                elif got != (size, sha256):
                    wrong.append((name, f"differs from {MIRROR}: {got[0]} bytes, sha256 {got[1]}"))
            weights_and_text = [path for path in folder.iterdir() if path.is_file()]
            return wrong or model_files.faults(folder, sorted(weights_and_text))

    def _read(self, name: str, path: Path) -> tuple[int, str] | None:
        """Size and sha256 of an object, None without one. Its beginning is kept in `path`, its length as a sparse file's."""
        body = self._body(name)
        if body is None:
            return None
        digest, size = hashlib.sha256(), 0
        with path.open("wb") as file:
            while piece := body.read(_PIECE_BYTES):
                digest.update(piece)
                file.write(piece[: max(0, _KEPT_BYTES - size)])
                size += len(piece)
            file.truncate(size)
        return size, digest.hexdigest()

    def _body(self, name: str) -> Any:
        """The object's stream; None where there is none. A listing would also count names that begin alike."""
        try:
            return self._s3.get_object(Bucket=self.bucket, Key=self.prefix + name)["Body"]
        except KeyError:  # a store in memory
            return None
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _NOT_THERE:
                return None
            raise

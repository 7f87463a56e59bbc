"""Read the mirror that is already under a prefix of S3, and check whether it is whole.

    existing = ExistingMirror(s3, "s3://artifacts/base-models/m/a/")
    existing.faults(existing.document(), name="m", revision="a…")
    # [("model.safetensors", "has 130 bytes, expected … (mirror.json)")]

A mirror is broken if its objects are not those that its document names, or if its files would be
refused today (`pipeline.base_model.files`). All calls are reads. Each object is read once, in
pieces, and only the beginning of a large one is stored.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.base_model import document, files
from pipeline.base_model.document import MIRROR, Fault, entries
from pipeline.shell import amount

_MISSING_CODES = ("NoSuchKey", "404")
_PIECE_BYTES = 8 * 2**20
# The longest header that safetensors takes (safetensors 0.8.0), and the 8 bytes of its length.
_KEPT_BYTES = 100_000_000 + 8


class ExistingMirror:
    """The objects under the prefix of one mirror."""

    def __init__(self, s3: Any, uri: str) -> None:
        self._s3 = s3
        self.bucket, _, self.prefix = uri.removeprefix("s3://").partition("/")

    def document(self) -> dict[str, Any] | None:
        """Return the parsed `mirror.json`, or None if the object does not exist.

        Raises:
            ValueError: Train would refuse it; the text has the reason.
        """
        body = self._body(MIRROR)
        return None if body is None else document.read(body.read())

    def sizes(self) -> dict[str, int | None] | None:
        """Return the size of every object by its name, from all pages of the listing.

        A size is None if the listing lacks it. The result is None if a page counts objects and does
        not name them.
        """
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

    def misplaced(self, mirror: Mapping[str, Any]) -> list[Fault]:
        """Return the objects that are missing, extra or not of the document's size, if the listing
        names objects."""
        sizes, expected = self.sizes(), entries(mirror)
        if sizes is None:
            return []
        wrong = [
            (
                name,
                f"has {sizes[name]} bytes, expected {size} ({MIRROR})"
                if name in sizes
                else "is missing",
            )
            for name, (size, _) in expected.items()
            if name not in sizes
            or sizes[name] not in (size, None)  # `wrong_content` checks a size that is not listed
        ]
        return wrong + [
            (name, f"is not in {MIRROR}")
            for name in sorted(sizes.keys() - expected.keys() - {MIRROR})
        ]

    def faults(self, mirror: Mapping[str, Any], *, name: str, revision: str) -> list[Fault]:
        """Return why Train would refuse these objects and document; empty for a whole mirror."""
        if (mirror.get("name"), mirror.get("revision")) != (name, revision):
            return [(MIRROR, f"is of {mirror.get('name')!r} at {mirror.get('revision')!r}")]
        return self.misplaced(mirror) or self.wrong_content(mirror)

    def wrong_content(self, mirror: Mapping[str, Any]) -> list[Fault]:
        """Read each object once, and return those that are missing or differ from the document.

        If all are equal to it, return the faults that `files.faults` finds in the objects.
        """
        with tempfile.TemporaryDirectory() as scratch:
            folder, wrong = Path(scratch), []
            listed = entries(mirror)
            with amount.shown("comparing", sum(size for size, _ in listed.values())) as add:
                read = {name: self._read(name, folder / name, add) for name in listed}
            for name, (size, sha256) in listed.items():
                got = read[name]
                if got is None:
                    wrong.append((name, "is missing"))
                elif got != (size, sha256):
                    wrong.append((name, f"differs from {MIRROR}: {got[0]} bytes, sha256 {got[1]}"))
            return wrong or files.faults(folder, sorted(folder.iterdir()))

    def _read(self, name: str, path: Path, add: amount.Add) -> tuple[int, str] | None:
        """Read an object and return its size and sha256, or None if it does not exist.

        `path` becomes a sparse file of the object's length that has its first bytes: enough for the
        header of weights and for the whole of any other file.
        """
        body = self._body(name)
        if body is None:
            return None
        digest, size = hashlib.sha256(), 0
        with path.open("wb") as file:
            while piece := body.read(_PIECE_BYTES):
                digest.update(piece)
                file.write(piece[: max(0, _KEPT_BYTES - size)])
                size += len(piece)
                add(len(piece))
            file.truncate(size)
        return size, digest.hexdigest()

    def _body(self, name: str) -> Any:
        """The object's stream, or None if it does not exist.

        A listing with the name as its prefix would not do: it also finds longer names.
        """
        from botocore.exceptions import ClientError  # `--help` need not wait for it

        try:
            return self._s3.get_object(Bucket=self.bucket, Key=self.prefix + name)["Body"]
        except KeyError:  # a store in memory
            return None
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _MISSING_CODES:
                return None
            raise

"""Small whole models in folders, and stand-ins for the S3 calls that a mirror makes."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from botocore.exceptions import ClientError
from safetensors.numpy import save_file

INDEX = "model.safetensors.index.json"
POINTER = (
    "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 4700000000\n"
)


def whole(folder: Path, *, value: float = 0.0) -> Path:
    """A model in one file of weights."""
    folder.mkdir(exist_ok=True)
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    save_file({"a": np.full(64, value, np.float32)}, folder / "model.safetensors")
    return folder


def sharded(folder: Path) -> Path:
    """A model in two files and an index."""
    whole(folder)
    (folder / "model.safetensors").unlink()
    shards = {f"model-0000{number}-of-00002.safetensors": f"t{number}" for number in (1, 2)}
    for shard, tensor in shards.items():
        save_file({tensor: np.zeros(64, np.float32)}, folder / shard)
    weight_map = {tensor: shard for shard, tensor in shards.items()}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


class CountingBucket:
    """The smallest store that a mirror works with: a listing only counts, and nothing is deleted.

    `keys` has the key of each write, in order.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.keys: list[str] = []

    def list_objects_v2(self, *, Bucket: str, Prefix: str) -> dict[str, Any]:  # noqa: N803
        return {"KeyCount": sum(key.startswith(Prefix) for key in self.objects)}

    def upload_file(self, path: str, bucket: str, key: str, Callback: Any) -> None:  # noqa: N803
        self._write(key, Path(path).read_bytes())

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self._write(Key, Body)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(self.objects[Key])}

    def _write(self, key: str, content: bytes) -> None:
        self.keys.append(key)
        self.objects[key] = content


class Bucket(CountingBucket):
    """S3's answers to the calls of a mirror. A page of a listing has two objects."""

    def list_objects_v2(
        self,
        *,
        Bucket: str,  # noqa: N803
        Prefix: str,  # noqa: N803
        ContinuationToken: str = "0",  # noqa: N803
    ) -> dict[str, Any]:
        found, at = (
            sorted(key for key in self.objects if key.startswith(Prefix)),
            int(ContinuationToken),
        )
        page = [{"Key": key, "Size": len(self.objects[key])} for key in found[at : at + 2]]
        more = (
            {"IsTruncated": True, "NextContinuationToken": str(at + 2)}
            if at + 2 < len(found)
            else {}
        )
        return {"KeyCount": len(page), **({"Contents": page} if page else {}), **more}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        if Key not in self.objects:
            raise ClientError(
                {"Error": {"Code": "NoSuchKey", "Message": "Not found."}}, "GetObject"
            )
        return super().get_object(Bucket=Bucket, Key=Key)

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803
        self.keys.append(f"-{Key}")
        del self.objects[Key]

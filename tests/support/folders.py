"""Write made evidence into a folder, or into a bucket."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(folder: Path, objects: Mapping[str, bytes]) -> None:
    """Write every object as a file below a folder."""
    for key, content in objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def upload(s3: Any, bucket: str, objects: Mapping[str, bytes]) -> None:
    """Write every object into a bucket."""
    for key, content in objects.items():
        s3.put_object(Bucket=bucket, Key=key, Body=content)

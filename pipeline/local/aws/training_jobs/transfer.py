"""Copy a training job's data: S3 to its channels before the start, model and output to S3 at the
end, with its role's keys.
"""

import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.local.aws.store import Document
from pipeline.local.aws.training_jobs.status import JobFailed

_FASTEST = 1  # safetensors files do not get smaller by compression, so the fastest level is used


class Transfer:
    """The uploads and downloads of one job."""

    def __init__(self, client: Any, name: str, job: Document) -> None:
        self._client = client
        self._name = name
        self._job = job

    def download_channels(self, root: Path) -> None:
        """Download every channel into a folder of its name.

        Raises:
            JobFailed: a prefix is empty, or the role may not read it.
        """
        for channel in self._job.get("InputDataConfig") or []:
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            folder = root / channel["ChannelName"]
            folder.mkdir(parents=True, exist_ok=True)
            try:
                found = download(self._client, uri, folder)
            except (BotoCoreError, ClientError, OSError) as error:
                raise JobFailed(
                    "ClientError: Data download failed for channel "
                    f"{channel['ChannelName']}: {error}"
                ) from None
            if not found:
                raise JobFailed(
                    f"ClientError: No S3 objects found under S3 URL {uri} given in input "
                    "data source. "
                    f"Please ensure that the bucket exists and the role may list it."
                )

    def upload_model(self, ml: Path) -> None:
        """Upload `/opt/ml/model` as model.tar.gz, unless it is empty.

        Raises:
            JobFailed: the role may not write there, or the disk is full.
        """
        bucket, key = split(self._job["ModelArtifacts"]["S3ModelArtifacts"])
        self._upload(ml / "model", ml.parent / "model.tar.gz", bucket, key)

    def upload_output(self, ml: Path) -> None:
        """Upload `/opt/ml/output/data` as output.tar.gz, unless it is empty."""
        bucket, key = split(self._job["ModelArtifacts"]["S3ModelArtifacts"])
        self._upload(
            ml / "output" / "data",
            ml.parent / "output.tar.gz",
            bucket,
            key.replace("model.tar.gz", "output.tar.gz"),
        )

    def _upload(self, source: Path, archive: Path, bucket: str, key: str) -> None:
        if not any(source.iterdir()):
            return
        try:
            with tarfile.open(archive, "w:gz", compresslevel=_FASTEST) as tar:
                for path in sorted(source.rglob("*")):
                    tar.add(path, path.relative_to(source), recursive=False)
            self._client.upload_file(str(archive), bucket, key)
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            raise JobFailed(f"ClientError: Artifact upload failed: {error}") from None
        finally:
            archive.unlink(missing_ok=True)


def download(client: Any, uri: str, folder: Path) -> bool:
    """Download every object below the prefix into the folder; return whether there was any.

    Raises:
        JobFailed: a key would leave the folder.
    """
    bucket, prefix = split(uri)
    found = False
    for listing in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in listing.get("Contents", []):
            found = True
            target = (folder / _relative(item["Key"], prefix)).resolve()
            if not target.is_relative_to(folder.resolve()):
                raise JobFailed(
                    f"ClientError: Data download failed: {item['Key']!r} would leave the "
                    "channel's folder"
                )
            if item["Key"].endswith("/"):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, item["Key"], str(target))
    return found


def split(uri: str) -> tuple[str, str]:
    """Return bucket and key (or prefix) of an S3 URI."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def _relative(key: str, prefix: str) -> str:
    """Return an object's path in its channel: below the prefix's last folder, as in SageMaker."""
    if key == prefix:
        return key.rsplit("/", 1)[-1]
    if key.startswith(prefix.rstrip("/") + "/"):
        return key[len(prefix.rstrip("/")) + 1 :]
    return key[prefix.rfind("/") + 1 :]

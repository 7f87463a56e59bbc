"""Copy a training job's checkpoint folder to its S3 prefix as SageMaker does, with the job role's
keys.

    folder = CheckpointFolder(client, uri, ml / "checkpoints")
    folder.restore()                    # before the container starts: S3 -> folder
    with folder.followed():             # while it runs: new, changed and deleted files -> S3
        …
                                        # and a last time after its end

As in AWS: objects that others write below the prefix meanwhile are not downloaded; a file that is
deleted here is deleted there; a marker file `<file>.sagemaker-uploading` exists during an upload
and `<file>.sagemaker-uploaded` after it, and markers are not uploaded. Files are uploaded one by
one, so S3 may hold a part of a checkpoint at any moment: the job has to detect that.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.local.aws.training_jobs.status import JobFailed
from pipeline.local.aws.training_jobs.transfer import download, split

SYNC_SECONDS = 0.5  # between two scans of the folder; AWS documents no figure
UPLOADING, UPLOADED = ".sagemaker-uploading", ".sagemaker-uploaded"

_Seen = tuple[int, int, int]  # size, modification time, inode


class CheckpointFolder:
    """The folder of one attempt; a restarted job has a new one, empty before `restore`."""

    def __init__(self, client: Any, uri: str, folder: Path) -> None:
        self._client = client
        self._bucket, prefix = split(uri)
        self._prefix = prefix.rstrip("/") + "/" if prefix else ""
        self._folder = folder
        # the keys in S3, each with the state of the file that was uploaded
        self._there: dict[str, _Seen] = {}
        self._ended = threading.Event()
        self._failure: Exception | None = None

    def restore(self) -> None:
        """Download the objects below the prefix into the folder.

        Raises:
            JobFailed: the role may not list or read it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            download(self._client, f"s3://{self._bucket}/{self._prefix}", self._folder)
        except (BotoCoreError, ClientError, OSError) as error:
            raise JobFailed(f"ClientError: Checkpoint download failed: {error}") from None
        self._there = self._files()

    @contextlib.contextmanager
    def followed(self) -> Iterator[None]:
        """Copy changed files until the block ends, and then the remaining ones.

        Raises:
            JobFailed: the role may not write or delete there.
        """
        follower = threading.Thread(target=self._follow, daemon=True)
        follower.start()
        try:
            yield
        finally:
            self._ended.set()
            follower.join()
        if self._failure is not None:
            raise JobFailed(f"ClientError: Checkpoint upload failed: {self._failure}") from None

    def _follow(self) -> None:
        try:
            before: dict[str, _Seen] = {}
            while not self._ended.wait(SYNC_SECONDS):
                files = self._files()
                # A file that is still being written is uploaded when two scans see the same state,
                # or at the end.
                self._copy(
                    {name: seen for name, seen in files.items() if before.get(name) == seen}, files
                )
                before = files
            files = self._files()
            self._copy(files, files)
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            self._failure = error

    def _copy(self, still: dict[str, _Seen], files: dict[str, _Seen]) -> None:
        for name in sorted(self._there.keys() - files.keys()):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)
            del self._there[name]
            for ending in (UPLOADING, UPLOADED):
                self._marker(name, ending).unlink(missing_ok=True)
        for name, seen in sorted(still.items()):
            if self._there.get(name) != seen:
                with contextlib.suppress(
                    FileNotFoundError
                ):  # deleted meanwhile; the next scan sees that
                    self._upload(name)
                    self._there[name] = seen

    def _upload(self, name: str) -> None:
        uploading, uploaded = self._marker(name, UPLOADING), self._marker(name, UPLOADED)
        uploaded.unlink(missing_ok=True)
        uploading.touch()
        self._client.upload_file(str(self._folder / name), self._bucket, self._prefix + name)
        uploading.replace(uploaded)

    def _marker(self, name: str, ending: str) -> Path:
        return self._folder / f"{name}{ending}"

    def _files(self) -> dict[str, _Seen]:
        found: dict[str, _Seen] = {}
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = Path(folder, name)
                if path.suffix in (UPLOADING, UPLOADED):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    stat = path.stat()
                    found[path.relative_to(self._folder).as_posix()] = (
                        stat.st_size,
                        stat.st_mtime_ns,
                        stat.st_ino,
                    )
        return found

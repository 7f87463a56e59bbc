"""The S3 clients and the module that mlflow makes for each version: checked, and not kept.

    check_clients()         # once; from then on mlflow's clients refuse a page that is not AWS's
    with forgotten(): …     # one version: nothing that mlflow made for it is kept

mlflow uploads a version's files by clients of boto3's default session, with the credential that
Unity Catalog vended for this version. It keeps 64 of them, of ended credentials too, and it keeps
each copy of `serving.py` that it has executed to check it. A worker would grow by 35 MiB until
those 64 are reached, and by 56 KiB with every registration.

A file that mlflow does not split (at most 10 MB) is sent by one PutObject: boto3's own
`upload_file` starts 11 threads for each file, and takes twice the processor time.

External calls: those of mlflow's upload. Each object has one place, so an upload that is repeated
changes nothing. A gateway's page is a lost answer (`governance.aws_answers`).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from steps.governance.aws_answers import checked

# mlflow states no number; this is that of `governance.aws`
ATTEMPTS = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "4"}
_MODULES = "code_model_"  # mlflow.models.utils names each copy so
_HOOK = "creating-client-class.s3"


class _Checked:
    """A base of boto3's S3 clients."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        checked(self)


def _upload_file(
    client: Any,
    Filename: str,  # noqa: N803 - the names of boto3's method
    Bucket: str,  # noqa: N803
    Key: str,  # noqa: N803
    *,
    ExtraArgs: dict[str, Any] | None = None,  # noqa: N803
) -> None:
    with Path(Filename).open("rb") as body:
        client.put_object(Bucket=Bucket, Key=Key, Body=body, **(ExtraArgs or {}))


def check_clients() -> None:
    """Check the answers of every S3 client that the default session makes from now on."""
    if boto3.DEFAULT_SESSION is None:
        boto3.setup_default_session()
    events = boto3.DEFAULT_SESSION.events
    events.register_last(_HOOK, _check_class, unique_id=f"{__name__}.{_HOOK}")  # after boto3's own


def _check_class(base_classes: list[type], class_attributes: dict[str, Any], **_: object) -> None:
    base_classes.insert(0, _Checked)
    class_attributes["upload_file"] = _upload_file


@contextmanager
def forgotten() -> Iterator[None]:
    """Drop mlflow's S3 clients and its copies of `serving.py` when the block ends."""
    from mlflow.store.artifact import s3_artifact_repo

    try:
        yield
    finally:
        s3_artifact_repo._cached_get_s3_client.cache_clear()
        for name in [each for each in sys.modules if each.startswith(_MODULES)]:
            del sys.modules[name]

"""Write-once access to the evidence bucket: small documents that never change.

    evidence = Evidence(region)
    evidence.write_once("s3://…/executions/abc/prepare/manifest.json", manifest.to_bytes())

Writes use `If-None-Match: *`, so one of two concurrent writers wins. After a lost answer, a
repeated job or a duplicate message the stored document is compared: the write succeeds if the bytes
are equal and raises `Conflict` if not.

Both calls are repeated while S3 does not answer, throttles, or cuts a body short
(`governance.whole_objects`), within the budget of `policy`.
"""

from botocore.exceptions import BotoCoreError, ClientError

from steps.governance import aws
from steps.governance.aws_answers import named_loss
from steps.governance.errors import (
    AccessDenied,
    Conflict,
    GovernanceError,
    NotFound,
    Unavailable,
)
from steps.governance.files import split_s3_uri
from steps.governance.unity_catalog.retrying import Policy, repeated
from steps.governance.whole_objects import TooLarge, read_whole

JSON = "application/json"
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}
_ABSENT = {"NoSuchKey", "NoSuchBucket", "404"}
_DENIED = {"AccessDenied", "403"}
_MAX_BYTES = 64 * 1024 * 1024  # a manifest of about 300,000 files; nothing larger is a document


class Evidence:
    """Read and write-once access to evidence documents, with the job's AWS role."""

    def __init__(self, region: str, policy: Policy | None = None) -> None:
        self.region = region
        self._s3 = aws.client("s3", region, attempts=1)  # `retrying.repeated` repeats its calls
        self._policy = policy or Policy()

    def read(self, uri: str) -> bytes:
        """Return the document's bytes.

        Raises:
            NotFound: the document does not exist.
            AccessDenied: this role may not read it.
            Unavailable: S3 did not send the whole document within the budget.
        """
        return repeated(lambda: self._read(uri), doing=f"read {uri}", policy=self._policy)

    def _read(self, uri: str) -> bytes:
        bucket, key = split_s3_uri(uri)
        try:
            return read_whole(self._s3.get_object(Bucket=bucket, Key=key), limit=_MAX_BYTES)
        except TooLarge:
            raise GovernanceError(
                f"{uri} is not an evidence document", expected=f"at most {_MAX_BYTES} bytes"
            ) from None
        except (ClientError, BotoCoreError) as error:
            raise _translated(error, f"read {uri}") from error

    def write_once(self, uri: str, content: bytes, *, content_type: str = JSON) -> None:
        """Write the document, or confirm that exactly these bytes are stored already.

        Raises:
            Conflict: other bytes are stored there; they are left unchanged.
            AccessDenied: this role may not write there.
            GovernanceError: the document is larger than `read` takes; nothing was written.
            Unavailable: S3 did not answer within the budget.
        """
        require_size(uri, content)
        repeated(
            lambda: self._write(uri, content, content_type),
            doing=f"write {uri}",
            policy=self._policy,
        )

    def _write(self, uri: str, content: bytes, content_type: str) -> None:
        bucket, key = split_s3_uri(uri)
        try:
            self._s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=content,
                IfNoneMatch="*",
                ContentType=content_type,
                ChecksumAlgorithm="SHA256",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in _TAKEN:
                raise _translated(error, f"write {uri}") from error
            self._accept_equal(uri, content)
        except BotoCoreError as error:
            raise _translated(error, f"write {uri}") from error

    def _accept_equal(self, uri: str, content: bytes) -> None:
        if self.read(uri) != content:
            raise Conflict(
                f"{uri} was already written with other content",
                expected="no document, or exactly the same bytes",
                got="different bytes",
                do="start a new execution; evidence is never overwritten",
            )


def require_size(uri: str, content: bytes) -> None:
    """Require that `read` will take the document.

    Raises:
        GovernanceError: it is too large.
    """
    if len(content) > _MAX_BYTES:
        raise GovernanceError(
            f"{uri} would not be an evidence document",
            expected=f"at most {_MAX_BYTES} bytes",
            got=f"{len(content)} bytes",
        )


def _translated(error: ClientError | BotoCoreError, doing: str) -> GovernanceError:
    if not isinstance(error, ClientError) or aws.is_passing(error):
        got = aws.shown(error) if isinstance(error, ClientError) else named_loss(error)
        return Unavailable(f"S3 gave no answer: {doing}", got=got, do="run again when S3 answers")
    code = str(error.response["Error"]["Code"])
    if code in _ABSENT:
        return NotFound(f"nothing there: {doing}", got=code)
    if code in _DENIED:
        return AccessDenied(
            f"this job's role was refused: {doing}", got=code, do="allow it in the role's policy"
        )
    return GovernanceError(f"S3 refused: {doing}", got=aws.shown(error))

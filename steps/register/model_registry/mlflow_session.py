"""mlflow's registry client with our principal's token, but without its secret.

    client = mlflow_client(workspace)      # again for each message: its token is short-lived

By default mlflow builds Databricks clients from DATABRICKS_CLIENT_SECRET in the environment. It
reads the host's discovery document twice per call to learn where to send that secret, trusts every
origin in it, and keeps the client across a rotation of the secret. So mlflow gets an access token
instead, from `governance.identity`, which sends the secret to the workspace's own origin only. With
a host and a token mlflow needs no discovery (docs/decisions/008-mlflow-gets-a-token.md).

mlflow's requests session gets `governance.transport` for the workspace. It repeats reads, bounds
their time, and raises `Refused` with the HTTP status. mlflow itself keeps only the error code of a
refusal, and turns each code that it does not know into INTERNAL_ERROR. So the status decides, and
the message holds the service's own code and text.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from databricks.sdk import errors as databricks
from databricks.sdk.errors.platform import ERROR_CODE_MAPPING

from steps.governance.aws_answers import named_loss
from steps.governance.errors import (
    AccessDenied,
    Conflict,
    GovernanceError,
    InvalidRequest,
    Unavailable,
)
from steps.governance.unity_catalog.identity import Workspace
from steps.governance.unity_catalog.refusals import malformed, no_answer, not_found, raised_in
from steps.governance.unity_catalog.refusals import translated as workspace_translated
from steps.governance.unity_catalog.retrying import Unanswered
from steps.governance.unity_catalog.transport import Malformed, Refused, Transport
from steps.register.model_registry import uploads
from steps.register.model_registry.mlflow_import import import_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

_SETTINGS = {
    "MLFLOW_ENABLE_DB_SDK": "false",  # use the host and token below, as they are
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # mlflow would repeat every request, and a creation whose answer was lost would leave two
    # versions. `registry` searches first.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    **uploads.ATTEMPTS,
}
# Settings from which mlflow might take another identity
_FOREIGN = (
    "DATABRICKS_CONFIG_PROFILE",
    "DATABRICKS_USERNAME",
    "DATABRICKS_PASSWORD",
    "DATABRICKS_INSECURE",
)
# mlflow uploads in threads and keeps only the text of a failure, which holds botocore's sentence
_STORAGE_ERROR = re.compile(r"An error occurred \((\w+)\)")
_STORAGE_PAGE = re.compile(r"the answer to \w+ is not AWS\\*'s: HTTP \d{3}, [\w ]{1,60}")
_STORAGE_DENIED = {"AccessDenied", "403"}
_PARSERS = ("mlflow.", "google.protobuf.")
# Endings of Unity Catalog's codes for objects that do not exist
_ABSENT = (
    "DOES_NOT_EXIST",
    "NOT_FOUND",
)


def mlflow_client(workspace: Workspace) -> "MlflowClient":
    """Return a client of Unity Catalog's model registry with a token that is valid now."""
    authorization = workspace.client.config.authenticate()["Authorization"]
    for name in _FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(
        _SETTINGS,
        DATABRICKS_HOST=workspace.host,
        DATABRICKS_TOKEN=authorization.removeprefix("Bearer "),
    )
    import_mlflow()
    from mlflow import MlflowClient

    _send_through_transport(workspace)
    uploads.check_clients()
    return MlflowClient(tracking_uri="databricks", registry_uri="databricks-uc")


def _send_through_transport(workspace: Workspace) -> None:
    """Mount our transport on the requests session of mlflow's registry client.

    mlflow keeps one session for each combination of its settings; these are the client's.
    """
    from mlflow import environment_variables as settings
    from mlflow.utils import request_utils

    session = request_utils._get_request_session(
        settings.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get(),
        settings.MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR.get(),
        settings.MLFLOW_HTTP_REQUEST_BACKOFF_JITTER.get(),
        request_utils._TRANSIENT_FAILURE_RESPONSE_CODES,
        raise_on_status=True,
        respect_retry_after_header=settings.MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER.get(),
    )
    transport = Transport(
        workspace.policy,
        authenticate=workspace.client.config.authenticate,
        refusals=True,
        renew=workspace.renew,
    )
    session.mount(f"{workspace.host}/", transport)


@contextmanager
def translated(principal: str, doing: str) -> Iterator[None]:
    """Run one call of mlflow's client and raise its errors as ours."""
    from botocore.exceptions import BotoCoreError, ClientError
    from mlflow.exceptions import MlflowException

    with workspace_translated(principal, doing):
        try:
            yield
        except MlflowException as error:
            raise _as_ours(error, principal, doing) from error
        except (BotoCoreError, ClientError) as error:
            # the upload, with the credential that Unity Catalog vended
            if code := _STORAGE_ERROR.search(str(error)):
                raise _storage_error(code[1], principal, doing) from error
            raise _storage_silent(named_loss(error), principal, doing) from error
        except Exception as error:
            if not raised_in(error.__traceback__, _PARSERS):
                raise
            raise malformed(
                principal, doing, f"fields of other types ({type(error).__name__})"
            ) from error


def _storage_error(code: str, principal: str, doing: str) -> GovernanceError:
    if code not in _STORAGE_DENIED:
        return _storage_silent(code, principal, doing)
    return AccessDenied(
        f"the registry's storage refused {principal}, who tried to {doing}",
        expected="that the credential vended for this version may write its files",
        got=code,
        do="check the storage credential, the bucket's policy and its key's policy",
    )


def _storage_silent(got: str, principal: str, doing: str) -> Unavailable:
    return Unavailable(
        f"the registry's storage gave no answer while {principal} tried to {doing}", got=got
    )


def _as_ours(error: "MlflowException", principal: str, doing: str) -> Exception:
    """Translate mlflow's exception.

    Its cause is the transport's error, if the transport raised one. Otherwise mlflow's own code
    decides, which is INTERNAL_ERROR for every failure that mlflow does not name.
    """
    cause = error.__cause__ or error.__context__
    if isinstance(cause, GovernanceError):
        return cause
    if isinstance(cause, Malformed):
        return malformed(principal, doing, str(cause))
    if isinstance(cause, Unanswered):
        return no_answer("the registry", principal, doing, cause)
    if isinstance(cause, Refused):
        return _refused(cause, principal, doing)
    if storage_code := _STORAGE_ERROR.search(str(error.message)):
        return _storage_error(storage_code[1], principal, doing)
    if page := _STORAGE_PAGE.search(str(error.message)):
        return _storage_silent(page[0].replace("\\", ""), principal, doing)
    code = None
    document = getattr(error, "json", None)  # of a RestException: the service's own answer
    if isinstance(document, dict) and "error_code" in document:
        code = str(document["error_code"])
    return _by_code(
        code or error.error_code,
        str(error.message)[:300],
        principal,
        doing=doing,
        foreign=code is not None,
    )


def _by_code(code: str, text: str, principal: str, *, doing: str, foreign: bool) -> Exception:
    """Translate an error code whose HTTP status is not known.

    `foreign` means that the code is the service's own. An unknown code is then a refusal; otherwise
    it may be a lost answer.
    """
    if code in ("PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"):
        return databricks.PermissionDenied(text)
    if code in ("UNAUTHENTICATED", "INVALID_TOKEN"):
        return databricks.Unauthenticated(text)
    if code.endswith(_ABSENT):
        return not_found(principal, doing, code=code, text=text)
    if code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "ABORTED"):
        return Unavailable(
            f"the registry gave no answer while {principal} tried to {doing}", got=text[:120]
        )
    kind = ERROR_CODE_MAPPING.get(code)
    if kind is not None and kind is not databricks.BadRequest:
        return kind(text)
    if foreign:
        return _refused(Refused(400, code, text), principal, doing)
    return GovernanceError(f"the registry refused: {doing}", got=text)


def _refused(refusal: Refused, principal: str, doing: str) -> Exception:
    """Translate a refusal by its status, often into a databricks-sdk error.

    `workspace_translated`, around every call, translates those.
    """
    text = f"{refusal.code}: {refusal.text}" if refusal.code else str(refusal)
    if refusal.status == 401:
        return databricks.Unauthenticated(text)
    if refusal.status == 403:
        return databricks.PermissionDenied(text)
    if refusal.status == 404 or refusal.code.endswith(_ABSENT):
        return not_found(principal, doing, code=refusal.code, text=text)
    if refusal.status == 409 or "ALREADY_EXISTS" in refusal.code:
        return Conflict(f"the registry refused {principal}, who tried to {doing}", got=text)
    if refusal.code == "INVALID_STATE":  # a later moment may be right
        return GovernanceError(f"the registry refused {principal}, who tried to {doing}", got=text)
    return InvalidRequest(
        f"the registry refused what {principal} asked for: {doing}",
        expected="a request that the registry accepts",
        got=f"HTTP {refusal.status} {text}",
        do="correct what the text names; the same request is refused each time",
    )

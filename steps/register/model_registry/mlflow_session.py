"""mlflow's registry client, acting as our principal without ever holding its secret.

    client = mlflow_client(workspace)      # again for each message: the token in it is short-lived

Left alone, mlflow builds Databricks clients from DATABRICKS_CLIENT_SECRET in the environment: it asks the host's
discovery document twice per call where to send that secret, trusts any origin it is told, and caches the client
across a rotation. So it gets an access token instead, from `governance.identity`, which sends the secret to the
workspace's own origin only. With a host and a token mlflow needs no discovery at all
(docs/decisions/008-mlflow-gets-a-token.md).

mlflow's requests session gets `governance.transport` for the workspace. It repeats reads, bounds their time, and raises
`Refused` with the HTTP status: mlflow itself keeps of a refusal only the error code, and calls each code that it does not
know INTERNAL_ERROR. So the status decides, and the service's own code and text are in the message.
"""

import importlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from databricks.sdk import errors as databricks
from databricks.sdk.errors.platform import ERROR_CODE_MAPPING

from steps.governance.errors import (
    AccessDenied,
    Conflict,
    GovernanceError,
    InvalidRequest,
    Unavailable,
)
from steps.governance.identity import Workspace
from steps.governance.refusals import malformed, no_answer, not_found, raised_in
from steps.governance.refusals import translated as workspace_translated
from steps.governance.retrying import Policy, Unanswered
from steps.governance.transport import Malformed, Refused, Transport

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

_SETTINGS = {
    "MLFLOW_ENABLE_DB_SDK": "false",  # use the host and token below, as they are
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # mlflow would repeat every request, creations too, and leave two versions behind a lost answer. The registry looks first.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
# Other ways in which mlflow might find an identity
_FOREIGN = (
    "DATABRICKS_CONFIG_PROFILE",
    "DATABRICKS_USERNAME",
    "DATABRICKS_PASSWORD",
    "DATABRICKS_INSECURE",
)
# mlflow uploads in threads and keeps of a failure its text only, which holds botocore's sentence
_STORAGE_SAID = re.compile(r"An error occurred \((\w+)\)")
_STORAGE_DENIED = {"AccessDenied", "403"}
_PARSERS = ("mlflow.", "google.protobuf.")
_ABSENT = ("DOES_NOT_EXIST", "NOT_FOUND")  # how Unity Catalog's codes for what is not there end


def mlflow_client(workspace: Workspace) -> "MlflowClient":
    """A client of Unity Catalog's model registry with a token that is valid now."""
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

    _send_through_transport(workspace.host, workspace.policy)
    return MlflowClient(tracking_uri="databricks", registry_uri="databricks-uc")


def _send_through_transport(host: str, policy: Policy) -> None:
    """mlflow keeps one requests session for each set of its settings; this is the one that its registry client takes."""
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
    session.mount(f"{host}/", Transport(policy, refusals=True))


def import_mlflow() -> None:
    """Load mlflow (4 s): once before the first message, so that no callback waits for it."""
    with warnings.catch_warnings():
        # mlflow warns about type hints of its own classes while it is imported
        warnings.filterwarnings(
            "ignore", message=".*Any type hint is inferred as AnyType", category=UserWarning
        )
        importlib.import_module("mlflow.pyfunc")
    # Plug-ins for other services (sagemaker-mlflow) may be installed beside us and fail on each request, harmlessly.
    logging.getLogger("mlflow.tracking.request_header.registry").setLevel(logging.ERROR)


@contextmanager
def translated(principal: str, doing: str) -> Iterator[None]:
    """Run one call of mlflow's client; its refusals come out as ours."""
    from botocore.exceptions import BotoCoreError, ClientError
    from mlflow.exceptions import MlflowException

    with workspace_translated(principal, doing):
        try:
            yield
        except MlflowException as error:
            raise _as_ours(error, principal, doing) from error
        except (
            BotoCoreError,
            ClientError,
        ) as error:  # the upload, with the credential that Unity Catalog vended
            if said := _STORAGE_SAID.search(str(error)):
                raise _of_storage(said[1], principal, doing) from error
            raise Unavailable(
                f"the registry's storage gave no answer while {principal} tried to {doing}",
                got=type(error).__name__,
            ) from error
        except Exception as error:
            if not raised_in(error.__traceback__, _PARSERS):
                raise
            raise malformed(
                principal, doing, f"fields of other types ({type(error).__name__})"
            ) from error


def _of_storage(code: str, principal: str, doing: str) -> GovernanceError:
    if code not in _STORAGE_DENIED:
        return Unavailable(
            f"the registry's storage gave no answer while {principal} tried to {doing}", got=code
        )
    return AccessDenied(
        f"the registry's storage refused {principal}, who tried to {doing}",
        expected="that the credential vended for this version may write its files",
        got=code,
        do="check the storage credential, the bucket's policy and its key's policy",
    )


def _as_ours(error: "MlflowException", principal: str, doing: str) -> Exception:
    """What the transport met, if it did: mlflow wraps it. Else mlflow's own code, INTERNAL_ERROR where it has none."""
    met = error.__cause__ or error.__context__
    if isinstance(met, GovernanceError):
        return met
    if isinstance(met, Malformed):
        return malformed(principal, doing, str(met))
    if isinstance(met, Unanswered):
        return no_answer("the registry", principal, doing, met)
    if isinstance(met, Refused):
        return _refused(met, principal, doing)
    if said := _STORAGE_SAID.search(str(error.message)):
        return _of_storage(said[1], principal, doing)
    document = getattr(error, "json", None)  # of a RestException: the service's own words
    code = (
        str(document["error_code"])
        if isinstance(document, dict) and "error_code" in document
        else None
    )
    return _by_code(
        code or error.error_code,
        str(error.message)[:300],
        principal,
        doing=doing,
        foreign=code is not None,
    )


def _by_code(code: str, text: str, principal: str, *, doing: str, foreign: bool) -> Exception:
    """Where no status is known. `foreign`: the code is the service's own, so an unknown one is a refusal, and no lost answer."""
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
    """By status; `workspace_translated` knows what to make of databricks-sdk's classes."""
    text = f"{refusal.code}: {refusal.text}" if refusal.code else str(refusal)
    if refusal.status == 401:
        return databricks.Unauthenticated(text)
    if refusal.status == 403:
        return databricks.PermissionDenied(text)
    if refusal.status == 404 or refusal.code.endswith(_ABSENT):
        return not_found(principal, doing, code=refusal.code, text=text)
    if refusal.status == 409 or "ALREADY_EXISTS" in refusal.code:
        return Conflict(f"{principal} tried to {doing}", got=text)
    if refusal.code == "INVALID_STATE":  # a later moment may be right
        return GovernanceError(f"{principal} tried to {doing}", got=text)
    return InvalidRequest(
        f"the registry refused what {principal} asked for: {doing}",
        expected="a request that the registry accepts",
        got=f"HTTP {refusal.status} {text}",
        do="correct what the text names; the same request is refused each time",
    )

"""HTTP to the workspace: every request of databricks-sdk, mlflow and our own goes through one adapter that applies
`steps.governance.retrying`.

    client = workspace_client(host, authenticate, policy=Policy())       # databricks-sdk, its own repetition switched off
    session.mount(f"{host}/", Transport(Policy()))                       # any other requests session

The adapter stands below the libraries, where status and headers are still known: databricks-sdk sleeps a `Retry-After`
in full whatever its budget, does not repeat 500, 502 and 504, and repeats creations; mlflow keeps neither status nor
headers of a refusal. It raises `Unanswered` where no usable answer came, and `Malformed` for an answer with a success
status that is no JSON object. With `refusals` it also raises `Refused` for each other error status, so that its status
survives a library that would drop it.

Three places in databricks-sdk 0.156 are relied on; tests/steps/governance/test_transport.py fails if an update changes one:
`Config(clock=…)` paces the SDK's repetitions, `ApiClient._api_client._session` is its requests session, and
`Config._resolve_host_metadata` asks the host for its description with a client of its own, whose pauses nothing bounds.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.clock import Clock as SdkClock
from databricks.sdk.config import Config, ConfigAttribute
from databricks.sdk.credentials_provider import CredentialsProvider, CredentialsStrategy
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from steps.governance.retrying import Attempts, Failure, Policy, Unanswered, failure_of, is_read

Authenticate = Callable[[], dict[str, str]]

TIMEOUT_SECONDS = (
    30.0  # until an attempt is answered: one that hangs leaves time for another within the budget
)
_CONNECT_SECONDS = 5.0
_SDK_BUDGET_SECONDS = (
    1  # databricks-sdk's own, should an update no longer ask our clock; its default is 300
)
_CONNECTIONS = 20  # databricks-sdk's own number
_AUTH_TYPE = "oauth-m2m"
_PRODUCT = ("governed-finetune", "0.1.0")
_MOST_CHARACTERS = 300  # of the service's own text


class Malformed(Unanswered):
    """An answer with a success status that is no JSON object."""


class Refused(Exception):
    """An error status that is final, with the service's own code and the beginning of its text."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(f"HTTP {status} {code}: {text}"[: _MOST_CHARACTERS + 100])
        self.status, self.code, self.text = status, code, text[:_MOST_CHARACTERS]


class Transport(HTTPAdapter):
    """Sends requests as the policy says. `authenticate` gives a repeated request a token that is valid by then."""

    def __init__(
        self, policy: Policy, *, authenticate: Authenticate | None = None, refusals: bool = False
    ) -> None:
        super().__init__(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS, pool_block=True)
        self._policy, self._authenticate, self._refusals = policy, authenticate, refusals

    def send(  # type: ignore[override]  # the other arguments go on to requests as they came
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        **more: Any,
    ) -> requests.Response:
        """Send, and send again, until there is an answer.

        Raises:
            Unanswered: there was none within the budget, or repeating might do twice what was asked for.
            Refused: an error status, if refusals are raised.
        """
        method, path = str(request.method), urlsplit(str(request.url)).path
        attempts, read = Attempts(f"{method} {path}", self._policy), is_read(method, path)
        while True:
            bounded = _bounded(timeout, attempts, longest=TIMEOUT_SECONDS if read else None)
            answer = self._sent_once(request, stream=stream, timeout=bounded, **more)
            if isinstance(answer, requests.Response):
                return self._checked(answer, stream=stream, read=read)
            if not (answer.unprocessed or read):
                raise attempts.unanswered(answer)
            attempts.wait(answer)
            if self._authenticate is not None:
                request.headers.update(self._authenticate())

    def _sent_once(
        self, request: requests.PreparedRequest, **how: Any
    ) -> requests.Response | Failure:
        try:
            response = super().send(request, **how)
            if not how["stream"]:
                _ = response.content  # a connection may break in the middle of it
        except requests.RequestException as error:
            return Failure(_innermost(error), unprocessed=_found_no_connection(error))
        retry_after, now = response.headers.get("Retry-After"), self._policy.clock.now()
        failure = failure_of(response.status_code, retry_after, now)
        if failure is not None:
            response.close()
        return failure or response

    def _checked(
        self, response: requests.Response, *, stream: bool, read: bool
    ) -> requests.Response:
        if (
            response.is_redirect
        ):  # the workspace's API sends nobody elsewhere; a login page or a proxy does
            if self._refusals:
                raise Refused(
                    response.status_code, "REDIRECT", "the workspace sent the request elsewhere"
                )
            raise Malformed(f"HTTP {response.status_code}, a redirect")
        if response.ok:
            if not (stream or response.request.method == "HEAD"):
                _check_json(response, read=read)
        elif self._refusals:
            raise _refused(response)
        return response


def workspace_client(
    host: str,
    authenticate: Authenticate,
    *,
    policy: Policy,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> WorkspaceClient:
    """A databricks-sdk client whose requests all go through `Transport`; it sends none while it is made."""
    config = _PlainConfig(
        host=host,
        auth_type=_AUTH_TYPE,  # pinned: a DATABRICKS_TOKEN in the environment must not win, nor raise
        credentials_strategy=_Given(authenticate),
        http_timeout_seconds=timeout_seconds,
        retry_timeout_seconds=_SDK_BUDGET_SECONDS,
        product=_PRODUCT[0],
        product_version=_PRODUCT[1],
        clock=_NoSecondTime(),
    )
    client = WorkspaceClient(config=config)
    client.api_client._api_client._session.mount(
        f"{host}/", Transport(policy, authenticate=authenticate)
    )
    return client


class _PlainConfig(Config):
    """Host and identity are given; nothing is asked of the host to find them."""

    @classmethod
    def attributes(cls) -> Iterable[ConfigAttribute]:
        """The SDK's settings: it looks for them in the class itself, so a subclass would have none."""
        return Config.attributes()

    def _resolve_host_metadata(self) -> None:
        """The SDK would ask `/.well-known/databricks-config` here; nothing that it says is needed."""


class _NoSecondTime(SdkClock):
    """The clock of a client that repeats nothing: where the SDK would pause, the call's own error is raised."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> NoReturn:
        """Raise what the SDK caught."""
        raise sys.exception() or RuntimeError(
            f"databricks-sdk wants to wait for {seconds} s outside of a retry"
        )


class _Given(CredentialsStrategy):
    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate

    def auth_type(self) -> str:
        return _AUTH_TYPE

    def __call__(self, cfg: Config) -> CredentialsProvider:
        return self._authenticate


def _bounded(timeout: Any, attempts: Attempts, *, longest: float | None) -> tuple[float, float]:
    """Connect and read time-out of one attempt: the caller's, shorter where a read or a nearly spent budget needs it."""
    given = float(timeout[1] if isinstance(timeout, tuple) else timeout or TIMEOUT_SECONDS)
    seconds = min(given, longest or given)
    if attempts.count > 1:
        seconds = min(seconds, max(attempts.seconds_left, 0.1))
    return min(_CONNECT_SECONDS, seconds), seconds


def _found_no_connection(error: requests.RequestException) -> bool:
    """Whether the request certainly did not reach the workspace."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _innermost(error: BaseException) -> str:
    """The class of an error and of what it wraps; their texts may hold a URL with its query."""
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else None
    return (
        f"{type(error).__name__} ({type(reason).__name__})"
        if isinstance(reason, Exception)
        else type(error).__name__
    )


def _check_json(response: requests.Response, *, read: bool) -> None:
    """A JSON object; an effect may be answered with nothing at all.

    Raises:
        Malformed: anything else.
    """
    if not urlsplit(str(response.url)).path.startswith("/api/") or (
        not response.content and not read
    ):
        return
    try:
        document = json.loads(response.content.decode("utf-8"))
    except (ValueError, RecursionError):
        kind = response.headers.get("Content-Type", "no content type").partition(";")[0][:60]
        raise Malformed(
            f"HTTP {response.status_code} with {len(response.content)} bytes, {kind}, no JSON"
        ) from None
    if not isinstance(document, dict):
        raise Malformed(
            f"HTTP {response.status_code} with a JSON {_JSON_NAMES[type(document)]} where an object belongs"
        )


_JSON_NAMES: Mapping[type, str] = {
    list: "list",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def _refused(response: requests.Response) -> Refused:
    try:
        document = json.loads(response.content)
        code, text = str(document["error_code"]), str(document.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # Not the service's own words: a proxy's page may repeat what was sent to it.
        code, text = "", f"{len(response.content)} bytes that are no JSON object with an error_code"
    return Refused(response.status_code, code[:100], " ".join(text.split()))

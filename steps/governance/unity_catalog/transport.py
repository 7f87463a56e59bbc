"""HTTP to the workspace: one requests adapter that retries as `unity_catalog.retrying` defines.

    session.mount(f"{host}/", Transport(Policy()))

All requests of databricks-sdk (`unity_catalog.sdk.client`), of mlflow and of our own code go
through it. It works below these libraries, where status and headers are still known: databricks-sdk
sleeps a whole `Retry-After` without regard to its budget, does not retry 500, 502 and 504, and
retries creations; mlflow drops the status and the headers of an error.

The adapter raises `Unanswered` if no usable answer came, and `Malformed` for a response with a
success status that is not a JSON object. An error status with a page instead of the workspace's
refusal is a lost answer (`unity_catalog.own_refusals`). With `refusals` it also raises `Refused`
for each other error status, so that the status is not lost in a library that would drop it. After a
401 it sends the request with another token, twice at most: a refused request had no effect.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from steps.governance.unity_catalog.own_refusals import is_page, own_refusal
from steps.governance.unity_catalog.retrying import (
    Attempts,
    Failure,
    Policy,
    Unanswered,
    failure_of,
    is_read,
    seconds_asked,
)

Authenticate = Callable[[], dict[str, str]]


class Renew(Protocol):
    """`steps.governance.unity_catalog.identity` implements it: another token after a 401."""

    def __call__(self, used: str, *, reread: bool) -> dict[str, str] | None:
        """Return the header to use after `used` was refused, or None; `reread`: the second time."""


# Of one attempt, until the answer; half of the budget, so that an attempt that hangs can be
# retried.
TIMEOUT_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_CONNECTIONS = 20  # databricks-sdk's own number
_RENEWALS = 2  # of the token in one call: a new token, then one of the secret as it is now
_MOST_CHARACTERS = 300  # of the service's own text


class Malformed(Unanswered):
    """A response with a success status that is not a JSON object."""


class Refused(Exception):
    """A final error status, with the service's code and the beginning of its text."""

    def __init__(self, status: int, code: str, text: str) -> None:
        named = f"HTTP {status} {code}".rstrip()
        super().__init__(f"{named}: {text}"[: _MOST_CHARACTERS + 100])
        self.status, self.code, self.text = status, code, text[:_MOST_CHARACTERS]


class Transport(HTTPAdapter):
    """A requests adapter with retries. `authenticate` returns a fresh token for each retry."""

    def __init__(
        self,
        policy: Policy,
        *,
        authenticate: Authenticate | None = None,
        refusals: bool = False,
        renew: Renew | None = None,
    ) -> None:
        super().__init__(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS, pool_block=True)
        self._policy, self._authenticate, self._refusals = policy, authenticate, refusals
        self._renew = renew

    def send(  # type: ignore[override]  # the other arguments are passed to requests unchanged
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        **more: Any,
    ) -> requests.Response:
        """Send the request, with retries, until there is an answer.

        Raises:
            Unanswered: no answer within the budget, or the request may have had its effect and
                must not be sent again.
            Refused: an error status, if refusals are raised.
        """
        method, path = str(request.method), urlsplit(str(request.url)).path
        attempts, read = Attempts(f"{method} {path}", self._policy), is_read(method, path)
        renewals = 0
        while True:
            bounded = _bounded(timeout, attempts, longest=TIMEOUT_SECONDS if read else None)
            answer = self._sent_once(request, stream=stream, timeout=bounded, **more)
            if isinstance(answer, requests.Response):
                if self._renewed(request, answer, renewals):
                    renewals += 1
                    continue
                return self._checked(answer, stream=stream, read=read)
            if not (answer.unprocessed or read):
                raise attempts.unanswered(answer)
            attempts.wait(answer)
            if self._authenticate is not None:
                request.headers.update(self._authenticate())

    def _renewed(
        self, request: requests.PreparedRequest, answer: requests.Response, renewals: int
    ) -> bool:
        """Put another token into a request that got a 401; return whether there is one."""
        refused = answer.status_code == requests.codes.unauthorized
        if not refused or self._renew is None or renewals == _RENEWALS:
            return False
        header = self._renew(str(request.headers.get("Authorization", "")), reread=renewals > 0)
        if header is not None:
            answer.close()
            request.headers.update(header)
        return header is not None

    def _sent_once(
        self, request: requests.PreparedRequest, **how: Any
    ) -> requests.Response | Failure:
        try:
            response = super().send(request, **how)
            if not how["stream"]:
                _ = response.content  # the connection may break while the body arrives
            page = is_page(response)
        except requests.RequestException as error:
            return Failure(_innermost(error), unprocessed=_found_no_connection(error))
        retry_after, now = response.headers.get("Retry-After"), self._policy.clock.now()
        failure = failure_of(response.status_code, retry_after, now)
        if failure is None and page:
            cause = f"HTTP {response.status_code}, a page that is not the workspace's"
            failure = Failure(cause, seconds_asked(retry_after, now))
        if failure is not None:
            response.close()
        return failure or response

    def _checked(
        self, response: requests.Response, *, stream: bool, read: bool
    ) -> requests.Response:
        # The workspace's API never redirects; a login page or a proxy does.
        if response.is_redirect:
            if self._refusals:
                text = "the workspace sent the request elsewhere"
                raise Refused(response.status_code, "REDIRECT", text)
            raise Malformed(f"HTTP {response.status_code}, a redirect")
        if response.ok:
            if not (stream or response.request.method == "HEAD"):
                _check_json(response, read=read)
        elif self._refusals:
            raise _refused(response)
        return response


def _bounded(timeout: Any, attempts: Attempts, *, longest: float | None) -> tuple[float, float]:
    """Return connect and read time-out of one attempt, in seconds.

    They are the caller's, but at most `longest`, and for a retry at most what is left of the
    budget.
    """
    given = float(timeout[1] if isinstance(timeout, tuple) else timeout or TIMEOUT_SECONDS)
    seconds = min(given, longest or given)
    if attempts.count > 1:
        seconds = min(seconds, max(attempts.seconds_left, 0.1))
    return min(_CONNECT_SECONDS, seconds), seconds


def _found_no_connection(error: requests.RequestException) -> bool:
    """Return whether the request certainly did not reach the workspace."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _innermost(error: BaseException) -> str:
    """Return the class names of an error and its cause.

    Their texts may contain a URL with a query.
    """
    reason = getattr(error.args[0], "reason", error.args[0]) if error.args else None
    return (
        f"{type(error).__name__} ({type(reason).__name__})"
        if isinstance(reason, Exception)
        else type(error).__name__
    )


def _check_json(response: requests.Response, *, read: bool) -> None:
    """Require a JSON object; the answer to an effect may also be empty.

    Raises:
        Malformed: any other body.
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
        kind = _JSON_NAMES[type(document)]
        raise Malformed(f"HTTP {response.status_code} with a JSON {kind} where an object belongs")


_JSON_NAMES: Mapping[type, str] = {
    list: "list",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def _refused(response: requests.Response) -> Refused:
    # A body without a code is not quoted: a proxy's page may repeat the request with its secrets.
    size = len(response.content)
    code, text = own_refusal(response) or (
        "",
        f"{size} bytes without the workspace's error_code; a page may have answered",
    )
    return Refused(response.status_code, code[:100], " ".join(text.split()))

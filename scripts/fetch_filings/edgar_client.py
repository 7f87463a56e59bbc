"""Requests to EDGAR as the SEC asks for them: at a bounded rate, and with a contact.

    with Edgar(Access("Example Bank research@example.com")) as edgar:
        edgar.json("data", "/submissions/CIK0000320193.json")
        edgar.content("www", "/Archives/edgar/data/320193/000032019322000108/a.htm")

The SEC allows ten requests a second from one user, on all machines together, and blocks
an address that sends more for ten minutes (https://www.sec.gov/about/developer-resources). It
answers requests without a contact with 403.

| answer | here |
|---|---|
| 429, 5xx, a 403 about the request rate, no connection, a cut body | sent again, in the budget |
| `Retry-After` | honoured if it fits the budget, else the request fails at once |
| other 403 | final: the contact, or this network, is refused |
| 404, other 4xx, a redirect | final |

Every request is a read, so a repeated one changes nothing.
"""

import json
import random
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx

from pipeline.errors import PipelineError, UsageError

MOST_PER_SECOND = 10.0
HOSTS = {"data": "https://data.sec.gov", "www": "https://www.sec.gov"}

_TIMEOUT_SECONDS = 30.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 60.0
_MOST_BYTES = 256 << 20  # the largest filings have some 100 MB
_CONTACT = re.compile(r"[!-~]+( [!-~]+)*")  # printable ASCII, as a header takes it
_ADDRESS = re.compile(r"\S+@\S+\.\w+")
_RATE = re.compile(rb"request rate|traffic limit", re.IGNORECASE)
_TOO_MANY = 429


class Unanswered(PipelineError):
    """EDGAR did not answer within the budget."""


class NotServed(PipelineError):
    """EDGAR refuses this request, or has no such document."""


@dataclass(frozen=True)
class Access:
    """Who asks, how often, and how long one request may be tried.

    `loopback` replaces both hosts by a server on this machine.
    """

    contact: str
    per_second: float = 5.0
    budget_seconds: float = 900.0  # longer than a block of the SEC, which lasts 600
    loopback: str | None = None

    def __post_init__(self) -> None:
        if not (_CONTACT.fullmatch(self.contact) and _ADDRESS.search(self.contact)):
            raise UsageError(
                "the contact for EDGAR cannot be used\n  expected  a name and an e-mail address, "
                f"such as 'Example Bank research@example.com'\n  got       {self.contact!r}\n"
                "  do        give --contact, or set EDGAR_CONTACT"
            )
        if not 0 < self.per_second <= MOST_PER_SECOND:
            raise UsageError(
                f"--per-second: above 0 and up to {MOST_PER_SECOND:g} expected, which the SEC "
                f"allows, got {self.per_second:g}"
            )
        if self.budget_seconds <= 0:
            raise UsageError(f"--budget-seconds: above 0 expected, got {self.budget_seconds:g}")
        if self.loopback and not re.fullmatch(r"http://127\.0\.0\.1:\d+", self.loopback):
            raise UsageError(
                f"--loopback: http://127.0.0.1:PORT expected, got {self.loopback!r}; "
                "no other host than EDGAR's is asked"
            )


class Edgar:
    """A client of EDGAR's two hosts; one request at a time."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._client = httpx.Client(
            headers={"User-Agent": access.contact, "Accept-Encoding": "gzip, deflate"},
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
        )
        self._next = 0.0  # time.monotonic() of the earliest next request
        self.requests = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def json(self, host: str, path: str) -> Any:
        """Return a JSON document.

        Raises:
            NotServed: EDGAR has no document there, or it is not JSON.
            Unanswered: no answer within the budget.
        """
        content = self.content(host, path)
        try:
            return json.loads(content)
        except ValueError:
            raise NotServed(f"{self._url(host, path)} is not JSON") from None

    def content(self, host: str, path: str) -> bytes:
        """Return a document's bytes; raises as `json` does."""
        url, until = self._url(host, path), time.monotonic() + self._access.budget_seconds
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._once(url)
            except _Passing as fault:
                spread = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret: it spreads clients
                wait = max(pause * spread, fault.after)
                if time.monotonic() + wait > until:
                    raise Unanswered(
                        f"EDGAR did not answer {url}\n"
                        f"  expected  an answer within {self._access.budget_seconds:g} s\n"
                        f"  got       {fault}\n"
                        "  do        start the command again later: what was fetched stays"
                    ) from None
                time.sleep(wait)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _once(self, url: str) -> bytes:
        time.sleep(max(0.0, self._next - time.monotonic()))
        self._next = time.monotonic() + 1 / self._access.per_second
        self.requests += 1
        try:
            with self._client.stream("GET", url) as response:
                content = _bounded(response, url)
        except httpx.TransportError as error:
            raise _Passing(type(error).__name__) from None
        if response.status_code == httpx.codes.OK:
            return content
        status = f"{response.status_code} {response.reason_phrase}".strip()
        limited = response.status_code == httpx.codes.FORBIDDEN and _RATE.search(content)
        if response.status_code == _TOO_MANY or response.is_server_error or limited:
            raise _Passing(status, after=_seconds(response.headers.get("Retry-After")))
        raise NotServed(
            f"EDGAR does not serve {url}\n  got       {status}\n  do        {_advice(response)}"
        )

    def _url(self, host: str, path: str) -> str:
        return (self._access.loopback or HOSTS[host]) + path


class _Passing(Exception):
    """A fault that another request may not have; `after` is the least pause in seconds."""

    def __init__(self, fault: str, *, after: float = 0.0) -> None:
        super().__init__(fault)
        self.after = after


def _bounded(response: httpx.Response, url: str) -> bytes:
    parts, size = list[bytes](), 0
    for part in response.iter_bytes():
        size += len(part)
        if size > _MOST_BYTES:
            raise NotServed(f"{url} has more than {_MOST_BYTES >> 20} MiB, it was not read")
        parts.append(part)
    return b"".join(parts)


def _seconds(header: str | None) -> float:
    """Return the seconds of a `Retry-After` header, as a number or a date; 0 if it is neither."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return 0.0


def _advice(response: httpx.Response) -> str:
    if response.status_code == httpx.codes.FORBIDDEN:
        return "check the contact, and whether the SEC blocks this network"
    if response.status_code == httpx.codes.NOT_FOUND:
        return "check the company and the years"
    return "look at the address in a browser"

"""An HTTP proxy before a workspace or AWS that records every call and replaces one answer."""

import http.client
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, urlsplit

from steps.governance.unity_catalog.retrying import is_read
from tests.steps import own_answers
from tests.support.http_server import Handler


@dataclass(frozen=True)
class Fault:
    """The answer that one call gets instead of the workspace's answer.

    `after`: the service performs the call before its answer is replaced. Status 0 closes the
    connection without an answer. `cut`: the service's own answer, but half of its body. `seconds`:
    the service's own answer, so much later. `own`: the service's own refusal of this kind.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    content: bytes = b"<html>Bad Gateway</html>"
    cut: bool = False
    seconds: float = 0.0
    own: str = ""


LOST_BEFORE, LOST_AFTER = Fault(502), Fault(502, after=True)
ASKING = {status: Fault(status, {"Retry-After": "3600"}) for status in (429, 503)}


@dataclass
class Proxy:
    """The calls since `arm` (`asked`: "METHOD /path"), and the faults with their calls (`sent`).

    The path of a call to AWS's JSON services is the name of the operation. While `out` returns
    True, every call gets a 503.
    """

    host: str = ""
    asked: list[str] = field(default_factory=list)
    sent: list[tuple[str, Fault]] = field(default_factory=list)
    out: Callable[[], bool] = lambda: False
    _plan: dict[int, Fault] = field(default_factory=dict)
    _of_apis: dict[str, Fault] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def fired(self) -> bool:
        """Whether a fault was sent."""
        return bool(self.sent)

    def arm(self, at: int = -1, fault: Fault | None = None) -> None:
        """Forget the recorded calls, and replace the answer to call number `at` from now on."""
        self.arm_all({at: fault} if fault else {})

    def arm_all(self, plan: dict[int, Fault]) -> None:
        """Forget the recorded calls, and replace the answers to these calls, by number."""
        with self._lock:
            self.asked, self.sent, self._plan, self._of_apis = [], [], plan, {}

    def arm_api(self, name: str, fault: Fault) -> None:
        """Forget the recorded calls, and replace the next answer of this API (`api`)."""
        self.arm_all({})
        self._of_apis[name] = fault

    def note(self, call: str) -> Fault | None:
        with self._lock:
            self.asked.append(call)
            fault = self._plan.get(len(self.asked) - 1) or self._of_apis.pop(api(call), None)
            if self.out():
                fault = KINDS["503"]
            if fault is not None:
                self.sent.append((call, fault))
            return fault


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback, but not if the client has gone: a test may have killed it."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _upstream(
    target: SplitResult, call: tuple[str, str], body: bytes, headers: Message
) -> tuple[http.client.HTTPResponse, bytes]:
    """Ask the service itself; return its answer and the body."""
    connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=30)
    connection.request(*call, body, _kept(headers.items()))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def _instead(fault: Fault, call: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body in the place of the answer to this call."""
    own = own_answers.refusal(fault.own, call) if fault.own else None
    return own or (fault.status, fault.headers, fault.content)


def _handler(proxy: Proxy, target: SplitResult) -> type[Handler]:
    class Passing(Handler):
        def _pass_on(self) -> None:
            body = self.body()
            path = self.headers.get("X-Amz-Target") or self.path.partition("?")[0]
            fault = proxy.note(f"{self.command} {path}")
            if fault is not None and not fault.after:
                return self._reply(*_instead(fault, f"{self.command} {path}"))
            answer, content = _upstream(target, (self.command, self.path), body, self.headers)
            if fault is not None and not (fault.cut or fault.seconds):
                return self._reply(fault.status, fault.headers, fault.content)
            time.sleep(fault.seconds if fault else 0.0)
            length = answer.getheader("Content-Length") or str(len(content))
            sent = content[: len(content) // 2] if fault and fault.cut else content
            return self._reply(answer.status, _kept(answer.getheaders()), sent, length)

        # N815: http.server requires these names.
        do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = do_HEAD = _pass_on

        def _reply(
            self, status: int, headers: dict[str, str], content: bytes, length: str | None = None
        ) -> None:
            self.close_connection = not status
            if not status:
                return
            length = length or str(len(content))
            self.send_response_only(status)
            for name, value in {**headers, "Content-Length": length}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            self.close_connection = length != str(len(content))

    return Passing


def _kept(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the headers without those of one connection, and without the body's length."""
    dropped = ("connection", "transfer-encoding", "content-length", "keep-alive", "expect")
    return {name: value for name, value in headers if name.lower() not in dropped}


@contextmanager
def before(upstream: str, proxy: Proxy | None = None) -> Iterator[Proxy]:
    """Start a proxy in front of the service at `upstream`; stop it at the end."""
    proxy, target = proxy or Proxy(), urlsplit(upstream)

    server = _Server(("127.0.0.1", 0), _handler(proxy, target))
    server.daemon_threads = True
    proxy.host = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def recorded(proxy: Proxy, run: Callable[[], object]) -> list[str]:
    """Return the calls of one run without faults, in their order."""
    proxy.arm()
    run()
    return list(proxy.asked)


def losses(calls: list[str]) -> list[tuple[int, Fault]]:
    """Return a 502 for each call in turn: before it is performed, for each effect also after."""
    every = [(number, LOST_BEFORE) for number in range(len(calls))]
    return every + [
        (number, LOST_AFTER) for number, call in enumerate(calls) if not is_read(*call.split())
    ]


def demands(calls: list[str]) -> list[tuple[int, Fault]]:
    """Return for each call an answer that asks to wait an hour: 429 and 503 alternately."""
    return [(number, ASKING[(429, 503)[number % 2]]) for number in range(len(calls))]


KINDS: dict[str, Fault] = {
    "dropped before": Fault(),
    "dropped after": Fault(after=True),
    **{str(status): Fault(status) for status in (401, 403, 404, 429, 500, 503)},
    "truncated": Fault(after=True, cut=True),
    "garbage 200": Fault(200, content=b"\x00garbage\xff"),
    "slow": Fault(after=True, seconds=1.0),
}


# The service's own refusals. `KINDS` are what may come between; a proxy's 403 and 404 are pages.
REFUSALS = {kind: Fault(own=kind) for kind in (own_answers.DENIED, own_answers.ABSENT)}


def kinds_at(call: str) -> dict[str, Fault]:
    """Return every fault that this call can meet."""
    own = {kind: fault for kind, fault in REFUSALS.items() if own_answers.refusal(kind, call)}
    return KINDS | own


def kind_of(fault: Fault) -> str:
    """Return the name of a fault of `KINDS` or `REFUSALS`."""
    return next(name for name, known in (KINDS | REFUSALS).items() if known is fault)


_CHANGING = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{24,}"
    r"|(?<=/)[a-z0-9]{12}(?=/)|(?<=pipelines-)[a-z0-9]{12}|(?<=jobruns/)[a-z0-9]+"
    r"|edgar[.](models|curated)[.][a-z]{8}|(?<=campaign/)[a-z]{8}|[0-9]+"
)


def api(call: str) -> str:
    """Return the call without the digests, numbers and names of one execution."""
    return _CHANGING.sub("#", call)


def apis(calls: Iterable[str]) -> list[str]:
    """Return the APIs of the calls, each once, in the order of their first calls."""
    return list(dict.fromkeys(map(api, calls)))

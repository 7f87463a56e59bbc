"""Faults for tests of clients: a status, a delay, or a connection that is dropped before or after
the handler ran.

They need `--enable-faults`. `POST /_test/faults` replaces all rules, `GET` returns the remaining
ones:

    [{"method": "POST", "path": "/external-lineage$", "times": 1, "drop": "after"},
     {"path": "temporary-table-credentials", "times": 2, "status": 429,
      "headers": {"Retry-After": "1"}},
     {"path": "/oidc/v1/token", "times": 1, "delay_seconds": 0.5},
     {"path": "/enabled$", "status": 200, "answer": {"enabled": true}}]

`path` is a regular expression, searched. The first rule that matches and has `times` left is used.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ERROR_CODES = {
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}


@dataclass
class Fault:
    """One rule; `drop` closes the connection unanswered, before or after the handler runs."""

    path: str
    method: str = ""
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: Literal["before", "after"] | None = None
    delay_seconds: float = 0.0
    answer: dict[str, Any] | None = None  # the body of `status`, in place of an error's

    def matches(self, scope: Scope) -> bool:
        """Return whether method and path of a request match, and `times` is not used up."""
        wanted = self.method in ("", scope["method"]) and re.search(self.path, scope["path"])
        return bool(wanted) and self.times > 0


class Faults:
    """ASGI middleware that injects the faults of its rules."""

    def __init__(self, app: ASGIApp):
        self._app = app
        self._rules: list[Fault] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if scope["path"] == "/_test/faults":
            return await (await self._configure(Request(scope, receive)))(scope, receive, send)
        fault = next((rule for rule in self._rules if rule.matches(scope)), None)
        if fault is None:
            return await self._app(scope, receive, send)
        fault.times -= 1
        return await self._spoil(fault, scope, receive, send)

    async def _configure(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                self._rules = [Fault(**rule) for rule in json.loads(await request.body())]
            except (TypeError, ValueError) as error:
                return JSONResponse(
                    {"error_code": "INVALID_PARAMETER_VALUE", "message": str(error)}, 400
                )
        return JSONResponse([asdict(rule) for rule in self._rules])

    async def _spoil(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(fault.delay_seconds)
        if fault.drop == "before":
            _drop(send)
        elif fault.drop == "after":
            await self._app(scope, receive, _nowhere)
            _drop(send)
        elif fault.status is not None:
            code = _ERROR_CODES.get(fault.status, "INTERNAL_ERROR")
            body = fault.answer or {
                "error_code": code,
                "message": f"injected fault: {fault.status}",
            }
            await JSONResponse(body, fault.status, headers=fault.headers)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _nowhere(_message: Message) -> None:
    """Send nothing, because the connection is dropped."""


def _drop(send: Any) -> None:
    """Close the socket. ASGI has no message for that; `send` is a method of uvicorn's request,
    which has the transport.
    """
    send.__self__.transport.abort()

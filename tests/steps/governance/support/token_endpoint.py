"""A scripted token endpoint: the accepted secrets, the first answers, the received requests."""

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field

NOTHING = object()


@dataclass
class TokenEndpoint:
    """State of the endpoint: the accepted secret, the first answers, the received requests."""

    origin: str = ""
    accepted: dict[str, str] = field(default_factory=dict)
    first_answers: list[int] = field(default_factory=list)
    expires_in: int = 3600
    instead: object = NOTHING
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    refuses_while: Callable[[], int | None] = lambda: None

    def answer(self, authorization: str | None, form: dict[str, str]) -> tuple[int, object]:
        self.forms.append(form)
        client_id, secret = form.get("client_id", ""), form.get("subject_token", "")
        if authorization is not None:
            basic = b64decode(authorization.removeprefix("Basic ")).decode()
            client_id, _, secret = basic.partition(":")
        self.asked.append((client_id, secret))
        if (status := self.refuses_while()) is not None:
            return status, {"error": "temporarily_unavailable"}
        if self.instead is not NOTHING:
            return 200, self.instead
        if self.first_answers:
            return self.first_answers.pop(0), {"error": "temporarily_unavailable"}
        if self.accepted.get(client_id) != secret:
            return 401, {"error": "invalid_client", "error_description": f"bad secret {secret}"}
        return 200, {
            "access_token": f"token-{len(self.asked)}",
            "token_type": "Bearer",
            "expires_in": self.expires_in,
        }

"""STS's GetWebIdentityToken, and IAM's switch that allows it: ministack signs no such token.

    web_identity.serve(account)    # once, before the server starts

The token has the claims that AWS's user guide lists: issuer, the caller's role as subject, the
audience, the account. It is signed with a P-384 key of this state folder. `jwks.json` next to it
has the public key, which a workspace needs because it cannot reach the issuer's address. IAM has
decided about the call before it comes here. [unverified] against AWS.
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from ministack.core import iam_evaluator

from pipeline.local.aws import authorization
from pipeline.local.aws.account import Account
from pipeline.local.aws.errors import Invalid, ServiceError

Answer = tuple[int, dict[str, str], bytes]
TOKEN = "GetWebIdentityToken"  # noqa: S105 - the name of an action
_SWITCH = "OutboundWebIdentityFederation"
_KIND, _KEY = "web-identity", "account"
_NAMESPACES = {
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
}


class Disabled(ServiceError):
    """The account's administrator has not allowed tokens for others."""

    status = 403
    code = "OutboundWebIdentityFederationDisabledException"


class FeatureDisabled(ServiceError):
    """The switch is off, and its state was asked for."""

    status = 404
    code = "FeatureDisabled"


class FeatureEnabled(ServiceError):
    """The switch is on already."""

    status = 409
    code = "FeatureEnabled"


def serve(account: Account) -> None:
    """Serve the token and the switch in front of ministack's own STS and IAM."""
    from ministack.services import iam, sts

    identities = WebIdentities(account)
    for module, ours in ((iam, identities.iam), (sts, identities.sts)):
        module.handle_request = _before(module.handle_request, ours)


def _before(theirs: Callable[..., Any], ours: Callable[[bytes], Answer | None]) -> Any:
    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Mapping[str, Any]
    ) -> Any:
        return ours(body) or await theirs(method, path, headers, body, query)

    return handle_request


class WebIdentities:
    """The account's switch and its tokens."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._key = _private_key(account.state / "web-identity")
        self._issuer = f"https://{uuid.uuid5(uuid.NAMESPACE_DNS, account.id)}.tokens.sts.example"

    def sts(self, body: bytes) -> Answer | None:
        """Answer GetWebIdentityToken; None for another action."""
        form = _form(body)
        if form.get("Action") != TOKEN:
            return None
        try:
            return _answer("sts", TOKEN, self._token(form))
        except ServiceError as error:
            return _error("sts", error)

    def iam(self, body: bytes) -> Answer | None:
        """Answer the actions of the switch; None for another action."""
        action = _form(body).get("Action", "")
        if _SWITCH not in action:
            return None
        try:
            return _answer("iam", action, self._switched(action.partition(_SWITCH)[0]))
        except ServiceError as error:
            return _error("iam", error)

    def _switched(self, verb: str) -> dict[str, str]:
        """Do `Enable`, `Disable` or `Get`, and return the answer's fields."""
        if verb == "Enable" and self._enabled:
            raise FeatureEnabled("Outbound web identity federation is enabled already.")
        if verb != "Enable" and not self._enabled:
            raise FeatureDisabled("Outbound web identity federation is not enabled.")
        if verb != "Get":
            self._account.store.add(_KIND, _KEY, {"enabled": verb == "Enable"})
        if verb == "Disable":
            return {}
        return {"IssuerIdentifier": self._issuer, "JwtVendingEnabled": "true"}

    @property
    def _enabled(self) -> bool:
        return (self._account.store.get(_KIND, _KEY) or {}).get("enabled") is True

    def _token(self, form: Mapping[str, str]) -> dict[str, str]:
        if not self._enabled:
            raise Disabled("Outbound web identity federation is not enabled for the account.")
        algorithm, seconds = form.get("SigningAlgorithm"), int(form.get("DurationSeconds", 300))
        audience = [value for name, value in form.items() if name.startswith("Audience.member.")]
        if algorithm != "ES384":
            raise Invalid(f"SigningAlgorithm {algorithm!r}: this stand-in signs with ES384 only.")
        if not audience or not 60 <= seconds <= 3600:
            raise Invalid("Audience is required, and DurationSeconds is 60 to 3600.")
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "sub": self._subject(),
            "aud": audience if len(audience) > 1 else audience[0],
            "iat": now,
            "exp": now + seconds,
            "jti": str(uuid.uuid4()),
            "https://sts.amazonaws.com/": {"aws_account": self._account.id},
        }
        token = jwt.encode(claims, self._key, "ES384", {"kid": "1"})
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + seconds))
        return {"WebIdentityToken": token, "Expiration": at}

    def _subject(self) -> str:
        """The role of the caller's session, not the session."""
        from ministack.services import iam

        return authorization.principal_arn(iam_evaluator.caller_arn(), iam._roles)


def request_context(body: bytes) -> dict[str, Any]:
    """Return the condition keys of a GetWebIdentityToken."""
    form = _form(body)
    audiences = [value for name, value in form.items() if name.startswith("Audience.member.")]
    keys = {
        "sts:IdentityTokenAudience": audiences,
        "sts:DurationSeconds": form.get("DurationSeconds", "300"),
        "sts:SigningAlgorithm": form.get("SigningAlgorithm"),
    }
    return {name: value for name, value in keys.items() if value}


def _form(body: bytes) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _private_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """Return this account's key; make it and its public half on first use."""
    path = folder / "key.pem"
    if not path.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        made = ec.generate_private_key(ec.SECP384R1())
        public = ECAlgorithm.to_jwk(made.public_key(), as_dict=True)
        document = {"keys": [public | {"kid": "1", "alg": "ES384", "use": "sig"}]}
        (folder / "jwks.json").write_text(json.dumps(document))
        content = made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the key of web identities is not an elliptic curve's")
    return key


def _answer(service: str, action: str, fields: Mapping[str, str]) -> Answer:
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    text = (
        f'<{action}Response xmlns="{_NAMESPACES[service]}"><{action}Result>{inside}'
        f"</{action}Result><ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId>"
        f"</ResponseMetadata></{action}Response>"
    )
    return 200, {"Content-Type": "text/xml"}, text.encode()


def _error(service: str, error: ServiceError) -> Answer:
    text = (
        f'<ErrorResponse xmlns="{_NAMESPACES[service]}"><Error><Type>Sender</Type>'
        f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return error.status, {"Content-Type": "text/xml"}, text.encode()

"""Which error answers are the workspace's own, and which are the page of a proxy or a gateway.

    if is_page(response): ...          # a lost answer: the object may be there
    code, text = own_refusal(response) or ("", "…")

The workspace's REST API gives each refusal a code: JSON with `error_code`; a SCIM error [RFC 7644,
3.12]; at the token endpoint an OAuth error [RFC 6749, 5.2]; and some services of it a text
`CODE: message` [databricks-sdk-py, pull request 741]. Only these are believed. databricks-sdk also
takes a page's `<title>404 Not Found</title>` for the code NOT_FOUND, so a gateway that has lost its
route would be "no such table". `governance.aws_answers` has the same rule for AWS.

A 401 is a refusal with any body: the token is replaced then, and whether the hosted workspace gives
each 401 as JSON is [unverified]. To a HEAD nothing but the status is answered, so it is believed.
"""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import requests

_FIRST_ERROR = 400
_AS_TEXT = re.compile(r"([A-Z][A-Z0-9_]{2,}): (.*)", re.DOTALL)
_SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_OAUTH, _OAUTH_CODE = "/oidc/", re.compile(r"[a-z]+(?:_[a-z]+)+")


def is_page(response: requests.Response) -> bool:
    """Return whether something else than the workspace answered with this error status."""
    believed = response.status_code == requests.codes.unauthorized
    if response.status_code < _FIRST_ERROR or believed or response.request.method == "HEAD":
        return False
    return own_refusal(response) is None


def own_refusal(response: requests.Response) -> tuple[str, str] | None:
    """Return code and text of the workspace's refusal, or None if this is not one."""
    try:
        text = response.content.decode("utf-8")
        document = json.loads(text)
    except UnicodeDecodeError:
        return None
    except (ValueError, RecursionError):
        found = _AS_TEXT.match(text)
        return (found[1], found[2]) if found else None
    return _coded(document, urlsplit(str(response.url)).path)


def _coded(document: Any, path: str) -> tuple[str, str] | None:
    if not isinstance(document, dict):
        return None
    code = document.get("error_code")
    if isinstance(code, str | int):
        return str(code), str(document.get("message", ""))
    if _is_scim(document):
        return f"SCIM_{document.get('status', '')}", str(document.get("detail", ""))
    code = document.get("error")
    if path.startswith(_OAUTH) and isinstance(code, str) and _OAUTH_CODE.fullmatch(code):
        return code, ""  # its description could repeat the request
    return None


def _is_scim(document: dict[str, Any]) -> bool:
    schemas = document.get("schemas")
    return (isinstance(schemas, list) and _SCIM_ERROR in schemas) or (
        "detail" in document and "status" in document
    )

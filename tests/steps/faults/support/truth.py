"""Whether a reason is true: it names the call or its service, and the kind of an injected fault.

    is_true("AWS gave no answer: read s3://…/manifest.json\n  got  503", [Injected(call, "503")])

Each kind has the words that a reader understands it by. A reason that matches the words of another
kind only is untrue, and so is a reason about a service that nothing was injected at.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# What a connection that ends without a whole answer is called: by requests and by botocore.
_LOST = r"ConnectionError|ConnectionClosed|ConnectionReset|EndpointConnection|ProtocolError"
_CUT = r"IncompleteRead|ResponseStreaming|Checksum|of \d+ bytes|cut|whole"
_NOT_ITS = r"NotAws|not AWS's|ResponseParser|not a JSON|no JSON|not JSON|not what|other content"
KINDS = {
    "dropped before": _LOST,
    "dropped after": _LOST,
    "401": r"\b401\b|\bUnauthorized",
    "403": r"\b403\b|AccessDenied|Forbidden|PERMISSION_DENIED",
    "404": r"\b404\b|NoSuch|ResourceNotFound",
    "429": r"\b429\b|TooManyRequests|Throttl",
    "500": r"\b500\b|InternalError|InternalServer",
    "503": r"\b503\b|ServiceUnavailable|SlowDown",
    "truncated": f"{_CUT}|{_LOST}|{_NOT_ITS}",  # half of a JSON text is not JSON
    "garbage 200": _NOT_ITS,
    "slow": r"(?!)",  # an answer within the time-out ends nothing
    # the service's own refusals
    "denied": r"\b403\b|AccessDenied|access_denied|PERMISSION_DENIED|not allowed",
    "absent": r"\b404\b|NoSuch|NotFound|DoesNotExist|DOES_NOT_EXIST|does not exist",
}

_SERVICES = {
    r"POST SageMaker": r"SageMaker|pipeline|training job|execution",
    r"POST AmazonSQS": r"queue|SQS|receive|message|://\S+/\d{12}/",
    r"POST TrentService": r"KMS|\bkey\b|sign",
    r"POST secretsmanager": r"Secrets Manager|\bsecret\b",
    r"GET /applications/": r"EMR|job run|application",
    r"POST /oidc/": r"workspace|https?://\S+ (refused|answered)|access token",
    r"[A-Z]+ /api/": r"workspace|registry|Unity Catalog|https?://",
    r"POST /$": r"STS|role",
    r"[A-Z]+ /": r"S3|s3://|storage|registry",  # the rest of AWS is addressed by bucket and key
}


@dataclass(frozen=True)
class Injected:
    """A fault that hit a call ("METHOD /path", or the operation of a JSON service)."""

    call: str
    kind: str


def is_true(reason: str, injected: Sequence[Injected]) -> bool:
    """Return whether a fault explains the reason."""
    return any(
        re.search(KINDS[fault.kind], reason)
        and re.search(service_words(fault.call), reason, re.IGNORECASE)
        for fault in injected
    )


def service_words(call: str) -> str:
    """Return the words by which a reason names the call's service."""
    return next(words for start, words in _SERVICES.items() if re.match(start, call))

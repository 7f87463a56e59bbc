"""Raise a typed error if a field that an answer of AWS must have is missing or of another type.

    with shaped("describe training job x"):
        name = answer["TrainingJobName"]

botocore does not check answers: a proxy's page with status 200 becomes an answer without fields.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from steps.governance.errors import MalformedAnswer


@contextmanager
def shaped(doing: str) -> Iterator[None]:
    """Run a block that reads the fields of an answer, or that asks botocore to parse one.

    Raises:
        MalformedAnswer: a field is missing or of another type, or the answer cannot be parsed.
    """
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ResponseParserError) as error:
        raise MalformedAnswer(
            f"AWS answered with something else: {doing}",
            expected="the fields of this answer",
            got=_found(error),
            do="nothing: it is asked again; if it lasts, find out which proxy answers",
        ) from error


def _found(error: Exception) -> str:
    """Name the missing field, but repeat no content of an answer."""
    if isinstance(error, KeyError):
        return f"no {str(error.args[0])[:60]}"
    return f"a field of another type ({type(error).__name__})"

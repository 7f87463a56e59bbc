"""Calls that AWS has to refuse."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

DENIED = "AccessDenied"


def refused(call: Any, code: str = DENIED, **request: Any) -> str:
    """Check that the call is refused with an error code that contains `code`; return the error."""
    with pytest.raises(ClientError) as error:
        call(**request)
    assert code in error.value.response["Error"]["Code"], error.value
    return str(error.value)

"""Every section refuses unknown keys and converts no type."""

from pydantic import ConfigDict

STRICT = ConfigDict(extra="forbid", strict=True)

"""Whose an object of the workspace is: bootstrap marks what it makes, cleanup removes only that.

    admin.catalogs.create(name, properties=ownership.properties("dev"))
    ownership.has(found.properties, "dev")

Catalogs and schemas have it as a property, an experiment as a tag, locations and the credential as
their comment, a group as its external id. An object without it was there before, or is shared.
"""

from collections.abc import Mapping

KEY = "governed_finetune_environment"


def properties(environment: str) -> dict[str, str]:
    """Return the property, or tag, of what bootstrap makes."""
    return {KEY: environment}


def text(environment: str) -> str:
    """Return the same where an object has only a text."""
    return f"{KEY}={environment}"


def has(found: Mapping[str, str] | str | None, environment: str) -> bool:
    """Return whether properties, or a text, state that bootstrap made it for this environment."""
    if isinstance(found, str):
        return text(environment) in found.split()
    return found is not None and found.get(KEY) == environment

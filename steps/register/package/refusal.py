"""The error for a file of a model archive that is not registered.

raise refused("adapter_config.json", "r from 1 to 1024", "0")
"""

from steps.governance.errors import IntegrityError


def refused(name: str, expected: str, got: str) -> IntegrityError:
    """Return the error for the file `name`."""
    return IntegrityError(
        f"{name} was refused", expected=expected, got=got, do="find out who wrote it; train again"
    )

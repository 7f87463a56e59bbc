"""What cleanup leaves, with the reason, and removals that a service may refuse as still in use.

yield from tried(Change("-", "external location …", delete))
"""

from dataclasses import replace

from databricks.sdk.errors import BadRequest, NotFound, ResourceConflict

from pipeline.bootstrap import ownership
from pipeline.bootstrap.change import Change, Changes


def stays(what: str, why: str) -> Change:
    """Return that something stays."""
    return Change("=", what, None, (why,))


def foreign(what: str, environment: str) -> Change:
    """Return that something stays because it has no mark of this environment."""
    return stays(what, f"bootstrap did not make it: it lacks {ownership.text(environment)}")


def tried(change: Change) -> Changes:
    """Yield a change; then, if the workspace refused it as in use, that the object stays.

    A removal is repeated after a lost answer, so what is absent is already removed.
    """
    delete, refused = change.make, list[str]()
    if delete is None:
        yield change
        return

    def make() -> None:
        try:
            delete()
        except NotFound:
            return
        except (BadRequest, ResourceConflict) as error:
            refused.append(" ".join(str(error).split())[:300])

    yield replace(change, make=make)
    if refused:
        yield stays(change.what, f"it is in use: {refused[0]}")

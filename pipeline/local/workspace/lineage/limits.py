"""The limits of properties and columns of external metadata and of edges.

The hosted service's limits are not in its documentation and not in the SDK [unverified]. These are
our choice, on the small side: a client that stays within them should be within the real ones.
"""

from __future__ import annotations

from typing import Any

from pipeline.local.workspace.errors import InvalidParameter

MOST_PROPERTIES = 50
MOST_KEY_CHARACTERS = 255
MOST_VALUE_CHARACTERS = 1000
MOST_COLUMNS = 1000
MOST_COLUMN_CHARACTERS = 255


def check_properties(given: Any) -> None:
    """Refuse properties that are not texts by name, or too many or too long.

    Raises:
        InvalidParameter: they are; the text names the limit.
    """
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise InvalidParameter("properties: expected texts by name.")
    if len(given) > MOST_PROPERTIES:
        raise InvalidParameter(f"properties: at most {MOST_PROPERTIES}, got {len(given)}.")
    for key, value in given.items():
        if not 0 < len(key) <= MOST_KEY_CHARACTERS or len(value) > MOST_VALUE_CHARACTERS:
            raise InvalidParameter(
                f"properties: at most {MOST_KEY_CHARACTERS} characters of a name and "
                f"{MOST_VALUE_CHARACTERS} of a value, got {len(key)} and {len(value)}."
            )


def check_columns(given: Any) -> None:
    """Refuse columns of external metadata that are not names, or too many or too long.

    Raises:
        InvalidParameter: they are; the text names the limit.
    """
    if not isinstance(given, list) or not all(map(_is_column, given)):
        raise InvalidParameter(f"columns: names of 1 to {MOST_COLUMN_CHARACTERS} characters.")
    _check_number(given)


def check_relations(given: Any) -> None:
    """Refuse columns of an edge that are not pairs of names, or too many or too long.

    Raises:
        InvalidParameter: they are; the text names the limit.
    """
    if not isinstance(given, list) or not all(map(_is_relation, given)):
        raise InvalidParameter(
            f"columns: source and target, each of 1 to {MOST_COLUMN_CHARACTERS} characters."
        )
    _check_number(given)


def _check_number(columns: list[Any]) -> None:
    if len(columns) > MOST_COLUMNS:
        raise InvalidParameter(f"columns: at most {MOST_COLUMNS}, got {len(columns)}.")


def _is_relation(pair: Any) -> bool:
    return (
        isinstance(pair, dict)
        and pair.keys() == {"source", "target"}
        and all(map(_is_column, pair.values()))
    )


def _is_column(name: Any) -> bool:
    return isinstance(name, str) and 0 < len(name) <= MOST_COLUMN_CHARACTERS

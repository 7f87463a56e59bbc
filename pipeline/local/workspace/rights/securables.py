"""The securable objects of Unity Catalog: their kinds, names and containers.

    Securable(Kind.TABLE, "edgar.raw.filings").ancestors()   # Schema 'edgar.raw', Catalog 'edgar'

The metastore is not an ancestor: privileges are inherited from catalogs and schemas only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from pipeline.local.workspace.errors import InvalidParameter, NotServed

_NAME = re.compile(r"[^./\\'\"`\s\x00-\x1f\x7f]{1,255}")


class Kind(Enum):
    """The kinds; a value is the word in Unity Catalog's messages."""

    METASTORE = "Metastore"
    CATALOG = "Catalog"
    SCHEMA = "Schema"
    TABLE = "Table"
    MODEL = "Routine or Model"
    EXTERNAL_LOCATION = "External Location"
    STORAGE_CREDENTIAL = "Storage Credential"
    EXTERNAL_METADATA = "External Metadata"

    @classmethod
    def parse(cls, text: str) -> Kind:
        """Return the kind of a path's segment; models are functions there, as in Databricks."""
        name = text.upper().removeprefix("SECURABLETYPE.")
        name = "MODEL" if name in ("FUNCTION", "REGISTERED_MODEL") else name
        if name not in cls.__members__:
            raise NotServed(f"not implemented here: securable type {text}")
        return cls[name]


_PARENT = {Kind.TABLE: Kind.SCHEMA, Kind.MODEL: Kind.SCHEMA, Kind.SCHEMA: Kind.CATALOG}
_LEVELS = {Kind.CATALOG: 1, Kind.SCHEMA: 2, Kind.TABLE: 3, Kind.MODEL: 3}


@dataclass(frozen=True)
class Securable:
    """One object by kind and full name. Names are case-insensitive and stored in lower case, as in
    Unity Catalog.
    """

    kind: Kind
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.lower())

    def __str__(self) -> str:
        return f"{self.kind.value} '{self.name}'"

    @property
    def parent(self) -> Securable | None:
        """The schema of a table or model, the catalog of a schema, else None."""
        kind = _PARENT.get(self.kind)
        return Securable(kind, self.name.rpartition(".")[0]) if kind else None

    def ancestors(self) -> Iterator[Securable]:
        """Return the containers, nearest first: schema, then catalog."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent

    def checked(self) -> Securable:
        """Return the securable if Unity Catalog accepts its name."""
        parts = self.name.split(".")
        levels = _LEVELS.get(self.kind, 1)
        if len(parts) != levels or not all(_NAME.fullmatch(part) for part in parts):
            raise InvalidParameter(
                f"'{self.name}' is not a valid name of a {self.kind.value}: expected "
                f"{levels} part(s) joined by dots,"
                " each without space, slash, quote or dot."
            )
        return self

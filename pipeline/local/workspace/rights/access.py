"""Decides, for one principal, what Unity Catalog would let it do.

The model: a right is held by owning the object, by a grant on it, or by a grant on its schema or
catalog. Owning a schema or catalog, or being metastore admin, lets one manage what is inside, not
read it: whoever manages grants itself the right first, and that shows in the audit log. Reading and
writing also need USE CATALOG and USE SCHEMA.
"""

from __future__ import annotations

from collections.abc import Collection

from pipeline.local.workspace.errors import NotFound, PermissionDenied
from pipeline.local.workspace.rights.privileges import EXPLICIT_ONLY, expand
from pipeline.local.workspace.rights.securables import Kind, Securable
from pipeline.local.workspace.store import Document, Store

EVERYONE = "account users"
GRANT = "GRANT"
_USE = {Kind.CATALOG: "USE_CATALOG", Kind.SCHEMA: "USE_SCHEMA"}
_NOT_FOUND_CODE = {
    Kind.CATALOG: "CATALOG_DOES_NOT_EXIST",
    Kind.SCHEMA: "SCHEMA_DOES_NOT_EXIST",
    Kind.TABLE: "TABLE_DOES_NOT_EXIST",
}


def grants_on(store: Store, securable: Securable) -> Document:
    """Principal → privileges granted on this very securable."""
    return store.get(GRANT, f"{securable.kind.name}:{securable.name}") or {}


class Access:
    """One principal's rights, read from the store at the moment of asking."""

    def __init__(self, store: Store, principal: str):
        self._store = store
        self.principal = principal

    # What is there

    def get(self, securable: Securable) -> Document:
        """The object, whoever asks.

        Raises:
            NotFound: it does not exist.
        """
        document = self._store.get(securable.kind.name, securable.name)
        if document is None:
            code = _NOT_FOUND_CODE.get(securable.kind)
            raise NotFound(f"{securable} does not exist.", code=code)
        return document

    def reach(self, securable: Securable) -> Document:
        """The object, if the principal may know whether it exists: it can use every container
        around it.

        Raises:
            PermissionDenied: USE CATALOG or USE SCHEMA is missing.
            NotFound: it does not exist, and the principal may know that.
        """
        for container in reversed(list(securable.ancestors())):
            self.get(container)
            if not self.has(_USE[container.kind], container):
                raise PermissionDenied.missing(
                    _USE[container.kind], container.kind.value, container.name
                )
        return self.get(securable)

    # What is allowed

    def is_admin(self) -> bool:
        """Whether the principal is the metastore admin, that is, owns the metastore."""
        return any(
            metastore["owner"] == self.principal
            for metastore in self._store.all(Kind.METASTORE.name)
        )

    def owns(self, securable: Securable) -> bool:
        document = self._store.get(securable.kind.name, securable.name)
        return document is not None and document["owner"] == self.principal

    def manages(self, securable: Securable) -> bool:
        """Whether the principal may grant, transfer and delete: admin, owner, owner of a container,
        or MANAGE.
        """
        above = (securable, *securable.ancestors())
        return self.is_admin() or any(map(self.owns, above)) or "MANAGE" in self.granted(securable)

    def granted(self, securable: Securable) -> set[str]:
        """Privileges held by grants on the securable and its containers, ALL PRIVILEGES expanded."""
        held: set[str] = set()
        for source in (securable, *securable.ancestors()):
            grants = grants_on(self._store, source)
            held |= expand(
                {*grants.get(self.principal, ()), *grants.get(EVERYONE, ())}, source.kind
            )
        return held

    def has(self, privilege: str, securable: Securable) -> bool:
        if privilege in self.granted(securable):
            return True
        if privilege in EXPLICIT_ONLY:
            return False
        if privilege == _USE.get(securable.kind):
            return any(map(self.owns, (securable, *securable.ancestors())))
        return self.owns(securable)

    # What is demanded

    def require(self, privilege: str, securable: Securable) -> Document:
        """The object, if the principal can reach it and holds the privilege.

        Raises:
            PermissionDenied: names the privilege and the securable.
            NotFound: it does not exist, and the principal may know that.
        """
        document = self.reach(securable)
        if not self.has(privilege, securable):
            raise PermissionDenied.missing(privilege, securable.kind.value, securable.name)
        return document

    def require_view(self, privileges: Collection[str], securable: Securable) -> Document:
        """The object's metadata: to those who hold one of the privileges, manage it, or may browse
        it.
        """
        if self.manages(securable) or "BROWSE" in self.granted(securable):
            return self.get(securable)
        document = self.reach(securable)
        if not any(self.has(privilege, securable) for privilege in privileges):
            raise PermissionDenied.missing(
                next(iter(privileges)), securable.kind.value, securable.name
            )
        return document

    def require_owner(self, securable: Securable) -> Document:
        """The object, if the principal owns it or is metastore admin."""
        if self.is_admin():
            return self.get(securable)
        document = self.reach(securable)
        if not self.owns(securable):
            raise PermissionDenied.not_owner(securable.kind.value, securable.name)
        return document

    def require_manage(self, securable: Securable) -> Document:
        """The object, if the principal may grant on it, transfer it and delete it."""
        if self.manages(securable):
            return self.get(securable)
        self.reach(securable)
        raise PermissionDenied.missing("MANAGE", securable.kind.value, securable.name)

    def sees(self, privileges: Collection[str], securable: Securable) -> bool:
        """Whether `require_view` would answer; lists leave out what it would not."""
        try:
            self.require_view(privileges, securable)
        except (PermissionDenied, NotFound):
            return False
        return True

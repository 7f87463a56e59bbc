"""Decide what one principal may do, by Unity Catalog's rules.

A principal has a right by owning the object, by a grant on it, or by a grant on its schema or
catalog. The owner of a schema or catalog and the metastore admin may manage the objects inside, but
not read them: they first have to grant themselves the right, which the audit log shows. Reading and
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
    """Return principal → privileges granted on the securable itself."""
    return store.get(GRANT, f"{securable.kind.name}:{securable.name}") or {}


class Access:
    """One principal's rights, read from the store at each call."""

    def __init__(self, store: Store, principal: str):
        self._store = store
        self.principal = principal

    # Objects

    def get(self, securable: Securable) -> Document:
        """Return the object, without a check of rights.

        Raises:
            NotFound: it does not exist.
        """
        document = self._store.get(securable.kind.name, securable.name)
        if document is None:
            code = _NOT_FOUND_CODE.get(securable.kind)
            raise NotFound(f"{securable} does not exist.", code=code)
        return document

    def reach(self, securable: Securable) -> Document:
        """Return the object if the principal can use every container around it, and so may know
        whether it exists.

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

    # Rights

    def is_admin(self) -> bool:
        """Whether the principal is the metastore admin, that is, owns the metastore."""
        return any(
            metastore["owner"] == self.principal
            for metastore in self._store.all(Kind.METASTORE.name)
        )

    def owns(self, securable: Securable) -> bool:
        """Return whether the principal owns the securable itself."""
        document = self._store.get(securable.kind.name, securable.name)
        return document is not None and document["owner"] == self.principal

    def manages(self, securable: Securable) -> bool:
        """Return whether the principal may grant, transfer and delete: admin, owner, owner of a
        container, or MANAGE.
        """
        above = (securable, *securable.ancestors())
        return self.is_admin() or any(map(self.owns, above)) or "MANAGE" in self.granted(securable)

    def granted(self, securable: Securable) -> set[str]:
        """Return the privileges granted on the securable and its containers, ALL PRIVILEGES
        expanded.
        """
        held: set[str] = set()
        for source in (securable, *securable.ancestors()):
            grants = grants_on(self._store, source)
            held |= expand(
                {*grants.get(self.principal, ()), *grants.get(EVERYONE, ())}, source.kind
            )
        return held

    def has(self, privilege: str, securable: Securable) -> bool:
        """Return whether a grant or ownership gives the privilege.

        The owner of a catalog also has USE SCHEMA on its schemas. Ownership does not give the
        EXTERNAL USE privileges.
        """
        if privilege in self.granted(securable):
            return True
        if privilege in EXPLICIT_ONLY:
            return False
        if privilege == _USE.get(securable.kind):
            return any(map(self.owns, (securable, *securable.ancestors())))
        return self.owns(securable)

    # Requirements

    def require(self, privilege: str, securable: Securable) -> Document:
        """Return the object if the principal can reach it and has the privilege.

        Raises:
            PermissionDenied: names the privilege and the securable.
            NotFound: it does not exist, and the principal may know that.
        """
        document = self.reach(securable)
        if not self.has(privilege, securable):
            raise PermissionDenied.missing(privilege, securable.kind.value, securable.name)
        return document

    def require_view(self, privileges: Collection[str], securable: Securable) -> Document:
        """Return the object's metadata to those who have one of the privileges, manage it, or may
        browse it.
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
        """Return the object if the principal owns it or is metastore admin."""
        if self.is_admin():
            return self.get(securable)
        document = self.reach(securable)
        if not self.owns(securable):
            raise PermissionDenied.not_owner(securable.kind.value, securable.name)
        return document

    def require_owner_or_manage(self, securable: Securable) -> Document:
        """Return the object if the principal owns it, is metastore admin, or was granted MANAGE.

        It needs USE CATALOG and USE SCHEMA, unlike the container's owner in `require_manage`.
        """
        if "MANAGE" in self.granted(securable):
            return self.reach(securable)
        return self.require_owner(securable)

    def require_manage(self, securable: Securable) -> Document:
        """Return the object if the principal may grant on it, transfer it and delete it."""
        if self.manages(securable):
            return self.get(securable)
        self.reach(securable)
        raise PermissionDenied.missing("MANAGE", securable.kind.value, securable.name)

    def sees(self, privileges: Collection[str], securable: Securable) -> bool:
        """Return whether `require_view` succeeds; lists leave out the other objects."""
        try:
            self.require_view(privileges, securable)
        except (PermissionDenied, NotFound):
            return False
        return True

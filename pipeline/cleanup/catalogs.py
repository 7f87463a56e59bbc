"""Schemas and catalogs that bootstrap made, if they hold nothing else than the environment's.

    for change in catalogs.removed(site): ...

What goes is deleted by name, and a container only when it is empty: nothing is deleted by force, so
what appears meanwhile stays too. The files of the tables stay in the governed bucket.
"""

from collections.abc import Callable, Iterator, Set
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from databricks.sdk.errors import NotFound

from pipeline import rights
from pipeline.bootstrap import ownership
from pipeline.bootstrap.change import Change, Changes
from pipeline.bootstrap.site import Site
from pipeline.bootstrap.workspace import exists
from pipeline.cleanup import evidence
from pipeline.cleanup.kept import foreign, stays, tried
from pipeline.configuration.config import Config

_OWN = ("default", "information_schema")  # schemas that a catalog is made with


class _Object(NamedTuple):
    name: str
    delete: Callable[[], Any] | None  # None: another's


def removed(site: Site, *, named: evidence.Named | None = None) -> Changes:
    """Yield the schemas, then the catalogs; what stays with the reason.

    Args:
        site: the environment.
        named: what evidence names, which stays with its schema and catalog.
    """
    admin, config = site.admin(), site.config
    kept = {name for names in (named or {}).values() for name in names}
    where = rights.places(config)
    gone: set[str] = set()
    for schema in dict.fromkeys(where.schemas):
        if exists(partial(admin.schemas.get, schema)):
            change = _schema(admin, config, schema, kept)
            gone |= {schema} if change.sign == "-" else set()
            yield from tried(change)
    for catalog in where.catalogs:
        if exists(partial(admin.catalogs.get, catalog)):
            yield from tried(_catalog(admin, config, catalog, gone))


def _schema(admin: Any, config: Config, schema: str, kept: Set[str]) -> Change:
    what = f"schema {schema}"
    if not ownership.has(admin.schemas.get(schema).properties, config.environment):
        return foreign(what, config.environment)
    inside = list(_inside(admin, config, schema))
    if others := [each.name for each in inside if each.delete is None]:
        return stays(what, f"it holds what is not this environment's: {', '.join(others)}")
    if names := [each.name for each in inside if each.name in kept]:
        return stays(what, f"evidence names {', '.join(names)}; --catalog removes it too")

    def make() -> None:
        for each in inside:
            if each.delete is not None:
                with suppress(NotFound):  # a repetition after a lost answer
                    each.delete()
        admin.schemas.delete(schema)

    return Change("-", what, make, tuple(f"- {each.name}" for each in inside))


def _catalog(admin: Any, config: Config, catalog: str, gone: set[str]) -> Change:
    what = f"catalog {catalog}"
    if not ownership.has(admin.catalogs.get(catalog).properties, config.environment):
        return foreign(what, config.environment)
    schemas = {str(each.full_name) for each in admin.schemas.list(catalog_name=catalog)}
    default, own = f"{catalog}.default", {f"{catalog}.{name}" for name in _OWN}
    others = sorted(schemas - gone - own)
    if default in schemas:
        others += [each.name for each in _inside(admin, config, default)]
    if others:
        return stays(what, f"it holds {', '.join(others)}")

    def make() -> None:
        if default in schemas and exists(partial(admin.schemas.get, default)):
            admin.schemas.delete(default)
        admin.catalogs.delete(catalog)

    return Change("-", what, make)


def _inside(admin: Any, config: Config, schema: str) -> Iterator[_Object]:
    """Yield everything in a schema. This environment's are the tables and the model of conf.

    A table is, if its files are in the governed bucket and stay there when it is deleted.
    """
    catalog, _, name = schema.partition(".")
    place = {"catalog_name": catalog, "schema_name": name}
    tables = [each for names in evidence.tables(config).values() for each in names]
    model = evidence.model(config)
    bucket = f"s3://{config.storage.governed_bucket}/"
    for table in admin.tables.list(**place):
        full = str(table.full_name)
        external = table.table_type is not None and table.table_type.value == "EXTERNAL"
        own = external and str(table.storage_location).startswith(bucket)
        known = full in tables and own
        yield _Object(full, partial(admin.tables.delete, full) if known else None)
    for found in admin.registered_models.list(**place):
        full = str(found.full_name)
        known = full == model
        yield _Object(full, partial(admin.registered_models.delete, full) if known else None)
    for other in [*admin.volumes.list(**place), *admin.functions.list(**place)]:
        if str(other.full_name) != model:  # a model may be listed as a function
            yield _Object(str(other.full_name), None)

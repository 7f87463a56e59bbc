"""The embedded catalog's names, and the grants in it: `pipeline.rights` has the list."""

from pipeline import rights
from pipeline.rights import PRINCIPALS, Grant

CATALOG = "edgar"
SCHEMAS = ("raw", "curated", "models")
RAW_TABLE = "edgar.raw.filings"
LOCATION = rights.location("local", "curated")
GRANTS = rights.needed(rights.Places(*(f"{CATALOG}.{schema}" for schema in SCHEMAS), LOCATION))

__all__ = ["CATALOG", "GRANTS", "PRINCIPALS", "RAW_TABLE", "SCHEMAS", "Grant"]

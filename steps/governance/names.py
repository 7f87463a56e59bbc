"""Checks of names before they reach a URL, a query or a path.

databricks-sdk puts names into request paths unencoded (`../../tables/prod.x` reaches another API),
so a name from a parameter is passed as `UcName`, never as a bare `str`.
"""

import hashlib
import re
from dataclasses import dataclass

from steps.governance.errors import NameRefused

# Narrower than Unity Catalog's own rule (255 characters, many symbols): these never need quoting.
_PART = re.compile(r"[a-z0-9_]{1,63}")
# Only Databricks writes to these, in every workspace (docs.databricks.com: "system" and
# "information_schema" are read-only, "samples" is shared by Databricks, "hive_metastore" is outside
# Unity Catalog). `__databricks_internal` holds what Databricks manages itself; that it refuses
# every other writer is [unverified].
_NOT_WRITTEN_CATALOGS = frozenset({"system", "samples", "hive_metastore", "__databricks_internal"})
_NOT_WRITTEN_SCHEMA = "information_schema"
_ALIAS = re.compile(r"[a-z][a-z0-9_]{0,62}")
# Aliases that mlflow's client and Unity Catalog reserve, in upper and lower case, because they mean
# "the newest" and a version (mlflow 3.17.2, mlflow/utils/validation.py,
# `_validate_model_alias_name_reserved`).
_RESERVED_ALIAS = re.compile(r"latest|v[0-9]+", re.IGNORECASE)
_EXECUTION_ARN = re.compile(
    r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:[0-9]{12}"
    r":pipeline/[A-Za-z0-9-]{1,256}/execution/([a-z0-9]{12})"
)


@dataclass(frozen=True, order=True)
class UcName:
    """A three-part Unity Catalog name that is safe in a path, a query and a log line.

    `UcName.parse("edgar.raw.filings").schema_name == "edgar.raw"`; `str()` returns the full name.
    """

    catalog: str
    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "UcName":
        """Check and split a full name.

        Raises:
            NameRefused: not three parts of lower-case letters, digits and underscores.
        """
        parts = text.split(".") if isinstance(text, str) else []
        if len(parts) != 3 or not all(_PART.fullmatch(part) for part in parts):
            raise NameRefused(
                "a Unity Catalog name was refused before it was used",
                expected="catalog.schema.name, each part 1 to 63 of a-z, 0-9 and _",
                got=repr(text)[:200],
                do="correct the parameter or the configuration key that gave it",
            )
        return cls(*parts)

    @property
    def schema_name(self) -> str:
        """`catalog.schema`, the form grants on a schema use."""
        return f"{self.catalog}.{self.schema}"

    def sibling(self, suffix: str) -> "UcName":
        """Return a name in the same schema: `….examples` → `….examples_rejected`."""
        return UcName.parse(f"{self}_{suffix}")

    def __str__(self) -> str:
        return f"{self.catalog}.{self.schema}.{self.name}"


def written_name(text: str) -> UcName:
    """Parse the name of a table or model that a step will write.

    pipeline/configuration has the same rule for `CuratedTable` and `ModelName`;
    tests/test_contract_values.py compares both.

    Raises:
        NameRefused: not a plain name, or one in a catalog or schema that only Databricks writes to.
    """
    name = UcName.parse(text)
    if name.catalog in _NOT_WRITTEN_CATALOGS or name.schema == _NOT_WRITTEN_SCHEMA:
        raise NameRefused(
            "a Unity Catalog name was refused before anything was written to it",
            expected=f"a name outside the catalogs {', '.join(sorted(_NOT_WRITTEN_CATALOGS))} "
            f"and outside every {_NOT_WRITTEN_SCHEMA}: only Databricks writes there",
            got=repr(text),
            do="correct the parameter or the configuration key that gave it",
        )
    return name


def checked_alias(text: str) -> str:
    """Return `text` if the model registry accepts it as an alias.

    pipeline/configuration has the same rule for `ModelAlias`; tests/test_contract.py compares both.

    Raises:
        NameRefused: not a plain word, or one that the registry reserves.
    """
    if not isinstance(text, str) or not _ALIAS.fullmatch(text) or _RESERVED_ALIAS.fullmatch(text):
        raise NameRefused(
            "a model alias was refused before it was used",
            expected="a lower-case letter, then at most 62 of a-z, 0-9 and _; "
            "neither 'latest' nor 'v<number>'",
            got=repr(text)[:200],
            do="set ModelAlias to another word, such as challenger",
        )
    return text


def metadata_name(arn: str) -> str:
    """Return the external-metadata name of an AWS job: `ft_` and 24 hex digits of its ARN's sha256.

    Every account user can read these objects, so the name reveals nothing. The same ARN gives the
    same name, so a repeated delivery finds its own object.
    """
    return f"ft_{hashlib.sha256(arn.encode()).hexdigest()[:24]}"


def execution_id(execution_arn: str) -> str:
    """Return the last part of a pipeline execution's ARN, safe as an S3 key and a partition value.

    Raises:
        NameRefused: not the ARN of a pipeline execution.
    """
    match = _EXECUTION_ARN.fullmatch(execution_arn)
    if match is None:
        raise NameRefused(
            "an execution ARN was refused before it was used",
            expected="arn:aws:sagemaker:<region>:<account>:pipeline/<name>/execution/"
            "<12 characters of a-z 0-9>",
            got=repr(execution_arn)[:300],
        )
    return match[1]

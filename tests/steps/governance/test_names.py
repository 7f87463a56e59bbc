"""Names that reach a URL, a query or a path are plain, from any source."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steps.governance.errors import NameRefused
from steps.governance.names import UcName, checked_alias, execution_id, metadata_name, written_name

ARN = (
    "arn:aws:sagemaker:us-east-1:000000000000:pipeline/governed-finetune-local"
    "/execution/abcdef012345"
)


def test_a_plain_name_splits_and_joins() -> None:
    name = UcName.parse("edgar.raw.filings")
    assert (name.catalog, name.schema, name.name, name.schema_name) == (
        "edgar",
        "raw",
        "filings",
        "edgar.raw",
    )
    assert str(name) == "edgar.raw.filings"
    assert str(name.sibling("rejected")) == "edgar.raw.filings_rejected"


@given(st.text())
@example("a.b")
@example("a.b.c.d")
@example("a.b.c'--")
@example("a.b.../../../2.1/unity-catalog/tables/prod.x.y")
@example("A.b.c")
@example("a.b.c\n")
@example("a..c")
def test_every_accepted_name_is_safe_unquoted(text: str) -> None:
    try:
        name = UcName.parse(text)
    except NameRefused as refusal:
        assert "catalog.schema.name" in str(refusal)  # noqa: PT017 - either outcome is asserted
    else:
        assert str(name) == text
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.")
        assert text.count(".") == 2


@pytest.mark.parametrize(
    "name",
    [
        "system.a.b",
        "samples.a.b",
        "hive_metastore.a.b",
        "__databricks_internal.a.b",
        "edgar.information_schema.b",
    ],
)
def test_what_only_databricks_writes_to_is_read_and_never_written(name: str) -> None:
    assert str(UcName.parse(name)) == name
    with pytest.raises(NameRefused, match="refused before anything was written to it"):
        written_name(name)


def test_a_name_that_only_resembles_one_of_databricks_is_written() -> None:
    for name in (
        "systems.a.b",
        "edgar.system.samples",
        "edgar.information_schemas.b",
        "edgar.a.information_schema",
    ):
        assert str(written_name(name)) == name


def test_a_metadata_name_depends_on_the_arn_alone_and_reveals_nothing() -> None:
    assert metadata_name(ARN) == metadata_name(ARN) != metadata_name(ARN + "x")
    assert metadata_name(ARN).startswith("ft_")
    assert len(metadata_name(ARN)) == 27


def test_the_execution_id_is_the_arns_last_part() -> None:
    assert execution_id(ARN) == "abcdef012345"


@pytest.mark.parametrize(
    "arn", ["", ARN + "/..", ARN.replace("execution/", "execution/../"), "abcdef012345"]
)
def test_another_arn_is_refused(arn: str) -> None:
    with pytest.raises(NameRefused, match="execution ARN was refused"):
        execution_id(arn)


@pytest.mark.parametrize(
    "alias", ["challenger", "champion", "v", "v1a", "v_1", "latest_1", "a" * 63, "version1"]
)
def test_an_alias_that_the_registry_takes_is_given_back(alias: str) -> None:
    assert checked_alias(alias) == alias


@pytest.mark.parametrize(
    "alias",
    [
        "latest",
        "Latest",
        "v1",
        "v12",
        "V3",
        "v007",
        "",
        "1",
        "Champion",
        "a-b",
        "a b",
        "a" * 64,
        "latest\n",
    ],
)
def test_an_alias_that_the_registry_reserves_or_cannot_hold_is_refused(alias: str) -> None:
    with pytest.raises(NameRefused, match="neither 'latest' nor 'v<number>'"):
        checked_alias(alias)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True))
@example("latest")
@example("v1")
def test_an_alias_is_refused_exactly_where_mlflow_reserves_it(alias: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import (
        _validate_model_alias_name,
        _validate_model_alias_name_reserved,
    )

    def accepts(*checks: Callable[[str], object]) -> bool:
        try:
            for check in checks:
                check(alias)
        except (MlflowException, NameRefused):
            return False
        return True

    assert accepts(checked_alias) == accepts(
        _validate_model_alias_name, _validate_model_alias_name_reserved
    )

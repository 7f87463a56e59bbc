"""Names that reach a URL, a query or a path are plain, whoever chose them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steps.governance.errors import NameRefused
from steps.governance.names import UcName, execution_id, metadata_name

ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/governed-finetune-local/execution/abcdef012345"


def test_a_plain_name_splits_and_joins() -> None:
    name = UcName.parse("edgar.raw.filings")
    assert (name.catalog, name.schema, name.name, name.schema_name) == ("edgar", "raw", "filings", "edgar.raw")
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
def test_whatever_is_accepted_is_safe_unquoted(text: str) -> None:
    try:
        name = UcName.parse(text)
    except NameRefused as refusal:
        assert "catalog.schema.name" in str(refusal)  # noqa: PT017 - either outcome is asserted
    else:
        assert str(name) == text
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.")
        assert text.count(".") == 2


def test_a_metadata_name_depends_on_the_arn_alone_and_tells_nothing() -> None:
    assert metadata_name(ARN) == metadata_name(ARN) != metadata_name(ARN + "x")
    assert metadata_name(ARN).startswith("ft_")
    assert len(metadata_name(ARN)) == 27


def test_the_execution_id_is_the_arns_last_part() -> None:
    assert execution_id(ARN) == "abcdef012345"


@pytest.mark.parametrize("arn", ["", ARN + "/..", ARN.replace("execution/", "execution/../"), "abcdef012345"])
def test_another_arn_is_refused(arn: str) -> None:
    with pytest.raises(NameRefused, match="execution ARN was refused"):
        execution_id(arn)

"""No company is in both train and eval, and eval is never empty."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.governance.errors import GovernanceError
from steps.prepare.filings.split import eval_bound, rank

CIKS = st.sets(
    st.integers(1, 10**10 - 1).map(lambda number: f"{number:010d}"), min_size=2, max_size=60
)
FRACTIONS = st.floats(0.001, 0.5)
SEEDS = st.integers(0, 2**31 - 1)


@given(CIKS, FRACTIONS, SEEDS)
def test_both_sides_have_companies_and_eval_has_its_share(
    companies: set[str], fraction: float, seed: int
) -> None:
    bound = eval_bound(companies, fraction=fraction, seed=seed)
    evaluating = sum(rank(cik, seed) <= bound for cik in companies)
    assert 0 < evaluating < len(companies)
    assert evaluating == max(1, int(len(companies) * fraction))


@given(CIKS, SEEDS)
def test_order_and_repetition_of_companies_do_not_matter(companies: set[str], seed: int) -> None:
    listed = sorted(companies)
    assert eval_bound(listed, fraction=0.2, seed=seed) == eval_bound(
        listed[::-1] * 2, fraction=0.2, seed=seed
    )


def test_the_seed_decides() -> None:
    companies = [f"{number:010d}" for number in range(40)]

    def evaluating(seed: int) -> set[str]:
        bound = eval_bound(companies, fraction=0.1, seed=seed)
        return {cik for cik in companies if rank(cik, seed) <= bound}

    assert evaluating(17) == evaluating(17) != evaluating(18)


@pytest.mark.parametrize("companies", [[], ["0000000001"], ["0000000001", "0000000001"]])
def test_fewer_than_two_companies_are_refused(companies: list[str]) -> None:
    with pytest.raises(GovernanceError, match="nothing was written") as refused:
        eval_bound(companies, fraction=0.1, seed=17)
    assert "at least two companies" in str(refused.value)

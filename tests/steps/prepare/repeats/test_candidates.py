"""Candidate pairs are few in a large bucket, and all in a small one; components are whole."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.prepare.repeats import candidates, components


def pairs(keys: list[int]) -> set[tuple[int, int]]:
    """The pairs of texts 0, 1, … with these keys; the rank is the number."""
    rows = list(range(len(keys)))
    batch = pa.record_batch([keys, rows, rows], schema=candidates.BUCKETS)
    (found,) = candidates.paired([batch])
    return set(zip(found["a"].to_pylist(), found["b"].to_pylist(), strict=True))


@given(st.lists(st.integers(0, 9), max_size=30))
def test_up_to_five_texts_of_a_bucket_are_all_compared(keys: list[int]) -> None:
    found = pairs(keys)
    for a, b in found:
        assert a < b
        assert keys[a] == keys[b]
    for key in set(keys):
        rows = [row for row, each in enumerate(keys) if each == key]
        if len(rows) <= 5:
            assert found >= {(a, b) for a in rows for b in rows if a < b}
        else:
            assert found >= {(rows[0], row) for row in rows[1:]}


@pytest.mark.parametrize("count", [1_000, 100_000])
def test_one_paragraph_in_many_filings_makes_no_square_of_pairs(count: int) -> None:
    keys = np.zeros(count, np.int64)
    rows = np.arange(count)
    batch = pa.record_batch([keys, rows, rows], schema=candidates.BUCKETS)
    (found,) = candidates.paired([batch])
    assert count < found.num_rows <= 4 * count
    ends = found["a"].to_numpy(), found["b"].to_numpy()
    assert (components.components(*ends, count=count) == 0).all(), "and they are one component"


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40))
def test_components_are_those_of_a_search(edges: list[tuple[int, int]]) -> None:
    ends = np.array(edges, np.int64).reshape(-1, 2)
    found = components.components(ends[:, 0], ends[:, 1], count=20)
    for node in range(20):
        reached = {node}
        while (
            more := {b for pair in edges for a, b in (pair, pair[::-1]) if a in reached} - reached
        ):
            reached |= more
        assert found[node] == min(reached)


def test_a_long_chain_is_one_component() -> None:
    nodes = np.arange(5_000)
    order = np.random.default_rng(1).permutation(nodes)
    found = components.components(order[:-1], order[1:], count=len(nodes))
    assert (found == 0).all()

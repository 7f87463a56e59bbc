"""The order of rows does not depend on the number of processes."""

import pytest

from steps.train.data.document import Document
from steps.train.fine_tuning.row_order import PaddedRows, RowOrder

pytestmark = pytest.mark.torch


def test_each_epoch_has_another_order_for_any_number_of_processes() -> None:
    one, four = RowOrder(13, seed=17, multiple=1), RowOrder(13, seed=17, multiple=4)
    orders = []
    for epoch in (0, 1):
        one.set_epoch(epoch)
        four.set_epoch(epoch)
        orders.append(list(one))
        assert list(four) == [*orders[-1], 13, 14, 15]
    assert len(one) == 13
    assert len(four) == 16
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(13))


def test_rows_past_the_end_have_no_labels() -> None:
    rows = PaddedRows([[Document((1, 5, 6, 7), 2)]])
    labelled = [sum(document.target_tokens for document in rows[number]) for number in (0, 1, 2)]
    assert labelled == [2, 0, 0]

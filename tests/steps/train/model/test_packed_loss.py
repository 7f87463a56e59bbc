"""Packing, attention and loss: documents in a packed row give the same results as alone."""

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from steps.train.data import packing
from steps.train.data.document import Document
from steps.train.data.packing import IGNORED
from steps.train.fine_tuning import evaluation
from steps.train.model import chunked_loss, ministral, precision
from steps.train.planning.devices import Device

pytestmark = pytest.mark.torch

CPU = Device(torch.device("cpu"), "cpu", None)


def documents(*lengths: int) -> list[Document]:
    generator = torch.Generator().manual_seed(3)
    return [
        Document(tuple(torch.randint(20, 500, (n,), generator=generator).tolist()), n // 2)
        for n in lengths
    ]


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> ministral.PackedMinistral:
    return ministral.load(tiny_model, precision.decide("storage", CPU))


def without_labels(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "labels"}


def hidden(base: ministral.PackedMinistral, row: dict[str, torch.Tensor | int]) -> torch.Tensor:
    with torch.no_grad():
        return base.model(**without_labels(row), use_cache=False).last_hidden_state


def completion_nll(
    states: torch.Tensor, head: torch.Tensor, labels: torch.Tensor, chunk_logits: int | None = None
) -> torch.Tensor:
    found = chunked_loss.labelled(states, labels)
    return chunked_loss.completion_nll(*found, head=head, chunk_logits=chunk_logits)


def test_documents_in_a_row_do_not_see_each_other(base: ministral.PackedMinistral) -> None:
    row = documents(31, 64, 17)
    packed = hidden(base, packing.collate([row]))
    alone = torch.cat([hidden(base, packing.collate([[document]])) for document in row], 1)
    torch.testing.assert_close(packed, alone, rtol=0, atol=1e-5)


def test_documents_without_borders_see_each_other(base: ministral.PackedMinistral) -> None:
    row = packing.collate([documents(31, 64)])
    leaking = {name: value for name, value in row.items() if name in ("input_ids", "labels")}
    assert (hidden(base, leaking) - hidden(base, row)).abs().max() > 0.1


def test_a_later_document_cannot_change_an_earlier_ones_loss(
    base: ministral.PackedMinistral,
) -> None:
    first, second, other = documents(40, 40, 41)
    a, b = (hidden(base, packing.collate([[first, last]]))[:, :40] for last in (second, other))
    assert torch.equal(a, b)


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_no_gradient_of_a_documents_loss_reaches_another_document(
    base: ministral.PackedMinistral, seen: int
) -> None:
    """The gradient is exactly zero, over any path through any layer."""
    row = documents(31, 64, 17)
    batch = packing.collate([row])
    embedded = base.get_input_embeddings()(batch.pop("input_ids")).detach().requires_grad_()
    states = base.model(
        inputs_embeds=embedded, use_cache=False, **without_labels(batch)
    ).last_hidden_state
    labels = batch["labels"].clone()
    edges = batch["cu_seq_lens_q"].tolist()
    mine = slice(edges[seen], edges[seen + 1])
    labels[:, : mine.start], labels[:, mine.stop :] = IGNORED, IGNORED
    completion_nll(states, base.lm_head.weight, labels).backward()
    assert embedded.grad is not None
    assert embedded.grad[:, mine].abs().max() > 0
    embedded.grad[:, mine] = 0
    assert not embedded.grad.any()


def test_a_document_has_the_same_loss_in_any_row(base: ministral.PackedMinistral) -> None:
    row = documents(31, 64, 17)
    together = [
        nll for _, nll in evaluation.document_losses(base, [row], precision.decide("storage", CPU))
    ]
    alone = [
        nll
        for d in row
        for _, nll in evaluation.document_losses(base, [[d]], precision.decide("storage", CPU))
    ]
    assert together == pytest.approx(alone, rel=1e-5)


def test_a_mask_is_refused_because_it_would_be_ignored(base: ministral.PackedMinistral) -> None:
    from steps.train.model.packed_attention import packed_attention

    state = torch.zeros(1, 2, 4, 8)
    with pytest.raises(ValueError, match="expected no attention mask"):
        packed_attention(base, state, state, state, torch.ones(1, 1, 4, 4))


def test_several_new_tokens_over_a_cache_are_refused(
    base: ministral.PackedMinistral,
) -> None:
    from steps.train.model.packed_attention import packed_attention

    with pytest.raises(ValueError, match="one new token or a whole document"):
        packed_attention(
            base, torch.zeros(1, 2, 3, 8), torch.zeros(1, 2, 9, 8), torch.zeros(1, 2, 9, 8), None
        )


def test_generation_with_a_cache_equals_generation_without(base: ministral.PackedMinistral) -> None:
    ids = torch.tensor([[1, 3, 40, 41, 42, 4]])
    with_cache, without = (
        base.generate(input_ids=ids, max_length=16, do_sample=False, use_cache=c)
        for c in (True, False)
    )
    assert torch.equal(with_cache, without)


def reference_nll(
    base: ministral.PackedMinistral, rows: list[Document]
) -> tuple[torch.Tensor, int]:
    """Return the summed cross-entropy of full logits, document by document, and the tokens."""
    total, count = torch.zeros(()), 0
    for document in rows:
        ids = torch.tensor([document.ids])
        logits = base(input_ids=ids).logits[0, :-1]
        kept = slice(max(1, document.prompt_tokens) - 1, None)
        total = total + functional.cross_entropy(logits[kept], ids[0, 1:][kept], reduction="sum")
        count += len(ids[0, 1:][kept])
    return total, count


def test_packed_loss_equals_plain_cross_entropy_of_each_document(
    base: ministral.PackedMinistral,
) -> None:
    row = documents(31, 64, 17)
    total, count = reference_nll(base, row)
    assert count == sum(document.target_tokens for document in row)
    assert base(**packing.collate([row])).loss.item() == pytest.approx(
        (total / count).item(), rel=1e-5
    )


def test_accumulated_loss_is_divided_by_the_tokens_of_the_whole_step(
    base: ministral.PackedMinistral,
) -> None:
    row = documents(31, 64, 17)
    whole = base(**packing.collate([row])).loss
    tokens = sum(document.target_tokens for document in row)
    parts = sum(
        base(**packing.collate([[document]]), num_items_in_batch=tokens).loss for document in row
    )
    assert parts.item() == pytest.approx(whole.item(), rel=1e-5)


@pytest.mark.parametrize("chunk_logits", [50, 350, 10**9])
def test_chunked_loss_and_gradient_equal_the_full_ones(chunk_logits: int) -> None:
    generator = torch.Generator().manual_seed(5)
    head = torch.randn(50, 16, generator=generator)
    states = torch.randn(2, 12, 16, generator=generator, requires_grad=True)
    twin = states.detach().clone().requires_grad_()
    labels = torch.randint(0, 50, (2, 12), generator=generator)
    labels[:, :4] = IGNORED
    chunked = completion_nll(states, head, labels, chunk_logits) * 0.5
    logits = (twin @ head.t())[:, :-1].reshape(-1, 50)
    full = (
        functional.cross_entropy(
            logits, labels[:, 1:].reshape(-1), ignore_index=IGNORED, reduction="sum"
        )
        * 0.5
    )
    chunked.backward()
    full.backward()
    torch.testing.assert_close(chunked, full)
    torch.testing.assert_close(states.grad, twin.grad)


@pytest.mark.parametrize("chunk_logits", [50, 350, 10**9])
def test_the_loss_of_each_token_is_that_of_full_logits_in_order(chunk_logits: int) -> None:
    generator = torch.Generator().manual_seed(5)
    head = torch.randn(50, 16, generator=generator)
    states = torch.randn(2, 12, 16, generator=generator, requires_grad=True)
    labels = torch.randint(0, 50, (2, 12), generator=generator)
    labels[:, :4] = IGNORED
    each = chunked_loss.token_nll(
        *chunked_loss.labelled(states, labels), head=head, chunk_logits=chunk_logits
    )
    kept = labels[:, 1:] != IGNORED
    full = functional.cross_entropy(
        (states @ head.t())[:, :-1][kept], labels[:, 1:][kept], reduction="none"
    )
    assert not each.requires_grad
    torch.testing.assert_close(each, full)
    torch.testing.assert_close(each.sum(), completion_nll(states, head, labels))


def test_a_row_without_targets_has_zero_loss_and_gradient() -> None:
    states = torch.randn(1, 6, 8, requires_grad=True)
    nll = completion_nll(states, torch.randn(9, 8), torch.full((1, 6), IGNORED))
    nll.backward()
    assert nll.item() == 0
    assert states.grad is not None
    assert not states.grad.any()


def test_the_prompt_and_each_first_token_carry_no_label() -> None:
    row = [Document((5, 6, 7, 8), 2), Document((9, 10), 0)]
    labels = packing.collate([row])["labels"]
    assert isinstance(labels, torch.Tensor)
    assert labels.tolist() == [[IGNORED, IGNORED, 7, 8, IGNORED, 10]]


def test_rows_become_one_row_with_borders_and_no_mask() -> None:
    batch = packing.collate([[Document((5, 6, 7), 1)], [Document((8, 9), 1), Document((1,), 1)]])
    assert set(batch) == {
        *("input_ids", "labels", "label_positions", "position_ids"),
        *("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k"),
    }
    assert batch["label_positions"].tolist() == [0, 1, 3]  # each predicts the token after it
    assert batch["cu_seq_lens_q"].tolist() == [0, 3, 5, 6]
    assert batch["cu_seq_lens_q"].dtype is torch.int32
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 0]]
    assert batch["max_length_q"] == 3


def packed(lengths: list[int], seed: int = 0) -> list[list[int]]:
    found = packing.best_fit(np.array(lengths, np.int32), 64, seed=seed)
    return [found.row(number) for number in range(len(found))]


@given(st.lists(st.integers(1, 64), max_size=60), st.integers(0, 5))
def test_packing_keeps_every_document_once_and_no_row_overflows(
    lengths: list[int], seed: int
) -> None:
    rows = packed(lengths, seed=seed)
    assert all(0 < sum(lengths[document] for document in row) <= 64 for row in rows)
    assert sorted(chain.from_iterable(rows)) == list(range(len(lengths)))
    assert rows == packed(lengths, seed=seed)


@given(st.lists(st.integers(1, 64), max_size=60))
def test_rows_are_as_full_as_those_of_a_search_through_all_open_rows(lengths: list[int]) -> None:
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        tightest = min((room for room in rooms if room >= length), default=64)
        if tightest in rooms:
            rooms.remove(tightest)
        rooms.append(tightest - length)
    filled = sorted(64 - sum(lengths[document] for document in row) for row in packed(lengths))
    assert filled == sorted(rooms)


def test_another_seed_gives_the_same_rows_in_another_order() -> None:
    lengths = [40] * 20
    first, second = packed(lengths, seed=1), packed(lengths, seed=2)
    assert first != second
    assert sorted(first) == sorted(second)


def test_best_fit_fills_rows_better_than_arrival_order() -> None:
    lengths = [60, 4, 33, 31, 50, 14, 10, 54]
    assert len(packed(lengths)) == 4


def test_documents_in_memory_are_packed_in_the_same_way() -> None:
    items = [Document(tuple(range(n)), 0) for n in (60, 4, 33, 31)]
    assert packing.packed(items, 64, seed=3) == [
        [items[n] for n in row] for row in packed([60, 4, 33, 31], seed=3)
    ]


@pytest.mark.parametrize("length", [0, 65])
def test_a_document_that_no_row_can_hold_is_refused(length: int) -> None:
    with pytest.raises(
        ValueError, match=f"of 1 to at most 64 tokens, got some from {min(length, 5)} to"
    ):
        packed([5, length])

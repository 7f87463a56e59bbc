"""Evaluation: nats per target token for any batching, in all and by year and company group."""

import math
from itertools import chain
from pathlib import Path

import pytest
import torch

from steps.train.data import packing
from steps.train.data.document import Document
from steps.train.data.packing import Row
from steps.train.fine_tuning.evaluation import Evaluation, Part, evaluate
from steps.train.model import ministral, precision
from steps.train.planning.devices import Device
from steps.train.stopping import Stopped, StopSignal

pytestmark = pytest.mark.torch

CPU = precision.decide("storage", Device(torch.device("cpu"), "cpu", None))


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> ministral.PackedMinistral:
    return ministral.load(tiny_model, CPU)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Return rows of documents of three years and three groups, some unknown."""
    generator = torch.Generator().manual_seed(3)
    documents = [
        Document(
            tuple(torch.randint(20, 500, (20 + 7 * n,), generator=generator).tolist()),
            5 + n,
            f"x{n}",
            (2019, 2020, None)[n % 3],
            ("finance", "retail", "unknown")[n % 4 % 3],
        )
        for n in range(9)
    ]
    return [documents[:4], documents[4:5], documents[5:]]


def evaluated(
    base: ministral.PackedMinistral, rows: list[Row], rows_at_once: int = 2
) -> Evaluation:
    return evaluate(base, rows, CPU, rows_at_once=rows_at_once, stop=StopSignal())


def test_the_loss_equals_the_training_loss_of_the_same_tokens(
    base: ministral.PackedMinistral, rows: list[Row]
) -> None:
    found = evaluated(base, rows)
    with torch.no_grad():
        expected = base(**packing.collate(rows)).loss.item()
    assert found.loss == pytest.approx(expected, rel=1e-5)
    assert found.tokens == sum(document.target_tokens for document in chain.from_iterable(rows))
    assert found.perplexity == pytest.approx(math.exp(expected), rel=1e-4)


def test_years_and_groups_each_sum_to_the_whole(
    base: ministral.PackedMinistral, rows: list[Row]
) -> None:
    found = evaluated(base, rows)
    assert list(found.by_year) == ["2019", "2020", "unknown"]
    assert list(found.by_group) == ["finance", "retail", "unknown"]
    for parts in (found.by_year.values(), found.by_group.values()):
        assert sum(part.tokens for part in parts) == found.tokens
        assert sum(part.loss * part.tokens for part in parts) == pytest.approx(
            found.loss * found.tokens, rel=1e-12
        )


def test_each_part_has_the_loss_of_its_documents(
    base: ministral.PackedMinistral, rows: list[Row]
) -> None:
    found = evaluated(base, rows)
    documents = list(chain.from_iterable(rows))
    of_2020 = evaluated(base, [[document] for document in documents if document.year == 2020])
    of_retail = evaluated(
        base, [[document] for document in documents if document.group == "retail"]
    )
    assert found.by_year["2020"].tokens == of_2020.tokens
    assert found.by_year["2020"].loss == pytest.approx(of_2020.loss, rel=1e-5)
    assert found.by_group["retail"].loss == pytest.approx(of_retail.loss, rel=1e-5)
    assert found.by_year["2020"].loss != pytest.approx(found.loss, rel=1e-4), (
        "if the parts were equal, this test would prove nothing"
    )


def test_the_loss_does_not_depend_on_how_documents_are_batched(
    base: ministral.PackedMinistral, rows: list[Row]
) -> None:
    together, one_by_one = (
        evaluated(base, rows, 3),
        evaluated(base, [[d] for d in chain.from_iterable(rows)], 1),
    )
    assert together.loss == pytest.approx(one_by_one.loss, rel=1e-5)
    assert together.by_group.keys() == one_by_one.by_group.keys()


def test_a_part_of_one_token_is_still_listed(
    base: ministral.PackedMinistral, rows: list[Row]
) -> None:
    found = evaluated(base, [*rows, [Document((1, 30, 31, 2), 3, "short", 1999, "mining")]])
    assert (found.by_year["1999"].tokens, found.by_group["mining"].tokens) == (1, 1)
    assert found.by_year["1999"] == found.by_group["mining"]


def test_perplexity_of_a_very_large_loss_is_infinite() -> None:
    assert Part(1000.0, 5).perplexity == math.inf


def test_an_evaluation_stops_after_sigterm(
    base: ministral.PackedMinistral, rows: list[Row]
) -> None:
    with pytest.raises(Stopped):
        evaluate(base, rows, CPU, rows_at_once=1, stop=StopSignal(requested=True))

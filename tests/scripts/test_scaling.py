"""docs/scaling.md shows the script's output, and the script agrees with known numbers."""

from dataclasses import replace

import pytest

from scripts import scaling_arithmetic as arithmetic
from scripts import scaling_page
from scripts.scaling_arithmetic import Step, sharing
from steps.train.planning import batching, devices, flops, memory
from steps.train.planning.shapes import MINISTRAL_3B


def test_the_page_shows_the_current_tables() -> None:
    page = scaling_page.PAGE.read_text(encoding="utf-8")
    assert scaling_page.page(page) == page, "run python -m scripts.scaling_page --write"


def test_another_price_gives_another_page(monkeypatch: pytest.MonkeyPatch) -> None:
    dearer = tuple(replace(cluster, dollars=2 * cluster.dollars) for cluster in arithmetic.CLUSTERS)
    monkeypatch.setattr(arithmetic, "CLUSTERS", dearer)
    page = scaling_page.PAGE.read_text(encoding="utf-8")
    assert scaling_page.page(page) != page


def test_the_tables_follow_trains_memory_model(monkeypatch: pytest.MonkeyPatch) -> None:
    before = scaling_page.report()
    monkeypatch.setattr(memory, "layer_bytes", lambda plan, tokens, read=None: tokens**2)
    assert scaling_page.report() != before


def test_the_tables_follow_trains_count_of_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    before = scaling_page.report()
    monkeypatch.setattr(flops, "of_step", lambda *_: flops.Flops(10**12, 0, 0, 0))
    assert scaling_page.report() != before


def test_the_3b_model_has_its_known_weights_adapters_and_gradient_bytes() -> None:
    model = arithmetic.MODELS[0]
    assert model.shape == MINISTRAL_3B
    assert model.linears == pytest.approx(3.026e9, rel=1e-3)
    assert model.shape.ends == pytest.approx(0.403e9, rel=1e-2)
    assert 4 * model.adapters == pytest.approx(99e6, rel=1e-2)


def test_a_head_of_its_own_adds_two_bytes_a_weight() -> None:
    tied = arithmetic.MODELS[0]
    untied = replace(tied, shape=replace(tied.shape, tied=False))
    more = arithmetic.needed(untied, 1).total - arithmetic.needed(tied, 1).total
    assert more == 2 * tied.shape.embedding


def test_a_base_is_split_only_where_it_does_not_fit_one_gpu() -> None:
    clusters = {cluster.name: cluster for cluster in arithmetic.CLUSTERS}
    models = {model.name: model for model in arithmetic.MODELS}
    expected = {
        ("3B", "ml.g5.16xlarge"): "one GPU",
        ("3B", "ml.g5.48xlarge"): "DDP",
        ("14B", "ml.g5.48xlarge"): "FSDP2",
        ("70B", "ml.g5.16xlarge"): "no",
        ("70B", "ml.p5.48xlarge"): "FSDP2",
    }
    assert {key: sharing(models[key[0]], clusters[key[1]]) for key in expected} == expected


@pytest.mark.parametrize("model", arithmetic.MODELS, ids=lambda model: model.name)
def test_the_page_and_train_agree_on_what_fits_one_gpu(model: arithmetic.Model) -> None:
    for cluster in arithmetic.CLUSTERS:
        budget = batching.budget_bytes(arithmetic.GPUS[cluster.gpu].sheet.memory_bytes)
        plan = arithmetic.plan(model)
        fits = batching.fewest_recomputed(plan, arithmetic.TOKENS, budget) is not None
        assert fits == (sharing(model, cluster) in ("one GPU", "DDP"))


def test_peaks_and_memory_are_those_of_trains_data_sheets() -> None:
    assert all(gpu.sheet in devices.SHEETS.values() for gpu in arithmetic.GPUS.values())


def test_sharded_traffic_hides_behind_arithmetic_only_as_far_as_that_lasts() -> None:
    slow = Step(arithmetic=1.0, traffic=3.0, hidden=True, tokens=6)
    assert slow.rate == 2
    assert replace(slow, traffic=0.5).rate == 6
    assert replace(slow, hidden=False).rate == 1.5

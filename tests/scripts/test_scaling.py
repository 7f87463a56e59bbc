"""docs/scaling.md shows what scripts/scaling derives, and the script derives what is known from elsewhere."""

import importlib.machinery
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module of its own for each test."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.delitem(sys.modules, "scaling_arithmetic", raising=False)
    loader = importlib.machinery.SourceFileLoader("scaling", str(SCRIPTS / "scaling"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_page_shows_what_the_script_derives(scaling: ModuleType) -> None:
    page = scaling.PAGE.read_text(encoding="utf-8")
    assert scaling.page(page) == page, "run scripts/scaling --write"


def test_another_price_gives_another_page(
    scaling: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    dearer = tuple(
        replace(cluster, dollars=2 * cluster.dollars) for cluster in scaling.arithmetic.CLUSTERS
    )
    monkeypatch.setattr(scaling.arithmetic, "CLUSTERS", dearer)
    page = scaling.PAGE.read_text(encoding="utf-8")
    assert scaling.page(page) != page


def test_the_3b_model_has_its_known_weights_adapters_and_gradient_bytes(
    scaling: ModuleType,
) -> None:
    model = scaling.arithmetic.MODELS[0]  # reference/training.md, sections 1 and 3.6
    assert model.linears == pytest.approx(3.026e9, rel=1e-3)
    assert model.ends == pytest.approx(0.403e9, rel=1e-2)
    assert 4 * model.adapters == pytest.approx(99e6, rel=1e-2)


def test_a_base_is_split_only_where_it_does_not_fit_one_gpu(scaling: ModuleType) -> None:
    clusters = {cluster.name: cluster for cluster in scaling.arithmetic.CLUSTERS}
    models = {model.name: model for model in scaling.arithmetic.MODELS}
    expected = {
        ("3B", "ml.g5.16xlarge"): "one GPU",
        ("3B", "ml.g5.48xlarge"): "DDP",
        ("14B", "ml.g5.48xlarge"): "FSDP2",
        ("70B", "ml.g5.16xlarge"): "no",
        ("70B", "ml.p5.48xlarge"): "FSDP2",
    }
    assert {key: scaling.sharing(models[key[0]], clusters[key[1]]) for key in expected} == expected


def test_sharded_traffic_hides_behind_arithmetic_only_as_far_as_that_lasts(
    scaling: ModuleType,
) -> None:
    slow = scaling.arithmetic.Step(arithmetic=1.0, traffic=3.0, hidden=True, tokens=6)
    assert slow.rate == 2
    assert replace(slow, traffic=0.5).rate == 6
    assert replace(slow, hidden=False).rate == 1.5

"""The table of prices is read strictly, and refreshed from AWS's Price List by the real client."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest

from pipeline.configuration import instances
from pipeline.cost import price_list, prices
from pipeline.cost.prices import Prices
from pipeline.errors import ConfigError, Refused
from tests.support.http_server import Handler, served


@pytest.fixture
def table() -> Prices:
    return prices.read(prices.PATH)


def product(name: str, dollars: str, unit: str = "Hrs") -> dict[str, Any]:
    rate = {"unit": unit, "pricePerUnit": {"USD": dollars}}
    return {
        "product": {"attributes": {"instanceName": name, "component": "Training"}},
        "terms": {"OnDemand": {"offer": {"priceDimensions": {"rate": rate}}}},
    }


class PriceList:
    """Answers GetProducts with one product a page."""

    def __init__(self) -> None:
        self.products: list[Any] = []
        self.filters: list[dict[str, str]] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.filters = request["Filters"]
        at = int(request.get("NextToken", 0))
        page: dict[str, Any] = {"PriceList": [json.dumps(each) for each in self.products[at:][:1]]}
        return page | ({"NextToken": str(at + 1)} if at + 1 < len(self.products) else {})


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceList]:
    state = PriceList()

    class Server(Handler):
        def do_POST(self) -> None:
            self.answer_json(200, state.answer(json.loads(self.body())))

    with served(Server) as origin:
        monkeypatch.setenv("AWS_ENDPOINT_URL", origin)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
        yield state


def client() -> Any:
    return boto3.client("pricing", region_name=price_list.REGION)


def test_every_priced_instance_is_one_that_train_may_run_on(table: Prices) -> None:
    assert set(table.training_hour) <= set(instances.TYPES)
    hour = table.of_hours
    assert (hour("ml.g5.16xlarge", 1) or 0) > (hour("ml.g5.2xlarge", 1) or 0) > 0


def test_an_instance_without_a_price_is_not_known_and_names_how_to_fetch_it(table: Prices) -> None:
    assert table.of_hours("ml.p5e.48xlarge", 1) is None
    assert "price of ml.p5e.48xlarge not known" in table.at("ml.p5e.48xlarge")
    assert "pipeline.cost --refresh" in table.at("ml.p5e.48xlarge")


def test_the_table_knows_its_age(table: Prices) -> None:
    assert table.age_days(date(table.as_of.year + 1, table.as_of.month, table.as_of.day)) >= 365


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"emr_vcpu_hour": "0.05"}, "emr_vcpu_hour"),
        ({"emr_vcpu_hour": 0}, "emr_vcpu_hour"),
        ({"training_hour": {"ml.g5.xlarge": -1.0}}, "training_hour"),
        ({"as_of": "2026-13-01"}, "as_of"),
        ({"surcharge": 1.0}, "surcharge"),
        ({"region": None}, "region"),
    ],
)
def test_a_wrong_table_names_the_field(
    table: Prices, tmp_path: Path, change: dict[str, Any], fault: str
) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(asdict(table) | change, default=str))
    with pytest.raises(ConfigError, match=fault):
        prices.read(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"region": "a", "region": "b"}'])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "prices.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"prices\.json has 1"):
        prices.read(path)


def test_a_refresh_takes_every_page_and_what_it_writes_can_be_read(
    listed: PriceList, table: Prices, tmp_path: Path
) -> None:
    listed.products = [
        product("ml.g6e.xlarge", "2.7"),
        product("ml.m5.large", "0.1"),
        product("ml.g5.2xlarge", "1.6"),
        product("ml.g5.4xlarge", "0.0"),  # a free tier
        product("ml.g5.8xlarge", "99", unit="Upfront"),
    ]
    fresh = price_list.fetch(client(), table, "eu-west-1")
    assert fresh.training_hour == {"ml.g5.2xlarge": 1.6, "ml.g6e.xlarge": 2.7}
    assert fresh.region == "eu-west-1"
    assert fresh.age_days() == 0
    assert {each["Field"]: each["Value"] for each in listed.filters} == {
        "regionCode": "eu-west-1",
        "component": "Training",
    }
    prices.write(tmp_path / "prices.json", fresh)
    assert prices.read(tmp_path / "prices.json") == fresh


@pytest.mark.parametrize(
    "strange",
    [
        {"product": {}},
        {"product": {"attributes": None}, "terms": {}},
        {"product": {"attributes": {}}, "terms": {"OnDemand": {"a": {}}}},
        product("ml.g5.2xlarge", "a lot"),
    ],
)
def test_another_form_of_answer_is_refused_and_not_guessed(
    listed: PriceList, table: Prices, strange: Any
) -> None:
    listed.products = [product("ml.g6e.xlarge", "2.7"), strange]
    with pytest.raises(Refused, match="answered in another form"):
        price_list.fetch(client(), table, "us-east-1")


def test_a_region_without_prices_is_refused(listed: PriceList, table: Prices) -> None:
    with pytest.raises(Refused, match="no price of a training instance in mars"):
        price_list.fetch(client(), table, "mars")

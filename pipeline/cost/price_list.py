"""Read today's prices from AWS's Price List, which any principal with pricing:GetProducts may do.

    fresh = price_list.fetch(client, table, configured.aws.region)

Only the instances' hours are fetched; the other prices are kept and change seldom. [unverified]
against the live service: the attribute names are those that public clients of this API use. An
answer with another shape is refused, never guessed. A read changes nothing: botocore repeats it.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pipeline.configuration import instances
from pipeline.cost.prices import Prices
from pipeline.errors import Refused

REGION = "us-east-1"  # the service is here, for prices of every region
_SOURCE = "AWS Price List (AmazonSageMaker, Training, on demand); the rest as before"


def fetch(client: Any, table: Prices, region: str) -> Prices:
    """Return the table with the instances' prices of a region as they are today.

    Raises:
        Refused: the list has no price of any instance, or its answer has another shape.
    """
    filters = [
        {"Type": "TERM_MATCH", "Field": "regionCode", "Value": region},
        {"Type": "TERM_MATCH", "Field": "component", "Value": "Training"},
    ]
    pages = client.get_paginator("get_products").paginate(
        ServiceCode="AmazonSageMaker", Filters=filters
    )
    found: dict[str, float] = {}
    for page in pages:
        for text in page["PriceList"]:
            found |= dict(_hourly(json.loads(text)))
    if not found:
        message = f"AWS's Price List has no price of a training instance in {region}"
        raise Refused(message)
    known = {name: found[name] for name in instances.TYPES if name in found}
    today = datetime.now(UTC).date()
    return replace(table, as_of=today, region=region, source=_SOURCE, training_hour=known)


def _hourly(product: Any) -> Iterator[tuple[str, float]]:
    """Yield the instance type and its price of an on-demand offer by the hour."""
    try:
        name = product["product"]["attributes"].get("instanceName", "")
        offers = product["terms"].get("OnDemand", {}).values()
        rates = [rate for offer in offers for rate in offer["priceDimensions"].values()]
        for rate in rates:
            dollars = float(rate["pricePerUnit"]["USD"])
            if name in instances.TYPES and rate["unit"] in ("Hrs", "Hours") and dollars > 0:
                yield name, dollars
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"AWS's Price List answered in another form: {type(error).__name__}: {error}"
        raise Refused(message) from error

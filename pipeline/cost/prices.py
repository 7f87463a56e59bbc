"""The prices of conf/prices.json: dated, of one region, in US dollars.

    table = prices.read(prices.PATH)
    table.training_hour["ml.g5.2xlarge"]    # 1.515

`python -m pipeline.cost --refresh` rewrites the file from AWS's Price List (`price_list.py`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from pipeline.base_model import strict_json
from pipeline.configuration.sections.strictness import STRICT
from pipeline.errors import ConfigError

PATH = Path(__file__).resolve().parents[2] / "conf" / "prices.json"
OLD_DAYS = 180  # a table that is older is named as old
_Dollars = Annotated[float, Field(gt=0, le=10_000)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Prices:
    """US dollars by unit. `training_hour` is an hour of one host of SageMaker training."""

    as_of: date
    region: str
    source: str
    training_hour: Mapping[str, _Dollars]
    emr_vcpu_hour: _Dollars
    emr_memory_gb_hour: _Dollars
    emr_storage_gb_hour: _Dollars
    s3_gb_month: _Dollars
    nat_gateway_hour: _Dollars
    kms_key_month: _Dollars
    secret_month: _Dollars

    def age_days(self, today: date | None = None) -> int:
        """Return how old the table is, in days."""
        return ((today or datetime.now(UTC).date()) - self.as_of).days

    def at(self, instance_type: str) -> str:
        """Return the price of one host for an hour in words, also of one that is not known."""
        if (known := self.training_hour.get(instance_type)) is not None:
            return f"at ${known:.3f}"
        return f"(price of {instance_type} not known: fetch it with `pipeline.cost --refresh`)"

    def of_hours(self, instance_type: str, hours: float) -> float | None:
        """Return the price of so many hours of a host, or None if the table does not have it."""
        known = self.training_hour.get(instance_type)
        return None if known is None else hours * known


def read(path: Path) -> Prices:
    """Return the prices of a file.

    Raises:
        ConfigError: it is missing, is not JSON, or a field is missing, unknown or out of range.
    """
    try:
        content = path.read_bytes()
        strict_json.loads(content)
        return TypeAdapter(Prices).validate_json(content)
    except ValidationError as error:
        faults = [(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
        raise ConfigError(path.name, faults) from error
    except (OSError, ValueError) as error:
        raise ConfigError(path.name, [("file", str(error))]) from error


def write(path: Path, table: Prices) -> None:
    """Write a table to a file, for `read`."""
    path.write_text(json.dumps(asdict(table), indent=2, default=str) + "\n", encoding="utf-8")

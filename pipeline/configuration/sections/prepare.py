"""The section `prepare`."""

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from pipeline.configuration import fields
from pipeline.configuration.sections import screening
from pipeline.configuration.sections.strictness import STRICT

HEADING = "risk-factor-heading/2"
TEMPLATES = (HEADING, "heading-among-four/1", "risk-factor-group/1", "compare-two-years/1")
MAX_VCPUS = 16  # what a new account may use at once
_DECIMALS = 6
By = Literal["company", "family", "year"]


def _tasks(shares: dict[str, float]) -> dict[str, float]:
    """The rules of steps/prepare/task_mix.py; a test compares both."""
    usable = all(
        name in TEMPLATES and 0 < share <= 1 and round(share, _DECIMALS) == share
        for name, share in shares.items()
    )
    whole = math.isclose(sum(shares.values()), 1.0, abs_tol=1e-9)
    if not (usable and whole and HEADING in shares):
        raise ValueError(
            f"expected shares of {', '.join(TEMPLATES)} that add up to 1, with at most {_DECIMALS} "
            f"decimals and {HEADING} among them, got {shares!r}"
        )
    return shares


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Split:
    """What eval holds out as a whole: companies, families, or the years from `from_year` on."""

    by: Annotated[By, Field(description="company, family or year")] = "company"
    from_year: Annotated[int, Field(ge=1993, le=2999)] | None = Field(
        default=None, description="a year, 1993 … 2999, or null"
    )
    # not the parameter Seed: trainings with other seeds have the same examples to compare on
    seed: Annotated[
        int, Field(ge=0, le=2**31 - 1, description="a whole number, 0 … 2147483647")
    ] = 17

    @model_validator(mode="after")
    def _with_its_year(self) -> "Split":
        if (self.by == "year") != (self.from_year is not None):
            message = f"expected from_year with by: year and only then, got {self.from_year}"
            raise ValueError(message)
        return self

    @property
    def word(self) -> str:
        """Prepare's argument."""
        return self.by if self.from_year is None else f"{self.by}:{self.from_year}"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Prepare:
    """The Spark job on EMR Serverless."""

    role_arn: fields.RoleArn  # has no right on the governed bucket
    application_id: fields.ApplicationId
    image: fields.Image
    entry_point: fields.EntryPoint
    delta_engine: Literal["delta-rs", "unity-connector"] = Field(
        description="delta-rs or unity-connector"
    )
    eval_fraction: float = Field(ge=0.001, le=0.5, description="a fraction, 0.001 … 0.5")
    curated_root: fields.S3Uri
    databricks_secret_id: fields.SecretId
    # The SDK has policies for this step; AWS's page of the steps with policies does not name it.
    # false leaves them out, if CreatePipeline refuses them [unverified]. A throttled start then
    # fails the execution.
    retries: bool = Field(True, description="true or false")
    timeout_minutes: int = Field(ge=5, le=2880, description="whole minutes, 5 … 2880")
    # What the application may use at once (MaxVcpus), within the account's quota
    max_vcpus: int = Field(MAX_VCPUS, ge=1, le=10_000, description="whole vCPUs, 1 … 10000")
    spark: fields.SparkConf
    scrub: screening.Kinds = Field(
        screening.ALL, description=f"a list of {', '.join(screening.ALL)}"
    )
    quality: screening.Quality = Field(default_factory=screening.Quality)
    contract: screening.Contract = Field(default_factory=screening.Contract)
    sources: screening.Sources = Field(("*",), description="a list of catalog.schema.name")
    split: Split = Field(default_factory=Split)
    tasks: Annotated[dict[str, float], AfterValidator(_tasks)] | None = Field(
        default=None, description="templates and their shares, or null"
    )

    @property
    def task_arguments(self) -> dict[str, str]:
        """Prepare's argument; none without tasks, so that all examples ask for the heading."""
        if self.tasks is None:
            return {}
        shares = (f"{name}={share:g}" for name, share in sorted(self.tasks.items()))
        return {"--tasks": ",".join(shares)}

"""What an execution will cost, line by line, and what the same training costs on other instances.

    lines = estimate.lines(work, "ml.g5.16xlarge", table)
    estimate.together(lines)                  # None if a price is not known
    estimate.others(work, allowed, table)     # cheapest first

On-demand prices; spot capacity costs less, by an amount that nobody can promise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.configuration import spark_workers
from pipeline.cost import speed
from pipeline.cost.prices import Prices
from pipeline.cost.work import Work

# GB that an execution leaves in S3 for a month: the archive with adapters and reports, and the
# state of two checkpoints (docs/scaling.md: 24.7 million float32 weights, and AdamW's moments).
_STORED_GB = 0.9
_MIRRORED_GB = 4.7  # the base model, once for an environment
_HOURS_A_MONTH = 730
# conf/infrastructure: keys, secrets and NAT gateways that cost something when nothing runs. A test
# counts them in the templates.
KEYS, SECRETS, NAT_GATEWAYS = 2, 7, 1


@dataclass(frozen=True)
class Line:
    """One item: what, the arithmetic in words, and US dollars; None if a price is not known."""

    what: str
    arithmetic: str
    dollars: float | None


@dataclass(frozen=True)
class Choice:
    """The training on one instance type."""

    instance_type: str
    gpu: str
    hours: float
    dollars: float


def lines(work: Work, instance_type: str, table: Prices) -> list[Line]:
    """Return the items of one execution."""
    return [prepare(work, table), train(work, instance_type, table), storage(table)]


def prepare(work: Work, table: Prices) -> Line:
    """Return Prepare's item: the workers' vCPUs, memory and disk, by the second."""
    seconds = work.prepare_seconds()
    return prepared(spark_workers.of(work.prepare_conf), seconds / 3600, table)


def prepared(workers: spark_workers.Workers, hours: float, table: Prices) -> Line:
    """Return the item of such workers that run for so many hours."""
    hourly = (
        workers.vcpus * table.emr_vcpu_hour
        + workers.memory_gb * table.emr_memory_gb_hour
        + workers.storage_gb * table.emr_storage_gb_hour
    )
    text = f"{workers.vcpus} vCPU, {workers.memory_gb:.0f} GB × {60 * hours:.1f} min"
    return Line("Prepare", text, hourly * hours)


def train(work: Work, instance_type: str, table: Prices) -> Line:
    """Return Train's item: hours of all hosts, from tokens and tokens a second."""
    hours = work.train_seconds(instance_type) / 3600
    rate = speed.of(instance_type).tokens * work.gpus(instance_type)
    text = (
        f"{work.trained_tokens(instance_type):,} tokens in {work.steps(instance_type):,} steps and "
        f"{work.evaluated_tokens(instance_type):,} evaluated at {rate:,} tokens/s, and the start: "
        f"{hours:.2f} h × {work.hosts} × {instance_type} {table.at(instance_type)}"
    )
    return Line("Train", text, table.of_hours(instance_type, hours * work.hosts))


def together(found: Sequence[Line]) -> float | None:
    """Return the sum of the items, or None if one of them is not known."""
    known = [line.dollars for line in found if line.dollars is not None]
    return sum(known) if len(known) == len(found) else None


def storage(table: Prices) -> Line:
    """Return what the execution's archive and checkpoints cost in their first month."""
    return Line("storage", f"{_STORED_GB} GB for a month", _STORED_GB * table.s3_gb_month)


def standing(table: Prices) -> list[Line]:
    """Return what an environment costs a month in which nothing runs."""
    nat = NAT_GATEWAYS * _HOURS_A_MONTH * table.nat_gateway_hour
    return [
        Line("NAT gateway", f"{NAT_GATEWAYS} × {_HOURS_A_MONTH} h, without traffic", nat),
        Line("signing keys", f"{KEYS} keys", KEYS * table.kms_key_month),
        Line("secrets", f"{SECRETS} secrets", SECRETS * table.secret_month),
        Line("base model", f"{_MIRRORED_GB} GB", _MIRRORED_GB * table.s3_gb_month),
    ]


def others(work: Work, allowed: Iterable[str], table: Prices) -> list[Choice]:
    """Return the training on each allowed instance type that has a price, cheapest first."""
    found = []
    for instance_type in allowed:
        if (hourly := table.training_hour.get(instance_type)) is None:
            continue
        hours = work.train_seconds(instance_type) / 3600
        gpu = speed.of(instance_type).gpu
        found.append(Choice(instance_type, gpu, hours, hours * work.hosts * hourly))
    return sorted(found, key=lambda choice: (choice.dollars, choice.hours))

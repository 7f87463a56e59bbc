"""What a fine-tune from 3B to 70B needs and costs: compute every number of docs/scaling.md.

    python -m scripts.scaling_page             print the tables
    python -m scripts.scaling_page --write     put them into docs/scaling.md

To change a number, edit scripts/scaling_arithmetic.py, not the page. No torch is needed.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from scripts import scaling_arithmetic as arithmetic
from scripts.scaling_arithmetic import GIB, Cluster, Model, needed, operations, plan, sharing, step
from steps.train.planning import batching, memory

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
BEGIN, END = "<!-- scripts.scaling_page: begin -->\n", "<!-- scripts.scaling_page: end -->\n"
_MILLION = 10**6


def sizes() -> Iterable[list[str]]:
    """Yield the table of weights, bytes and operations of each model."""
    yield [
        "model",
        "linears, 10^9",
        "embedding and head, 10^9",
        "base in FP8, GiB",
        "in bfloat16, GiB",
        f"adapters of rank {arithmetic.RANK}, 10^6",
        "optimizer state, GiB",
        "10^9 operations a token",
    ]
    for model in arithmetic.MODELS:
        weights_and_gradients = 8 * model.adapters
        state = memory.adapter_bytes(plan(model)) - weights_and_gradients
        yield [
            model.name,
            f"{model.linears / 1e9:.2f}",
            f"{model.shape.ends / 1e9:.2f}",
            f"{memory.base_bytes(plan(model)) / GIB:.1f}",
            f"{memory.base_bytes(plan(model, mode='off')) / GIB:.1f}",
            f"{model.adapters / 1e6:.1f}",
            f"{state / GIB:.2f}",
            f"{operations(model) / 1e9:.1f}",
        ]


def memories() -> Iterable[list[str]]:
    """Yield the table of GiB that each GPU needs."""
    splits = (4, 8, 16)
    yield ["model", "activations", "whole base (one GPU, DDP)", *(f"FSDP2 on {n}" for n in splits)]
    for model in arithmetic.MODELS:
        whole = needed(model, 1)
        totals = [needed(model, shards).total for shards in splits]
        row = [whole.kept + whole.momentary, whole.total, *totals]
        yield [model.name, *(f"{each / GIB:.1f}" for each in row)]


def traffic() -> Iterable[list[str]]:
    """Yield the table of bytes and milliseconds of one optimizer step."""
    yield [
        "model",
        "on",
        "as",
        "MB through a GPU's link",
        "ms of traffic",
        "ms of arithmetic",
        "traffic hidden",
    ]
    for model, cluster in arithmetic.fitting():
        if cluster.count == 1:
            continue
        one = step(model, cluster)
        hidden = ("all" if one.traffic <= one.arithmetic else "not all") if one.hidden else "no"
        yield [
            model.name,
            cluster.name,
            sharing(model, cluster),
            f"{one.traffic * cluster.bandwidth / 1e6:,.0f}",
            f"{1e3 * one.traffic:,.1f}",
            f"{1e3 * one.arithmetic:,.0f}",
            hidden,
        ]


def costs() -> Iterable[list[str]]:
    """Yield the table of speed, hours and dollars."""
    head = ["model", "on", "GPUs", "as", "GiB of a GPU's"]
    yield [*head, "tokens/s", "10 M tokens", "200 M tokens", "$ per 10 M tokens"]
    for model in arithmetic.MODELS:
        for cluster in arithmetic.CLUSTERS:
            yield _cost(model, cluster)


def _cost(model: Model, cluster: Cluster) -> list[str]:
    """Return one row of `costs`, with dashes if the model does not fit."""
    how = sharing(model, cluster)
    split = how == "FSDP2" or (how == "no" and cluster.count > 1)
    used = needed(model, cluster.count if split else 1).total
    total = arithmetic.GPUS[cluster.gpu].sheet.memory_bytes
    row = [model.name, cluster.name, f"{cluster.count} {cluster.gpu}", how]
    row.append(f"{used / GIB:.1f} of {total / GIB:.1f}")
    if how == "no":
        return [*row, *["-"] * 4]
    rate = step(model, cluster).rate
    hours = [tokens / rate / 3600 for tokens in (10 * _MILLION, 200 * _MILLION)]
    price = hours[0] * cluster.hosts * cluster.dollars
    return [*row, f"{rate:,.0f}", *(f"{each:,.2f} h" for each in hours), f"{price:,.2f}"]


def table(rows: Iterable[list[str]]) -> str:
    """Return rows, the first of which is the head, as a Markdown table."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def report() -> str:
    """Return the assumptions and all tables."""
    assumed = (
        f"Assumed: {arithmetic.TOKENS:,} tokens a row, one row at a time, every layer recomputed,\n"
        f"{batching.ROWS_PER_STEP} rows a step or one a GPU, documents of {arithmetic.DOCUMENT:,} "
        f"tokens, {arithmetic.LABELLED:.0%} of them labelled, MFU {arithmetic.MFU:.0%}.\n"
    )
    parts = [
        ("Sizes", sizes()),
        ("Memory of each GPU, GiB", memories()),
        ("Traffic of one optimizer step", traffic()),
        ("Speed and cost", costs()),
    ]
    return assumed + "".join(f"\n### {title}\n\n{table(rows)}" for title, rows in parts)


def page(text: str) -> str:
    """Return the page `text` with the current tables between its two markers."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{report()}\n{END}{after}"


def main() -> int:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.scaling_page", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scaling.md")
    if not parser.parse_args().write:
        sys.stdout.write(report())
        return 0
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

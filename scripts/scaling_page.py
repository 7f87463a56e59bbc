#!/usr/bin/env python3
"""What a fine-tune needs and costs from 3B to 70B on named instances: every number of docs/scaling.md, derived here.

    scripts/scaling             print the tables
    scripts/scaling --write     put them into docs/scaling.md

Edit the facts and assumptions in scripts/scaling_arithmetic.py, never the page. Standard library only.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import scaling_arithmetic as arithmetic
from scaling_arithmetic import GIB, MILLION, Cluster, activations, memory, operations, sharing, step

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
BEGIN, END = "<!-- scripts/scaling: begin -->\n", "<!-- scripts/scaling: end -->\n"


def models() -> Iterable[list[str]]:
    """Weights, bytes, operations."""
    adapters = f"adapters of rank {arithmetic.RANK}, 10^6"
    head = [
        "model",
        "linears, 10^9",
        "embedding and head, 10^9",
        "base in FP8, GiB",
        "in bfloat16, GiB",
    ]
    yield [*head, adapters, "optimizer state, GiB", "10^9 operations a token"]
    for m in arithmetic.MODELS:
        fp8, wide = m.linears + 2 * m.ends, 2 * (m.linears + m.ends)
        weights = [
            f"{m.linears / 1e9:.2f}",
            f"{m.ends / 1e9:.2f}",
            f"{fp8 / GIB:.1f}",
            f"{wide / GIB:.1f}",
        ]
        trained = [f"{m.adapters / 1e6:.1f}", f"{8 * m.adapters / GIB:.2f}"]
        yield [m.name, *weights, *trained, f"{operations(m) / 1e9:.1f}"]


def memories() -> Iterable[list[str]]:
    """GiB on each GPU."""
    yield [
        "model",
        "activations",
        "whole base (one GPU, DDP)",
        "FSDP2 on 4",
        "FSDP2 on 8",
        "FSDP2 on 16",
    ]
    for m in arithmetic.MODELS:
        needs = [activations(m), *(memory(m, sharers) for sharers in (1, 4, 8, 16))]
        yield [m.name, *(f"{need / GIB:.1f}" for need in needs)]


def traffic() -> Iterable[list[str]]:
    """Bytes and milliseconds per optimizer step."""
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
        moved = one.traffic * cluster.bandwidth
        hidden = ("all" if one.traffic <= one.arithmetic else "not all") if one.hidden else "no"
        times = [f"{1e3 * one.traffic:,.1f}", f"{1e3 * one.arithmetic:,.0f}"]
        yield [
            model.name,
            cluster.name,
            sharing(model, cluster),
            f"{moved / 1e6:,.0f}",
            *times,
            hidden,
        ]


def costs() -> Iterable[list[str]]:
    """Speed, hours, dollars."""
    head = ["model", "on", "GPUs", "as", "GiB of a GPU's"]
    yield [*head, "tokens/s", "10 M tokens", "200 M tokens", "$ per 10 M tokens"]
    for model in arithmetic.MODELS:
        for cluster in arithmetic.CLUSTERS:
            how = sharing(model, cluster)
            sharers = cluster.count if how == "FSDP2" or (how == "no" and cluster.count > 1) else 1
            gpu = arithmetic.GPUS[cluster.gpu]
            held = f"{memory(model, sharers) / GIB:.1f} of {gpu.memory / GIB:.1f}"
            row = [model.name, cluster.name, f"{cluster.count} {cluster.gpu}", how, held]
            yield [*row, *(["-"] * 4 if how == "no" else _bill(step(model, cluster).rate, cluster))]


def _bill(rate: float, cluster: Cluster) -> list[str]:
    hours = [tokens / rate / 3600 for tokens in (10 * MILLION, 200 * MILLION)]
    price = hours[0] * cluster.hosts * cluster.dollars
    return [f"{rate:,.0f}", *(f"{spent:,.2f} h" for spent in hours), f"{price:,.2f}"]


def table(rows: Iterable[list[str]]) -> str:
    """As Markdown."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def report() -> str:
    """All tables."""
    assumed = (
        f"{arithmetic.TOKENS:,} tokens a row, one row at once, every layer recomputed, {arithmetic.ROWS_PER_STEP} rows a step "
        f"or one a GPU, documents of {arithmetic.DOCUMENT:,} tokens, {arithmetic.LABELLED:.0%} of them labelled, "
        f"MFU {arithmetic.MFU:.0%}"
    )
    parts = [("Sizes", models()), ("Memory of each GPU, GiB", memories())]
    parts += [("Traffic of one optimizer step", traffic()), ("Speed and cost", costs())]
    return f"Assumed: {assumed}.\n" + "".join(
        f"\n### {title}\n\n{table(rows)}" for title, rows in parts
    )


def page(text: str) -> str:
    """The page with the tables of now between its markers."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{report()}\n{END}{after}"


def main() -> int:
    """Print, or write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scaling.md")
    if not parser.parse_args().write:
        sys.stdout.write(report())
        return 0
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

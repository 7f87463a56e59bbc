"""Quality filters: rules on one risk factor, each with a name, a measure and a bound.

    faults(measured(factors), Quality())     # reason and detail of each row, null for a good one

The rules are a part of those of Gopher (Rae et al. 2021, arXiv:2112.11446, table A1) and C4 (Raffel
et al. 2020): word length, symbols, stop words, repetition. The bounds are wider, because a risk
factor is one paragraph or a few: on the sample's filings no rule rejects anything. A detail holds
numbers and no text.
"""

from collections.abc import Iterator

import polars as pl

from steps.prepare.bounds import Quality
from steps.prepare.filings.quality import injections

INJECTION = "prompt_injection"
# Lower-case words with spaces around, so that they are looked for as plain text.
_STOP_WORDS = (" the ", " and ", " of ", " to ")
_SYMBOLS = r"[#*_~^|{}\[\]<>=\\@+]"
_START = 1_000  # characters of a body in which words are counted
_FEWEST_WORDS = 40  # a shorter text has few words to compare


def faults(rows: pl.DataFrame, bounds: Quality) -> pl.DataFrame:
    """Return `reason` and `detail` of measured rows: the first rule that a row breaks."""
    rules = list(_rules(bounds))
    broken = rows.select(
        test.fill_null(value=False).alias(str(n)) for n, (_, test, _) in enumerate(rules)
    )
    found = broken.select(pl.any_horizontal(pl.all()).arg_true()).to_series()
    none = pl.repeat(None, len(rows), dtype=pl.String, eager=True)
    if not len(found):
        return pl.DataFrame({"reason": none, "detail": none})
    named = (
        rows[found]
        .hstack(broken[found])
        .select(
            reason=pl.coalesce(
                pl.when(str(n)).then(pl.lit(name)) for n, (name, _, _) in enumerate(rules)
            ),
            detail=pl.coalesce(pl.when(str(n)).then(text) for n, (_, _, text) in enumerate(rules)),
        )
    )
    return pl.DataFrame({name: none.clone().scatter(found, named[name]) for name in named.columns})


def measured(factors: pl.DataFrame) -> pl.DataFrame:
    """Return `company`, `heading`, `body` with the rules' measures, one column each.

    Words are those of the body's first 1,000 characters.
    """
    body, start = pl.col("body"), pl.col("start")
    words = pl.col("words").list.len()
    stops = pl.sum_horizontal(start.str.count_matches(word, literal=True) for word in _STOP_WORDS)
    sentences = pl.col("sentences").list
    begun = factors.with_columns(start=body.str.slice(0, _START), sentences=body.str.split(". "))
    return begun.with_columns(words=start.str.split(" ")).select(
        *("company", "heading", "body"),
        words.alias("words"),
        (stops / words).alias("stop_words"),
        (start.str.len_chars() / words).alias("word_length"),
        (body.str.count_matches(_SYMBOLS) / body.str.len_chars()).alias("symbols"),
        (1 - sentences.n_unique() / sentences.len()).alias("repeated_sentences"),
        (pl.col("words").list.n_unique() / words).alias("distinct_words"),
        pl.col("heading").str.len_chars().alias("heading_length"),
    )


def _rules(bounds: Quality) -> Iterator[tuple[str, pl.Expr, pl.Expr]]:
    """Yield each rule: its name, whether it is broken, and what was found and expected."""
    if bounds.injections:
        texts = (
            pl.col(name).str.contains(injections.ANY) for name in ("company", "heading", "body")
        )
        yield INJECTION, pl.any_horizontal(texts), pl.lit("a known string of prompt injection")
    long = pl.col("words") >= _FEWEST_WORDS
    lengths = f"{bounds.shortest_word:g} to {bounds.longest_word:g}"
    for name, measure, broken, expected in (
        ("not_english", "stop_words", long & (pl.col("stop_words") < bounds.stop_words),
         f"at least {bounds.stop_words:g}"),
        ("word_length", "word_length",
         ~pl.col("word_length").is_between(bounds.shortest_word, bounds.longest_word), lengths),
        ("symbols", "symbols", pl.col("symbols") > bounds.symbols, f"at most {bounds.symbols:g}"),
        ("repetition", "repeated_sentences",
         pl.col("repeated_sentences") > bounds.repeated_sentences,
         f"at most {bounds.repeated_sentences:g}"),
        ("repetition", "distinct_words", long & (pl.col("distinct_words") < bounds.distinct_words),
         f"at least {bounds.distinct_words:g}"),
        ("heading_length", "heading_length", pl.col("heading_length") > bounds.longest_heading,
         f"at most {bounds.longest_heading:g}"),
    ):  # fmt: skip
        got = pl.col(measure).cast(pl.Float64).round(3).cast(pl.String)
        yield name, broken, pl.format(f"{measure} {{}}, expected {expected}", got)

"""Split a section's paragraphs into risk factors: the company's own heading, and the text under it.

    risk_factors(paragraphs)      # row, paragraph -> row, position, heading, body

Filings set headings in one of two ways, and this module decides which one each section uses:

* *standing*: the heading is a sentence on a separate line ("Our revenue depends on few customers,
  whose loss could harm us.");
* *run-in*: the heading is the first sentence of its paragraph (bold in print; the text has lost the
  type).

A heading is a whole sentence that names a risk. Titles of groups ("Risks Related to Our Business")
belong to no risk factor and end the one before. Text before the first heading is the section's
introduction and is left out.
"""

import polars as pl

# Characters; 99 % of the headings in the sample are inside.
_SHORTEST_HEADING, _LONGEST_HEADING = 30, 420
_LONGEST_TITLE = 110
_SHORTEST_RUN_IN_REST = 120

# What makes a sentence a risk: something may happen, or something bad is named.
_RISK = (
    r"(?i)\b(?:may|might|could|can|cannot|will|would|if|unless|risks?|risky|subject to"
    r"|depend\w*|rely|relies|reliance|reliant"
    r"|adverse\w*|harm\w*|fail\w*|unable|inability|difficult\w*|loss|losses|los[et]"
    r"|uncertain\w*|volatil\w*|fluctuat\w*"
    r"|compet\w+|expos\w+|vulnerab\w+|impair\w*|disrupt\w*|limit\w*|litigation|claims"
    r"|regulat\w*|decline\w*|dilut\w*"
    r"|challeng\w*|delay\w*|costly|restrict\w*|breach\w*|threat\w*|shortage\w*|not be able"
    "|no assurance"
    r"|significant(?:ly)? (?:influence|affect))\b"
)
_MAY = (
    r"(?i)\b(?:may|might|could|can|cannot|will|would|depends?|dependent|subject to|rely"
    r"|risks?|exposed)\b"
)
_MONTH = "january|february|march|april|may|june|july|august|september|october|november|december"
# A sentence that refers to the one before it, or is about the report, is not a heading.
_LEANS = (
    r"(?i)^(?:•|\(?[a-z0-9]{1,2}\)|in addition\b|additionally|however|moreover|furthermore"
    "|further,|also,|as a result"
    "|accordingly|therefore|consequently|thus|for (?:example|instance|these reasons)"
    "|similarly|likewise|nevertheless|finally"
    "|in particular|in some|in (?:fiscal|the past|recent|many|certain|such|this|that|order to"
    r"|general|the event)\b"
    rf"|on (?:{_MONTH})\b|during |these |this |those |such |any (?:of |such |one)|some of "
    "|most of |many of these"
    "|we (?:also|believe|have also|cannot assure|can give no|caution)|there can be no"
    "|to the extent|although we|while we"
    r"|among other|other (?:risks|factors)|the following|even if|see |refer to|specifically)"
)
_REPORT = (
    "(?i)following (?:risk|factor|discussion|description|are)|risk factors"
    "|described (?:below|above|elsewhere)"
    "|this (?:annual|quarterly)? ?(?:report|form)|form 10-[kq]|forward-looking"
    "|actual results (?:could|may|might) differ"
    "|discussed below|include the following|not required to provide"
    r"|investment in (?:our|the) .{0,40}\binvolves"
    r"|set forth (?:below|above)"
)
_ENDS = r"[.!?][\"'”’)]*$"
_SECOND_LEANS = (
    r"[.!?]\s+(?:In addition|However|Moreover|Furthermore|As a result|For example"
    r"|These|This|Such)\b"
)
# Full stops that end no sentence; while one is looked for they are held by another character of the
# same length.
_ABBREVIATION = r"\b(U\.S|Inc|Corp|Co|Ltd|No|St|Mr|Ms|Mrs|Dr|vs|[A-Z])\. "
_HELD = "\x00"
_FIRST_SENTENCE = r"^(.{20,}?[.!?][\"'”’)]*)\s+[A-Z“\"‘(]"


def risk_factors(paragraphs: pl.DataFrame) -> pl.DataFrame:
    """Group paragraphs (`row`, `paragraph`) as `row`, `position` (from 0), `heading`, `body`."""
    marked = _marked(paragraphs)
    placed = marked.with_columns(position=pl.col("opens").cast(pl.Int32).cum_sum().over("row") - 1)
    inside = placed.filter((pl.col("position") >= 0) & ~pl.col("title"))
    return (
        inside.group_by("row", "position", maintain_order=True)
        .agg(pl.col("heading").first(), body=pl.col("rest").str.join("\n"))
        .with_columns(pl.col("body").str.strip_chars())
    )


def _marked(paragraphs: pl.DataFrame) -> pl.DataFrame:
    """Return per paragraph: `opens` (a risk factor begins), its `heading`, and `rest`, the body."""
    line = pl.col("paragraph")
    candidates = paragraphs.with_columns(
        standing=_is_standing().fill_null(value=False), first=_first_sentence(), title=_is_title()
    ).with_columns(run_in=_is_run_in().fill_null(value=False))
    run_in = pl.col("run_in").sum().over("row") > pl.col("standing").sum().over("row")
    return candidates.select(
        "row",
        "title",
        opens=pl.when(run_in).then("run_in").otherwise("standing"),
        heading=pl.when(run_in).then("first").otherwise("paragraph"),
        rest=pl.when(run_in & pl.col("run_in"))
        .then(line.str.slice(pl.col("first").str.len_chars()).str.strip_chars_start())
        .when(~run_in & pl.col("standing"))
        .then(pl.lit(""))
        .otherwise(line),
    )


def _is_standing() -> pl.Expr:
    """Match a line of one or two sentences that name a risk, above a longer paragraph or a list."""
    line = pl.col("paragraph")
    under = line.shift(-1).over("row")
    one_thought = (line.str.count_matches(r"[a-z)][.!?]\s+[A-Z]") <= 1) & ~line.str.contains(
        _SECOND_LEANS
    )
    body_follows = (
        under.str.starts_with("•")
        | (under.str.len_chars() > line.str.len_chars())
        | under.str.ends_with(":")
    )
    return _heads(line) & line.str.contains(_ENDS) & one_thought & body_follows


def _is_run_in() -> pl.Expr:
    """Match a paragraph whose first sentence states a possible event, with enough text after it."""
    first, line = pl.col("first"), pl.col("paragraph")
    rest = line.str.len_chars() - first.str.len_chars()
    return _heads(first) & first.str.contains(_MAY) & (rest >= _SHORTEST_RUN_IN_REST)


def _first_sentence() -> pl.Expr:
    held = pl.col("paragraph").str.replace_all(_ABBREVIATION, "${1}" + _HELD + " ")
    return held.str.extract(_FIRST_SENTENCE).str.replace_all(_HELD, ".", literal=True)


def _heads(sentence: pl.Expr) -> pl.Expr:
    return (
        sentence.str.len_chars().is_between(_SHORTEST_HEADING, _LONGEST_HEADING)
        & sentence.str.contains(_RISK)
        & ~sentence.str.contains(_LEANS)
        & ~sentence.str.contains(_REPORT)
    )


def _is_title() -> pl.Expr:
    """Match a short line that is not a sentence: the name of a group of risk factors."""
    line = pl.col("paragraph")
    return (
        (line.str.len_chars() <= _LONGEST_TITLE)
        & ~line.str.contains(r"[.:;,!?…][\"'”’)]*$")
        & ~line.str.starts_with("•")
        & line.str.contains(r"^[A-Z“\"]")
    )

"""How many words of a paragraph's first sentence are in what follows it, or went before.

    compared(lines)      # the same rows with `overlap` and `overlap_before`, in hundredths

`lines` has `row`, `paragraph`, `unit` (the first sentence), `sentence_breaks`, `bullet`, `lower`.
Words are compared by their first letters.
"""

import polars as pl

_STEM = r"(?-u:\b)[a-z]{5,6}"
_OVERLAPPING = 250  # characters that are compared
_STEMS = ("stems", "stems_after", "stems_before")


def compared(lines: pl.DataFrame) -> pl.DataFrame:
    """Add both shares. The stems are columns for a while, so that each is made once."""
    own = pl.col(_STEMS[0]).list

    def shared(name: str) -> pl.Expr:
        both = own.set_intersection(pl.col(name)).list.len()
        return (both * 100 // (own.len() + 1)).fill_null(0)

    found = lines.with_columns(**_stems())
    found = found.with_columns(overlap=shared(_STEMS[1]), overlap_before=shared(_STEMS[2]))
    return found.drop(_STEMS)


def _stems() -> dict[str, pl.Expr]:
    """The stems of a first sentence, of what follows it and of what went before.

    What follows a short line is the next paragraph; what follows a first sentence, its rest.
    """
    # List items and continued lines head nothing; they are not compared.
    line, considered = pl.col("paragraph"), ~pl.col("bullet") & ~pl.col("lower")
    rest = line.str.slice(pl.col("unit").str.len_chars(), _OVERLAPPING)
    below = line.shift(-1).over("row").str.slice(0, _OVERLAPPING)
    texts = (
        pl.col("unit"),
        pl.when(pl.col("sentence_breaks") > 1).then(rest).otherwise(below),
        line.str.slice(-_OVERLAPPING).shift(1).over("row"),
    )
    return {
        name: pl.when(considered).then(text).str.to_lowercase().str.extract_all(_STEM)
        for name, text in zip(_STEMS, texts, strict=True)
    }

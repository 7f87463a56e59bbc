"""The filings of the index: which membership files hold a filing, with its examples per split.

    write_part(path, {"ab12…": table})                     # of checked membership files
    seen = find(paths, "320193/0000320193-24-000123")             # [Seen("ab12…", 3, 0)]

Each part is one Parquet file in the order of `filing_id`, so a look-up reads one or two row groups.
It opens `ParquetFile`: `read_table` imports pyarrow.dataset, and so pandas where it is installed.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

COLUMNS = ("filing_id", "examples_train", "examples_eval")
_ROWS_IN_GROUP = 65_536
_CANDIDATES = 2_000  # texts that difflib compares: about 20 ms


@dataclass(frozen=True)
class Seen:
    """One membership file that has a filing, and the examples that it gave to each split."""

    membership_sha256: str
    examples_train: int
    examples_eval: int


def write_part(path: Path, memberships: Mapping[str, pa.Table]) -> None:
    """Write the filings of some membership files, by sha256, as one part."""
    import polars as pl  # only a rebuild needs it

    numbers = np.repeat(np.arange(len(memberships)), [len(each) for each in memberships.values()])
    # By polars, since `pa.array` of a list imports pandas where it is installed.
    names = pl.Series(list(memberships), dtype=pl.String).to_arrow()
    column = pa.DictionaryArray.from_arrays(pl.Series(numbers).to_arrow(), names)
    table = pa.concat_tables(memberships.values())
    _write_sorted(path, table.append_column("membership", column))


def merge_parts(path: Path, parts: Sequence[Path]) -> None:
    """Write the filings of several parts as one."""
    tables = [pq.read_table(part, read_dictionary=["membership"]) for part in parts]
    _write_sorted(path, pa.concat_tables(tables).unify_dictionaries())


def find(parts: Iterable[Path], filing_id: str) -> list[Seen]:
    """Return every membership file that has the filing."""
    found: list[Seen] = []
    # Not `equal`: a Python value in a call imports pandas where it is installed.
    starts = partial(pc.starts_with, pattern=filing_id)
    for part in parts:
        with pq.ParquetFile(part) as file:
            table = file.read_row_groups(_groups_with(file, filing_id))
        found += [
            Seen(row["membership"], row["examples_train"], row["examples_eval"])
            for row in table.filter(starts(table.column("filing_id"))).to_pylist()
            if row["filing_id"] == filing_id
        ]
    return sorted(found, key=lambda seen: seen.membership_sha256)


def _groups_with(file: pq.ParquetFile, filing_id: str) -> list[int]:
    """Return the row groups whose range has the filing."""
    column = file.schema_arrow.get_field_index("filing_id")
    chunks = [
        file.metadata.row_group(number).column(column).statistics
        for number in range(file.num_row_groups)
    ]
    return [
        number
        for number, seen in enumerate(chunks)
        if seen is None or not seen.has_min_max or seen.min <= filing_id <= seen.max
    ]


def named(parts: Iterable[Path], accession: str) -> list[str]:
    """Return the filings `<cik>/<accession>` of an accession number alone."""
    return sorted(_matching(parts, partial(pc.ends_with, pattern=f"/{accession}")))


def nearest(parts: Sequence[Path], filing_id: str) -> str | None:
    """Return the known filing that is nearest to a mistyped one, or None.

    One wrong character leaves one half of the text intact, so only filings that share a half are
    compared.
    """
    half = max(1, len(filing_id) // 2)
    names: set[str] = set()
    for each in (filing_id[:half], filing_id[half:]):
        if each:
            names |= _matching(parts, partial(pc.match_substring, pattern=each))
    close = difflib.get_close_matches(filing_id, sorted(names), n=1, cutoff=0.6)
    return close[0] if close else None


def _matching(parts: Iterable[Path], mask: Callable[[Any], Any]) -> set[str]:
    names: set[str] = set()
    for part in parts:
        with pq.ParquetFile(part) as file:
            ids = file.read(columns=["filing_id"]).column("filing_id")
        names |= set(ids.filter(mask(ids)).slice(0, _CANDIDATES).to_pylist())
    return names


def _write_sorted(path: Path, table: Any) -> None:
    import polars as pl  # sorts strings several times faster than pyarrow; only a rebuild needs it

    frame = pl.DataFrame(table)
    ordered = frame.sort("filing_id").to_arrow()
    pq.write_table(
        ordered,
        path,
        compression="zstd",
        row_group_size=_ROWS_IN_GROUP,
        write_page_index=True,
        write_statistics=["filing_id"],  # no look-up asks for the range of another column
    )

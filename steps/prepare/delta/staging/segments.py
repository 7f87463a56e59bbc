"""Staged rows as segments of files: the kernel's are whole Parquet files, kept ones share a file.

    put_parts(store, prefix, [keys, texts], kind="example")        # a Parquet file for each part
    put_shards(store, prefix, [(0, rows), (7, rows)], kind="near") # one file, a segment a shard
    columns_of(store, segment, ["row"])

A segment is fetched by one request and compared with its sha256. Rows that are kept between two
steps are few columns, written once and read once or twice, so their segments are Arrow streams: a
Parquet file of some hundred rows costs thirty times as much, in twenty places for each pair of
shards. One file a shard would be as many objects as shards squared.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from steps.governance.errors import IntegrityError
from steps.prepare.delta.data_files import put

# `first` is the path of the first part of the same rows.
WRITTEN = pa.schema(
    [(name, pa.string()) for name in ("path", "kind", "first", "sha256")]
    + [(name, pa.int64()) for name in ("offset", "size", "rows", "part", "shard")]
)
_PARQUET, _ARROW = "parquet", "arrow"
Report = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows in a file below the table: where it begins and ends in bytes, its columns and shard."""

    path: str
    columns: tuple[str, ...]
    offset: int
    size: int
    sha256: str
    rows: int
    shard: int


Stack = tuple[Segment, ...]  # the parts of the same rows, in the same order


def put_parts(
    store: "pa.fs.FileSystem", prefix: str, parts: Sequence[pa.Table], *, kind: str
) -> list[Report]:
    """Write the parts of some rows, each as a file; return their report."""
    found: list[Report] = []
    for part, table in enumerate(parts):
        content = _parquet(table)
        digest = hashlib.sha256(content).hexdigest()
        path = f"{prefix}-{digest}.{_PARQUET}"
        put(store, path, content)
        first = found[0]["path"] if found else path
        found.append(_report(table, content, digest, kind) | {"part": part, "first": first})
        found[-1] |= {"path": path, "offset": 0, "shard": 0}
    return found


def put_shards(
    store: "pa.fs.FileSystem", prefix: str, shards: Iterable[tuple[int, pa.Table]], *, kind: str
) -> list[Report]:
    """Write the rows of some shards into one file, each as a segment; return their report."""
    found: list[Report] = []
    contents: list[bytes] = []
    end = 0
    for shard, table in shards:
        content = _arrow(table)
        digest = hashlib.sha256(content).hexdigest()
        found.append(_report(table, content, digest, kind) | {"shard": shard, "offset": end})
        contents.append(content)
        end += len(content)
    of_all = hashlib.sha256("".join(str(one["sha256"]) for one in found).encode()).hexdigest()
    path = f"{prefix}-{of_all}.{_ARROW}"
    put(store, path, b"".join(contents))
    return [one | {"part": 0, "path": path, "first": path} for one in found]


def columns_of(
    store: "pa.fs.FileSystem", segment: Segment, columns: Sequence[str]
) -> list[pa.ChunkedArray]:
    """Return some columns of a segment.

    Raises:
        IntegrityError: it is not what was written.
    """
    with store.open_input_file(segment.path) as source:
        there = source.size() - segment.offset  # reading beyond the end is an engine's fault
        content = source.read_at(segment.size, segment.offset) if there > 0 else b""
    found = hashlib.sha256(content).hexdigest()
    if found != segment.sha256:
        raise IntegrityError(
            f"a staged file is not what was written: {segment.path}",
            expected=f"{segment.size} bytes from {segment.offset}, sha256 {segment.sha256}",
            got=f"{len(content)} bytes, sha256 {found}",
            do="find out who else can write there; then start a new execution",
        )
    table = _table(segment, content, list(columns))
    return [table[name] for name in columns]


def _table(segment: Segment, content: bytes, columns: list[str]) -> pa.Table:
    import pyarrow.parquet as pq

    if segment.path.endswith(_ARROW):
        return pa.ipc.open_stream(content).read_all()
    return pq.ParquetFile(pa.BufferReader(content)).read(columns, use_threads=False)


def _report(table: pa.Table, content: bytes, digest: str, kind: str) -> Report:
    return {"kind": kind, "size": len(content), "rows": table.num_rows, "sha256": digest}


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=False, write_statistics=False)
    return bytes(sink.getvalue())


def _arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())

#!/usr/bin/env bash
# delta-rs closes a data file only after a multiple of 1,024 rows, whatever its target size is.
#
# `write_deltalake(..., target_file_size=N)` promises files of about N bytes. The writer cuts its input into
# pieces of 1,024 rows and compares the size after each piece. With short rows nobody sees it. A table of
# documents has rows of 10 to 100 KB: a target of 1 MiB gives files of 10 to 100 MB. Who sizes files so that one
# fits a task's memory, or can be hashed while its storage keys last, gets files of another size without a
# message. WriterProperties(write_batch_size=64, max_row_group_size=64) changes nothing. Writing fewer
# rows in each call does.
#
# Observed with deltalake 1.6.6, pyarrow 25.0.1, Python 3.11:
#   rows of 500 bytes, target 1 MiB: 4 files, largest 3,072 rows, 1.5 times the target
#   rows of 10,000 bytes, target 1 MiB: 4 files, largest 1,024 rows, 9.8 times the target
#   the same with small batches and row groups: 4 files, largest 1,024 rows, 10.1 times the target
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    deltalake==1.6.6 pyarrow==25.0.1 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import WriterProperties, write_deltalake

TARGET = 1 << 20
draw = random.Random(1)


def seen(name, rows, length, **options):
    folder = Path(sys.argv[1]) / name.replace(" ", "-")
    texts = [draw.randbytes(length // 2).hex() for _ in range(rows)]
    write_deltalake(str(folder), pa.table({"text": texts}), target_file_size=TARGET, **options)
    files = [(path.stat().st_size, pq.ParquetFile(path).metadata.num_rows)
             for path in folder.glob("*.parquet")]
    size, most = max(files)
    print(f"{name}: {len(files)} files, largest {most:,} rows, {size / TARGET:.1f} times the target")


small = WriterProperties(write_batch_size=64, max_row_group_size=64)
seen("rows of 500 bytes, target 1 MiB", 10_240, 500)
seen("rows of 10,000 bytes, target 1 MiB", 4_096, 10_000)
seen("the same with small batches and row groups", 4_096, 10_000, writer_properties=small)
PYTHON
got=$("$folder/venv/bin/python" "$folder/try.py" "$folder")
echo "$got"
[[ "$got" == "rows of 500 bytes, target 1 MiB: 4 files, largest 3,072 rows, 1.5 times the target
rows of 10,000 bytes, target 1 MiB: 4 files, largest 1,024 rows, 9.8 times the target
the same with small batches and row groups: 4 files, largest 1,024 rows, 10.1 times the target" ]]

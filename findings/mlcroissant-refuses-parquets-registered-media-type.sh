#!/usr/bin/env bash
# mlcroissant reads Parquet only under the unregistered media type application/x-parquet.
#
# Croissant's `encodingFormat` is "a mime type", and IANA registered application/vnd.apache.parquet
# for Parquet in 2024. A dataset with the registered type loads: no error and no warning names it.
# Only `records()` fails, and its message ("None of the provided encoding formats … returned a valid
# pandas dataframe") reads as if the file were broken. With application/x-parquet, the same file is
# read.
#
# Observed with mlcroissant 1.1.1, pandas 3, Python 3.11:
#   application/x-parquet: loads with 0 errors; 2 records
#   application/vnd.apache.parquet: loads with 0 errors; records() raises GenerationError
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'mlcroissant[parquet]==1.1.1' 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
import hashlib, json, logging, sys, warnings
from pathlib import Path

warnings.simplefilter("ignore")
import mlcroissant as mlc
import pandas as pd

logging.disable(logging.WARNING)
folder = Path(sys.argv[1])
pd.DataFrame({"text": ["a", "b"]}).to_parquet(folder / "rows.parquet")
digest = hashlib.sha256((folder / "rows.parquet").read_bytes()).hexdigest()

def attempt(media_type):
    file = mlc.FileObject(
        id="rows.parquet", name="rows.parquet", content_url="rows.parquet", sha256=digest,
        encoding_formats=[media_type],
    )
    source = mlc.Source(file_object="rows.parquet", extract=mlc.Extract(column="text"))
    field = mlc.Field(id="rows/text", name="rows/text", data_types=mlc.DataType.TEXT, source=source)
    metadata = mlc.Metadata(
        name="d", distribution=[file], record_sets=[mlc.RecordSet(id="rows", name="rows", fields=[field])]
    )
    path = folder / "croissant.json"
    path.write_text(json.dumps(metadata.to_json(), default=str))
    dataset = mlc.Dataset(jsonld=path)
    loaded = f"loads with {len(dataset.metadata.ctx.issues.errors)} errors"
    try:
        return f"{loaded}; {len(list(dataset.records('rows')))} records"
    except Exception as error:
        return f"{loaded}; records() raises {type(error).__name__}"

found = [attempt(each) for each in ("application/x-parquet", "application/vnd.apache.parquet")]
print(f"application/x-parquet: {found[0]}\napplication/vnd.apache.parquet: {found[1]}")
sys.exit(found != [
    "loads with 0 errors; 2 records", "loads with 0 errors; records() raises GenerationError",
])
PYTHON
"$folder/venv/bin/python" "$folder/try.py" "$folder"

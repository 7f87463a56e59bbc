#!/usr/bin/env bash
# pyarrow: two list types that are equal have different hashes.
#
# Arrow does not count the name of a list's values as part of its type: list<item> == list<element>,
# and schemas with them are equal. But the hash is made from the printed type, so the two are two
# members of a set and two keys of a dictionary. Names do differ in practice: pa.list_ writes "item",
# Parquet's and Delta's own name is "element". A table of rules by type finds a list column of a frame
# made here and misses the same column read back from Delta; a test that compares with == sees none of it.
#
# Observed with pyarrow 25.0.1, Python 3.11: equal, equal hashes, members of a set of the two
#   types    True False 2
#   schemas  True False 2
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==25.0.1 2> /dev/null
got=$("$folder/venv/bin/python" - <<'PYTHON'
import pyarrow as pa

item, element = pa.list_(pa.int32()), pa.list_(pa.field("element", pa.int32()))
print("types   ", item == element, hash(item) == hash(element), len({item, element}))
one, other = pa.schema([("x", item)]), pa.schema([("x", element)])
print("schemas ", one == other, hash(one) == hash(other), len({one, other}))
PYTHON
)
echo "$got"
[[ "$got" == "types    True False 2
schemas  True False 2" ]]

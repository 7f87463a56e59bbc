#!/usr/bin/env bash
# cyclonedx-python-lib reads a valid ML-BOM and drops its model card, without an error or a warning.
#
# A machine-learning BOM consists of a component with `modelCard`, components with `data`, and
# `formulation`; all three are in CycloneDX since 1.5. The library's own JsonStrictValidator accepts
# the document. `Bom.from_json` then returns a Bom without any of them, and the usual way to change
# a BOM (read, add a component, write) loses them. Other unknown fields are dropped as silently.
# A reader would guess that what the validator accepts is kept, or that the loss is reported.
#
# Observed with cyclonedx-python-lib 11.12.0, Python 3.11:
#   validator accepts the document: True
#   read and written again: modelCard False, data False, formulation False; 0 warnings
# The exit code is 1 if this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'cyclonedx-python-lib[json-validation]==11.12.0' 2> /dev/null
cat > "$folder/try.py" <<'PYTHON'
import json, sys, warnings
from cyclonedx.model.bom import Bom
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

document = {
    "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
    "components": [
        {"type": "machine-learning-model", "bom-ref": "model", "name": "m",
         "modelCard": {"modelParameters": {"task": "text-generation", "datasets": [{"ref": "data"}]}}},
        {"type": "data", "bom-ref": "data", "name": "d", "data": [{"type": "dataset", "name": "d"}]},
    ],
    "formulation": [{"workflows": [{"bom-ref": "w", "uid": "1", "taskTypes": ["build"]}]}],
}
valid = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
print(f"validator accepts the document: {valid}")
with warnings.catch_warnings(record=True) as raised:
    warnings.simplefilter("always")
    again = JsonV1Dot6(Bom.from_json(document)).output_as_string()
kept = {name: f'"{name}"' in again for name in ("modelCard", "data", "formulation")}
# "data" is also the type of a component: look for the field.
kept["data"] = any("data" in component for component in json.loads(again)["components"])
print("read and written again: " + ", ".join(f"{name} {there}" for name, there in kept.items())
      + f"; {len(raised)} warnings")
sys.exit(0 if valid and not any(kept.values()) and not raised else 1)
PYTHON
"$folder/venv/bin/python" "$folder/try.py"

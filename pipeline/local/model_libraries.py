"""The packages that load and run a registered model, imported without those that no model needs.

    from pipeline.local import model_libraries    # a registered model now loads without an import

transformers, PEFT and mlflow import some packages only because they are installed: a third of the
import time. `sys.modules[name] = None` is Python's documented way to mark a package as absent.
"""

import importlib
import os
import sys

_UNUSED = ("bitsandbytes", "datasets", "scipy", "sklearn", "polars", "pyspark", "IPython")
_NEEDED = (
    "pandas",
    "mlflow.pyfunc",
    "databricks.sdk",
    "peft",
    "transformers.models.mistral3.modeling_mistral3",
    "transformers.models.pixtral.modeling_pixtral",
    "transformers.models.ministral3.modeling_ministral3",
)

# Threads that wait sleep instead of spin: a tiny model leaves its threads waiting most of the time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
for _name in _UNUSED:
    if _name not in sys.modules:
        sys.modules[_name] = None  # type: ignore[assignment]  # None means absent
for _name in _NEEDED:
    importlib.import_module(_name)

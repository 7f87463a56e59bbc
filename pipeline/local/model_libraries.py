"""The packages that load and run a registered model, imported before the model is needed.

from pipeline.local import model_libraries    # a registered model now loads without an import
"""

import importlib

_NEEDED = (
    "pandas",
    "mlflow.pyfunc",
    "databricks.sdk",
    "peft",
    "transformers.models.mistral3.modeling_mistral3",
    "transformers.models.pixtral.modeling_pixtral",
    "transformers.models.ministral3.modeling_ministral3",
)

for _name in _NEEDED:
    importlib.import_module(_name)

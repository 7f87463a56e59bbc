"""Import mlflow, and keep what a worker has imported out of its garbage collections.

import_mlflow()     # 4 s; the worker does it before the first message
keep_imports()      # once, after the first message
"""

import functools
import gc
import importlib
import importlib.util
import logging
import sys
import warnings

# mlflow tries to import these 85 times in one registration: it asks before each request whether it
# runs in a notebook of Databricks. A failed import searches every folder again.
_OF_NOTEBOOKS = ("dbruntime", "IPython")


def import_mlflow() -> None:
    """Import mlflow, which takes 4 s: the worker does it before the first message."""
    for name in _OF_NOTEBOOKS:
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            sys.modules[name] = None  # type: ignore[assignment]  # not found, without a search
    with warnings.catch_warnings():
        # while it is imported, mlflow warns about type hints of its classes
        warnings.filterwarnings(
            "ignore", message=".*Any type hint is inferred as AnyType", category=UserWarning
        )
        importlib.import_module("mlflow.pyfunc")
    # Plug-ins for other services may be installed where this image's lock is not used, and fail at
    # each request: sagemaker-mlflow reads `databricks` as an ARN (requirements/overrides.txt leaves
    # it out). That does no harm.
    logging.getLogger("mlflow.tracking.request_header.registry").setLevel(logging.ERROR)


@functools.cache
def keep_imports() -> None:
    """Let later collections pass over what exists now: 430,000 objects, 0.2 s each time."""
    gc.collect()
    gc.freeze()

"""Import `databricks.sdk` without the services that nobody asked for.

    defer("databricks.sdk")                              # `import steps` does this
    from databricks.sdk.service.catalog import TablesAPI  # imports the catalog service only
    from databricks.sdk import WorkspaceClient            # now all services are imported

The package's `__init__` imports about 30 generated services, which took 0.7 of the 1.0 processor
seconds of an import (databricks-sdk 0.156). Each step, each audit and each cold start of a Lambda
paid for them. A deferred package is on the list of modules, but its `__init__` runs when someone
asks for a name that is not one of its modules.
"""

import importlib
import importlib.util
import sys
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from threading import RLock
from types import ModuleType


def defer(package: str) -> None:
    """Put the package on the list of modules; one that is there already stays as it is.

    A package that is not installed is left out, and its import reports that.
    """
    if package in sys.modules:
        return
    parent, _, name = package.rpartition(".")
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        return
    if spec is None or spec.loader is None:
        return
    module = _Deferred(spec, spec.loader)
    sys.modules[package] = module
    setattr(importlib.import_module(parent), name, module)


class _Deferred(ModuleType):
    """A package whose `__init__` runs at the first name that it alone can answer."""

    def __init__(self, spec: ModuleSpec, loader: Loader) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec
        self.__file__ = spec.origin
        self.__path__ = spec.submodule_search_locations or []
        self.__loader__ = loader
        self._run = loader.exec_module
        self._lock = RLock()
        self._executed = False

    def __getattr__(self, name: str) -> object:
        """Return a module of the package, or what its `__init__` calls by that name.

        Python asks for special names (`__wrapped__`) to inspect a module: they execute nothing.
        """
        if not name.startswith("__"):
            if importlib.util.find_spec(f"{self.__name__}.{name}"):
                return importlib.import_module(f"{self.__name__}.{name}")
            self._execute()
            if name in self.__dict__:
                return self.__dict__[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def _execute(self) -> None:
        """Run `__init__` once: other threads wait, and after an error the next name tries again."""
        with self._lock:
            if self._executed:
                return
            self._executed = True  # Before it runs: its own imports ask for names too.
            try:
                self._run(self)
            except BaseException:
                self._executed = False
                raise

"""Interpreted twins: the same `.py` files, loaded from source although compiled modules lie beside them.

Two uses: GATEWAY_PURE=1 for a whole process, and `interpreted(name)` for a twin of the packet path under
another package name, so that both speeds run in one process and can be compared byte for byte.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType

PACKAGE = __package__ or "gateway"
TWIN = f"{PACKAGE}_interpreted"


class SourceFinder(MetaPathFinder):
    """Finds the modules of one package from their source only, never from an extension module."""

    def __init__(self, package: str, path: Sequence[str]) -> None:
        self.package, self.path = package, list(path)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.package and not name.startswith(self.package + "."):
            return None
        for folder in path or self.path:
            spec = FileFinder(folder, (SourceFileLoader, [".py"])).find_spec(name)
            if spec is not None:
                return spec
        return None


def interpret(package: str, path: Sequence[str]) -> None:
    """From here on, import `package`'s modules from source."""
    sys.meta_path.insert(0, SourceFinder(package, path))


def interpreted(module: str) -> ModuleType:
    """The interpreted twin of a module of the packet path, by its path below the package: "nat.translator"."""
    if TWIN not in sys.modules:
        root = ModuleType(TWIN)
        root.__path__ = list(importlib.import_module(PACKAGE).__path__)
        root.__package__ = TWIN
        sys.modules[TWIN] = root
        interpret(TWIN, root.__path__)
    return importlib.import_module(f"{TWIN}.{module}")

"""Optional packages, imported when they are first needed."""

from __future__ import annotations

import importlib
from typing import Any

from symprop.errors import MissingExtraError

__all__ = ["extra"]


def extra(module: str, name: str, what: str) -> Any:
    """The module; raises `MissingExtraError` that names the extra of symprop which installs its package."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise MissingExtraError(
            f"{what} needs {package}, which is not installed: pip install 'symprop[{name}]'"
        ) from error

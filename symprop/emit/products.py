"""Where a nest is a matrix product: its axes are sorted into rows, columns and sum, and a kernel computes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symprop.emit.loops import LoopEmitter
    from symprop.schedule.ir import Nest

__all__ = ["Kernel", "product_kernel"]

Kernel = Callable[..., Any]


def product_kernel(emitter: LoopEmitter, nest: Nest) -> bool:
    """Write a product nest with a micro-kernel; False where its form is none that a kernel knows."""
    return False

"""Where the code is while a nest is written: loop variables, lanes, mask."""

from __future__ import annotations

from dataclasses import dataclass

from symprop.emit.builder import Value
from symprop.emit.table import Lanes

__all__ = ["Frame"]


@dataclass
class Frame:
    """The values of the loop variables; `axis` runs in the lanes, and `mask` hides lanes behind its end."""

    lanes: Lanes
    axis: str | None
    at: dict[str, Value]
    mask: Value | None = None

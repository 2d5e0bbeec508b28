"""What is done with the finished entries of a matrix product, while they are in registers."""

from __future__ import annotations

from typing import Protocol

from .builder import Builder, Value, vector
from .pack import Operand, add, at, multiply
from .tiling import Axis
from .vectors import write

__all__ = ["Epilogue", "store_to"]


class Epilogue(Protocol):
    """What is done with finished entries of C."""

    def __call__(
        self, b: Builder, acc: Value, i: Value, j: Value, count: int, mask: Value | None, axis: Axis
    ) -> None:
        """Use `acc`, which is C[i, j : j + lanes] (axis "n") or C[i : i + lanes, j] (axis "m").

        Lanes where the mask is false are no entries of C: what they hold has no meaning, and their memory
        is not to be touched. `count` is the number of lanes that are entries of C if it is known, else of
        all lanes: if `mask` is given and `count` < lanes, the first `count` lanes are valid and the mask is
        a constant that says the same. A scalar `acc` is a vector of one lane.
        """


def store_to(target: Operand) -> Epilogue:
    """The epilogue that only stores."""

    def store(b: Builder, acc: Value, i: Value, j: Value, count: int, mask: Value | None, axis: Axis) -> None:
        kind = vector(acc.type.element)
        offset = add(b, multiply(b, i, target.row), multiply(b, j, target.column))
        step = target.column if axis == "n" else target.row
        write(b, acc, at(b, target.pointer, offset, kind), step, count, mask)

    return store

"""The state of a training: parameters, the memory of the optimizer, the number of steps; saved and loaded."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from symprop.api.declaration import name_of
from symprop.errors import ArgumentError
from symprop.run.arguments import address, shape_text
from symprop.run.results import placed

__all__ = ["Arrays", "State", "read"]

Array = np.ndarray[Any, np.dtype[Any]]
FORMAT = "symprop training state 1"


class Arrays(Mapping[sp.Basic, Array]):
    """Arrays by symbol, or by the name of a symbol."""

    def __init__(self, arrays: Mapping[sp.Basic, Array]) -> None:
        self._arrays = dict(arrays)
        self._named = {name_of(s): a for s, a in arrays.items()}

    def __getitem__(self, symbol: Any) -> Array:
        return self._named[symbol] if isinstance(symbol, str) else self._arrays[symbol]

    def __contains__(self, symbol: object) -> bool:
        return symbol in (self._named if isinstance(symbol, str) else self._arrays)

    def __iter__(self) -> Iterator[sp.Basic]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{s}: array of {shape_text(a.shape)}" for s, a in self._arrays.items()) + "}"


class State:
    """What a training step changes in place.

    `params` maps symbols (or names) to arrays, which the next step overwrites: copy what must last.
    `slots["m"]` are the arrays of the optimizer's state `m`, by parameter. A state belongs to one thread at a
    time; `state.copy()` is another one.
    """

    def __init__(
        self,
        about: Mapping[str, Any],
        params: Mapping[sp.Basic, Array],
        slots: Mapping[str, Mapping[sp.Basic, Array]],
        step: int = 0,
    ) -> None:
        """Copies the arrays, which are in the order of the compiled step, to where it works on them best."""
        self.about = about
        turns = 1 + len(slots)
        self.params, *memory = (
            Arrays({s: placed(a, turn, turns) for s, a in arrays.items()})
            for turn, arrays in enumerate((params, *slots.values()))
        )
        self.slots = dict(zip(slots, memory, strict=True))
        self._count = np.array(step, np.int64)
        self.pointers = self._addresses()
        self.calls = 0  # of a step in this process
        # the step that has been called often, and its native call for these arrays
        self.quick: tuple[Any, Callable[..., Any]] | None = None

    def _addresses(self) -> list[int]:
        """Parameters, then for each parameter its slots, then the number of steps."""
        arrays = list(self.params.values())
        arrays += [slot[symbol] for symbol in self.params for slot in self.slots.values()]
        return [address(a) for a in (*arrays, self._count)]

    @property
    def step(self) -> int:
        """The number of steps that were done."""
        return int(self._count)

    def copy(self) -> State:
        """A state of its own with equal values."""
        return State(
            self.about,
            self.params,
            self.slots,
            self.step,
        )

    def __copy__(self) -> State:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> State:
        return self.copy()

    def __reduce__(self) -> Any:
        slots = {name: dict(slot) for name, slot in self.slots.items()}
        return State, (self.about, dict(self.params), slots, self.step)

    def __repr__(self) -> str:
        count = sum(a.size for a in self.params.values())
        return f"<State after {self.step} steps: {len(self.params)} parameters, {count} numbers>"

    # -- files -------------------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write the state to a file (`.npz`, read by `step.load`).

        The file is complete or not there: it is written beside its place under another name, then renamed.
        """
        target = Path(path)
        text = json.dumps({**self.about, "shapes": [list(a.shape) for a in self.params.values()]})
        arrays: dict[str, Array] = {
            "about": np.frombuffer(text.encode(), np.uint8),
            "step": np.array(self.step, np.int64),
        }
        for k, array in enumerate(self.params.values()):
            arrays[f"param{k}"] = array
            for name, slot in self.slots.items():
                arrays[f"param{k}.{name}"] = list(slot.values())[k]
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            mode = 0o666 & ~_umask()
            Path(temporary).chmod(mode)  # as any new file; a temporary one is private
            Path(temporary).replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def read(path: Any, about: Mapping[str, Any], strict: bool) -> tuple[list[Array], list[list[Array]], int]:
    """The arrays of the parameters, for each the slots, and the number of steps, from a file.

    Raises `ArgumentError` where the file is none of ours, or is of another network or optimizer than `about`
    says; hyper-parameters and equations of the network may differ unless `strict`.
    """
    try:
        with np.load(Path(path), allow_pickle=False) as file:
            stored = {key: file[key] for key in file.files}
        found = json.loads(bytes(stored["about"]).decode())
        if found["format"] != FORMAT:
            raise KeyError(found["format"])
        slots = found["slots"]
        params = [stored[f"param{k}"] for k in range(len(found["params"]))]
        memory = [[stored[f"param{k}.{name}"] for name in slots] for k in range(len(params))]
        step = int(stored["step"])
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ArgumentError(
            f"{path}: no state of a training, or a damaged one ({type(error).__name__}: {error}); expected a "
            f"file that state.save has written"
        ) from error
    differences = list(_differences(found, about, strict))
    if differences:
        raise ArgumentError(f"{path} is a state of another training:\n" + "\n".join(differences))
    for array, shape, rest in zip(params, found["shapes"], memory, strict=True):
        if any(list(a.shape) != shape or a.dtype != np.dtype(about["dtype"]) for a in (array, *rest)):
            raise ArgumentError(f"{path}: a damaged file: an array has not the shape {tuple(shape)}")
    return params, memory, step


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any], strict: bool) -> Iterator[str]:
    for key, what in _COMPARED.items():
        if found.get(key) != wanted[key] and (strict or key in _ALWAYS):
            first, second = found.get(key), wanted[key]
            if isinstance(first, list) and isinstance(second, list):
                first, second = _unlike(first, second)
            yield f"  {what}: {first} in the file, {second} here"


_COMPARED = {
    "params": "parameters",
    "dtype": "dtype",
    "slots": "state of the optimizer",
    "equations": "equations of the optimizer",
    "hyper": "hyper-parameters",
    "network": "equations of the network",
    "options": "options of compile_step",
}
_ALWAYS = ("params", "dtype", "slots")


def _unlike(first: Sequence[Any], second: Sequence[Any]) -> tuple[str, str]:
    """The entries of two lists that the other one lacks."""
    texts = [[x if isinstance(x, str) else " ".join(map(str, x)) for x in one] for one in (first, second)]
    result = []
    for mine, other in (texts, texts[::-1]):
        lacking = [x for x in mine if x not in set(other)] or mine
        result.append("; ".join(lacking[:4])[:400] + (" ..." if len(lacking) > 4 else "") or "nothing")
    return result[0], result[1]

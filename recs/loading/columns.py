"""What the checks of a column share: its form, its faults, and how a value is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from recs.errors import BadInput

_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True)
class Values:
    """A column ready for COPY, and by row why a value is refused (its place is then NULL)."""

    array: Any
    faults: dict[int, str]


def one_by_one(
    array: Any, read: Callable[[Any], Any], name: str, expected: str, kind: Any
) -> tuple[Any, dict[int, str]]:
    """Read value by value, where a whole column cannot be: slow, and it finds the culprits."""
    found, faults = [], {}
    for row, value in enumerate(array.to_pylist()):
        try:
            found.append(None if value is None or value in ("", b"") else read(value))
        except (ValueError, OverflowError, OSError):
            faults[row] = f"{name} is {show(value)}, expected {expected}"
            found.append(None)
    return pa.array(found, kind), faults


def number(text: str) -> float:
    """Read a number as Arrow does; Python alone takes 1_000 too."""
    if "_" in text:
        raise ValueError(text)
    return float(text)


def faults_of(mask: Any, explain: Callable[[int], str]) -> dict[int, str]:
    """Explain the rows where a mask is true."""
    rows = np.flatnonzero(mask if isinstance(mask, np.ndarray) else numpy_of(mask))
    return {int(row): explain(int(row)) for row in rows}


def numpy_of(array: Any) -> Any:
    """Return a column as a numpy array."""
    return array.to_numpy(zero_copy_only=False)


def is_text(kind: Any) -> bool:
    """Tell whether a type is text, typed or not."""
    types = pa.types
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    binary = types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)
    return bool(text or binary)


def show(value: Any) -> str:
    """Return a value as a message has it: not all of a long one."""
    try:
        text = repr(value.tolist() if isinstance(value, np.ndarray) else value)
    except RecursionError:
        return f"a {type(value).__name__} nested very deep"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 2] + ".."


def wrong_type(name: str, kind: Any, expected: str) -> BadInput:
    """Return the error of a column whose type fits none of its values."""
    return BadInput(
        f"{name} comes from a column of type {kind}, expected {expected}",
        hint=f"name another column for it, or convert this one: --map {name}=COLUMN",
    )

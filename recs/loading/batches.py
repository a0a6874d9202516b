"""What the three kinds of file have in common: a source yields batches, a batch has columns."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from recs.loading.fields import Kind


@dataclass(frozen=True)
class Reject:
    """A row that cannot be loaded.

    `line` counts from 1: lines of text, or rows of a Parquet file. `row` is the row as the file
    has it: its cells by column, or the text that could not be read.
    """

    line: int
    reason: str
    row: Any

    def document(self) -> str:
        """Return it as a line of JSON; NaN and infinity, which JSON lacks, as text."""
        parts = {"line": self.line, "reason": self.reason, "row": self.row}
        try:
            return _json(parts)
        except ValueError:
            return _json(_strict(parts))
        except RecursionError:
            return _json(parts | {"row": "nested too deep to write down"})


def _json(parts: Any) -> str:
    return json.dumps(parts, ensure_ascii=False, allow_nan=False, default=str)


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class Batch(Protocol):
    """Some rows of a file; rows that could not even be parsed are not among them."""

    @property
    def rows(self) -> int:
        """The number of rows."""

    @property
    def fraction(self) -> float:
        """How much of the file is read, this batch included: 0 to 1."""

    def column(self, name: str) -> Any:
        """Return a column as a pyarrow array; untyped text (CSV) as binary."""

    def misfits(self, name: str, kind: Kind) -> Mapping[int, Any]:
        """Return by row what is no value of that kind, whatever `column` has in its place."""

    def objects(self, name: str) -> list[Any]:
        """Return a column as Python values."""

    def vectors(self, name: str) -> list[Any]:
        """Return a column as lists of numbers, numpy arrays, or text; what is neither as it is."""

    def rejects(self, faults: Mapping[int, str]) -> list[Reject]:
        """Return rows by index, and those that could not be parsed, in the order of the file."""


class Source(Protocol):
    """An open file."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns the file has."""

    @property
    def unit(self) -> str:
        """What `Reject.line` counts: line or row."""

    def batches(self, names: Sequence[str], rows: int) -> Iterator[Batch]:
        """Yield the columns `names` in batches of about so many rows."""

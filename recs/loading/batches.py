"""What the three kinds of file have in common: a source yields batches, a batch has columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


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
        """Return it as a line of JSON."""
        parts = {"line": self.line, "reason": self.reason, "row": self.row}
        return json.dumps(parts, ensure_ascii=False, default=str)


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

    def objects(self, name: str) -> list[Any]:
        """Return a column as Python values."""

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

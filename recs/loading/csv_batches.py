"""What a block of a CSV file becomes: a batch of its rows, and of the records that are none."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recs.loading.batches import Reject
from recs.loading.csv_records import Extent, Records, unreadable
from recs.loading.fields import Kind
from recs.loading.text_files import UNREADABLE

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?([eE][+-]?\d{1,2})?")
_WORDS = {"true": True, "false": False}


class Unparsable:
    """Records that are no rows, until the batch comes that they stand in."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, str]] = deque()
        self.long: dict[int, Extent] = {}
        self.count = 0

    def add(self, record: int, reason: str) -> None:
        """Note one that pyarrow passed over."""
        self.waiting.append((record, reason))
        self.count += 1

    def add_long(self, record: int, extent: Extent, *, most: int) -> None:
        """Note one of more bytes than a row may have."""
        self.long[record] = extent
        lines = extent.next_line - extent.line
        quote = f" in {lines} lines: is a quote left open?" if lines > 1 else ""
        self.add(record, f"the row has {extent.size} bytes, expected at most {most}{quote}")


class CsvBatch:
    """One block; cells are bytes, and an empty cell is an empty string."""

    def __init__(
        self,
        block: Any | None,
        start: int,
        unparsable: Unparsable,
        locator: Locator,
        fraction: float,
    ) -> None:
        self._block = block
        self._start = start
        self.rows = 0 if block is None else block.num_rows
        self.fraction = fraction
        self._locator = locator
        self._unparsable: dict[int, str] = {}
        self.end = start + self.rows
        # the block's records are its rows and the unparsable ones between and before them
        waiting = unparsable.waiting
        while waiting and (block is None or waiting[0][0] < self.end):
            record, reason = waiting.popleft()
            self._unparsable[record] = reason
            self.end += 1

    def column(self, name: str) -> Any:
        """Return the cells as bytes."""
        assert self._block is not None  # noqa: S101 - a batch of unparsable rows has no columns
        return self._block.column(name)

    def objects(self, name: str) -> list[Any]:
        """Return the cells as numbers, booleans and texts; an empty cell is None."""
        return [_literal(cell) for cell in self.column(name).to_pylist()]

    def misfits(self, name: str, kind: Kind) -> Mapping[int, Any]:  # noqa: ARG002 - a cell is one value
        """Return none."""
        return {}

    vectors = objects

    def rejects(self, faults: Mapping[int, str]) -> list[Reject]:
        """Return rows with the lines they start on."""
        reasons = self._unparsable
        if faults:
            records = np.arange(self._start, self.end)
            parsed = records[~np.isin(records, list(self._unparsable))]
            reasons = reasons | {int(parsed[row]): reason for row, reason in faults.items()}
        return [self._locator.reject(record, reasons[record]) for record in sorted(reasons)]


class Locator:
    """Find rejected records by number, in ascending order."""

    def __init__(
        self, path: Path, columns: Sequence[str], records: Records, unparsable: Unparsable
    ) -> None:
        self._path = path
        self._columns = columns
        self._records = records
        self._long = unparsable.long

    def reject(self, record: int, reason: str) -> Reject:
        """Return it with its line and cells, or the first of a long one."""
        if (extent := self._long.get(record)) is not None:
            return Reject(extent.line, reason, extent.head + "..")
        try:
            line, cells = self._records.find(record)
        except (csv.Error, *UNREADABLE) as error:
            raise unreadable(self._path, error) from error
        same = len(cells) == len(self._columns)
        return Reject(line, reason, dict(zip(self._columns, cells, strict=True)) if same else cells)


def _literal(cell: bytes) -> Any:
    """Read a cell as JSON would; what is not a number or boolean there is text ('007' too)."""
    try:
        return _literal_text(cell.decode())
    except UnicodeDecodeError:
        return cell


def _literal_text(cell: str) -> Any:
    if not cell:
        return None
    if cell in _WORDS:
        return _WORDS[cell]
    found = _NUMBER.fullmatch(cell)
    if found is None:
        return cell
    return float(cell) if found[2] or found[3] else int(cell)

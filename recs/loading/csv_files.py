"""CSV and TSV: pyarrow reads all cells as bytes, in blocks; Python's csv finds lines to report."""

from __future__ import annotations

import csv
import gzip
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from recs.errors import BadInput
from recs.loading.batches import Reject

# A row must fit in a block. pyarrow reads up to 32 blocks ahead of a slow consumer.
_BLOCK = 4 << 20
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?([eE][+-]?\d{1,2})?")
_WORDS = {"true": True, "false": False}


class CsvSource:
    """A CSV file with a header."""

    unit = "line"

    def __init__(self, path: Path, *, delimiter: str = ",") -> None:
        self._path = path
        self._delimiter = delimiter
        self.columns = self._header()

    def batches(self, names: Sequence[str], rows: int) -> Iterator[CsvBatch]:
        """Yield blocks of the file as batches."""
        self._require_unique([*names, self.columns[-1]])
        # (record, expected cells, cells): the parser reads ahead, so these may lie in a later block
        unparsable: deque[tuple[int, int, int]] = deque()
        locator = _Locator(self._path, self._delimiter)
        start, block = 0, None
        try:
            with self._reader(names, unparsable) as (reader, fraction):
                for block in _grouped(reader, rows):
                    batch = CsvBatch(block, start, unparsable, locator, fraction())
                    start = batch.end
                    yield batch
            if block is not None:
                self._require_closed_quote(block)
            if unparsable:
                yield CsvBatch(None, start, unparsable, locator, 1.0)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._unreadable(error) from error

    @contextmanager
    def _reader(
        self, names: Sequence[str], unparsable: deque[tuple[int, int, int]]
    ) -> Iterator[tuple[Any, Any]]:
        def skip(row: Any) -> str:
            # numbers count the header as 1, and no blank lines
            unparsable.append((row.number - 2, row.expected_columns, row.actual_columns))
            return "skip"

        wanted = list(dict.fromkeys([*names, self.columns[-1]]))
        size = self._path.stat().st_size
        with pa.OSFile(str(self._path)) as file:
            packed = self._path.suffix.lower() == ".gz"
            reader = arrow_csv.open_csv(
                pa.CompressedInputStream(file, "gzip") if packed else file,
                # one thread: only then are unparsable rows numbered
                read_options=arrow_csv.ReadOptions(use_threads=False, block_size=_BLOCK),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=skip
                ),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=wanted,
                    column_types=dict.fromkeys(wanted, pa.binary()),
                    strings_can_be_null=False,
                ),
            )
            yield reader, lambda: min(file.tell() / size, 1.0)

    def _header(self) -> list[str]:
        try:
            with _open_text(self._path) as file:
                header = next(csv.reader(file, delimiter=self._delimiter), [])
        except (OSError, EOFError) as error:
            raise self._unreadable(error) from error
        if not header:
            raise BadInput(f"{self._path} is empty", hint="expected a header and at least one row")
        return header

    def _require_unique(self, names: Sequence[str]) -> None:
        for name in names:
            if self.columns.count(name) > 1:
                raise BadInput(
                    f"{self._path}: the header has column {name!r} twice",
                    hint="rename one of the two",
                )

    def _require_closed_quote(self, block: Any) -> None:
        """Refuse a quote left open at the end: pyarrow takes the rest for one cell."""
        if not block.num_rows or b"\n" not in block.column(self.columns[-1])[-1].as_py():
            return
        line = 1
        with _open_text(self._path) as file:
            reader = csv.reader(file, delimiter=self._delimiter, strict=True)
            try:
                for _ in reader:
                    line = reader.line_num + 1
            except csv.Error as error:
                if "unexpected end of data" in str(error):
                    raise BadInput(
                        f"{self._path}, line {line}: a quote is opened and never closed",
                        hint='nothing was loaded; close it, or write "" for a quote in a cell',
                    ) from error

    def _unreadable(self, error: Exception) -> BadInput:
        return BadInput(
            f"{self._path} cannot be read as CSV: {str(error).splitlines()[0]}",
            hint="expected UTF-8, a header, and every quote closed",
        )


def _grouped(blocks: Iterable[Any], rows: int) -> Iterator[Any]:
    """Yield blocks joined to about so many rows."""
    group: list[Any] = []
    for block in blocks:
        group.append(block)
        if sum(part.num_rows for part in group) >= rows:
            yield from pa.Table.from_batches(group).combine_chunks().to_batches()
            group = []
    if group:
        yield from pa.Table.from_batches(group).combine_chunks().to_batches()


class CsvBatch:
    """One block; cells are bytes, and an empty cell is an empty string."""

    def __init__(
        self,
        block: Any | None,
        start: int,
        unparsable: deque[tuple[int, int, int]],
        locator: _Locator,
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
        while unparsable and (block is None or unparsable[0][0] < self.end):
            record, expected, got = unparsable.popleft()
            self._unparsable[record] = f"expected {expected} cells, got {got}"
            self.end += 1

    def column(self, name: str) -> Any:
        """Return the cells as bytes."""
        assert self._block is not None  # noqa: S101 - a batch of unparsable rows has no columns
        return self._block.column(name)

    def objects(self, name: str) -> list[Any]:
        """Return the cells as numbers, booleans and texts; an empty cell is None."""
        return [_literal(cell) for cell in self.column(name).to_pylist()]

    def misfits(self, name: str) -> Mapping[int, Any]:  # noqa: ARG002 - a cell is one value
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


class _Locator:
    """Find records by number, in ascending order: pyarrow does not say where a row came from."""

    def __init__(self, path: Path, delimiter: str) -> None:
        self._path = path
        self._delimiter = delimiter
        self._file: TextIO | None = None
        self._next = 0

    def reject(self, record: int, reason: str) -> Reject:
        if self._file is None:
            self._open()
        while True:
            line = self._reader.line_num + 1
            cells = next(self._reader)
            if not cells:
                continue
            self._next += 1
            if self._next > record:
                break
        same = len(cells) == len(self._header)
        return Reject(line, reason, dict(zip(self._header, cells, strict=True)) if same else cells)

    def _open(self) -> None:
        self._file = _open_text(self._path)
        self._reader = csv.reader(self._file, delimiter=self._delimiter)
        self._header = next(self._reader)

    def __del__(self) -> None:
        # batches are read ahead: the last of them lives longer than the loop that made it
        if self._file is not None:
            self._file.close()


def _open_text(path: Path) -> TextIO:
    csv.field_size_limit(max(csv.field_size_limit(), _BLOCK))  # what pyarrow allows
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


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

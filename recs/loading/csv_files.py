"""CSV and TSV: pyarrow reads all cells as bytes, in blocks; Python's csv finds lines to report."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from recs.errors import BadInput
from recs.loading.batches import Reject
from recs.loading.csv_records import Extent, Records, header_extent
from recs.loading.fields import Kind
from recs.loading.text_files import UNREADABLE, is_packed, is_utf_8, open_bytes, require_utf_8

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
        self.columns, self._header_lines = self._header()

    def batches(self, names: Sequence[str], rows: int) -> Iterator[CsvBatch]:
        """Yield blocks of the file as batches."""
        self._require_unique(names)
        unparsable = _Unparsable()
        locator = _Locator(self._path, self.columns, self._records(unparsable), unparsable)
        start, block = 0, None
        try:
            for block, fraction in self._blocks(names, rows, unparsable):
                batch = CsvBatch(block, start, unparsable, locator, fraction)
                start = batch.end
                yield batch
            self._require_closed_quote(block, start, unparsable)
            if unparsable.waiting:
                yield CsvBatch(None, start, unparsable, locator, 1.0)
        except (pa.ArrowInvalid, csv.Error, *UNREADABLE) as error:
            raise _unreadable(self._path, error) from error

    def _blocks(
        self, names: Sequence[str], rows: int, unparsable: _Unparsable
    ) -> Iterator[tuple[Any, float]]:
        """Yield blocks, and how much of the file is read; rows too long for one are passed over."""
        # the last column, used or not, tells whether the last quote was closed
        places = sorted({*map(self.columns.index, names), len(self.columns) - 1})
        used = [self.columns[place] for place in places]
        # pyarrow hands a row of a wrong number of cells over as text, and gives up where it is
        # none. As Latin-1 every byte is a character, and the character that byte again.
        as_latin_1 = not is_utf_8(self._path)
        records = self._records(unparsable, measured=True)
        record, offset, good = 0, 0, 0
        while True:
            try:
                with self._reader(places, unparsable, record, offset, as_latin_1) as reading:
                    reader, fraction = reading
                    for block in _grouped(reader, rows, used):
                        good += block.num_rows
                        yield _bytes_again(block) if as_latin_1 else block, fraction()
                return
            except pa.ArrowInvalid as error:
                if "straddl" not in str(error):  # a row over the end of a second block
                    raise
                record = good + unparsable.count
                extent = self._closed(records.extent(record))
                if extent.size <= _BLOCK:
                    raise
                unparsable.add_long(record, extent)
                record, offset = record + 1, extent.end

    def _records(self, unparsable: _Unparsable, *, measured: bool = False) -> Records:
        return Records(
            self._path,
            self._delimiter,
            unparsable.long,
            longest=4 * _BLOCK,  # pyarrow takes a row that lies in two blocks, of two bytes for one
            measured=measured,
        )

    @contextmanager
    def _reader(
        self,
        places: Sequence[int],
        unparsable: _Unparsable,
        record: int,
        offset: int,
        as_latin_1: bool,
    ) -> Iterator[tuple[Iterable[Any], Callable[[], float]]]:
        """Read from a record on, which starts at a place in the file; 0: that of the header."""
        header_lines = 0 if offset else self._header_lines
        first = header_lines + 1

        def skip(row: Any) -> str:
            # numbers count the lines of the header, and no blank ones after it
            cells = f"expected {row.expected_columns} cells, got {row.actual_columns}"
            unparsable.add(record + row.number - first, cells)
            return "skip"

        # by place: a header may have a name twice, or one that is not UTF-8, where it is not used
        wanted = [str(place) for place in places]
        size = self._path.stat().st_size
        with pa.OSFile(str(self._path)) as file:
            stream = _unpacked(file, offset, packed=is_packed(self._path))
            if as_latin_1:
                stream = pa.transcoding_input_stream(stream, "latin-1", "utf-8")
            lines = _WholeLineEnds(stream)
            if lines.is_at_end():
                yield (), lambda: 1.0
                return
            reader = arrow_csv.open_csv(
                lines,
                read_options=arrow_csv.ReadOptions(
                    use_threads=False,  # only then are unparsable rows numbered
                    block_size=2 * _BLOCK if as_latin_1 else _BLOCK,  # of two bytes at most
                    column_names=[str(place) for place in range(len(self.columns))],
                    skip_rows=header_lines,
                ),
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

    def _header(self) -> tuple[list[str], int]:
        """Return the header, and how many lines it is, blank ones before it included."""
        try:
            require_utf_8(self._path)
            with _open_text(self._path) as file:
                reader = csv.reader(file, delimiter=self._delimiter)
                header, lines = self._first_record(reader), reader.line_num
                has_more = next(file, None) is not None
            if not has_more:
                self._closed(header_extent(self._path, self._delimiter))
        except (csv.Error, *UNREADABLE) as error:
            raise _unreadable(self._path, error) from error
        if not has_more:
            raise BadInput(f"{self._path} is empty", hint="expected a header and at least one row")
        return header, lines

    def _first_record(self, reader: Iterable[list[str]]) -> list[str]:
        try:
            return next((cells for cells in reader if cells), [])
        except csv.Error:  # of a cell that is very long
            self._closed(header_extent(self._path, self._delimiter))
            raise

    def _require_unique(self, names: Sequence[str]) -> None:
        for name in names:
            if self.columns.count(name) > 1:
                raise BadInput(
                    f"{self._path}: the header has column {name!r} twice",
                    hint="rename one of the two",
                )

    def _require_closed_quote(self, block: Any | None, start: int, unparsable: _Unparsable) -> None:
        """Refuse a quote left open at the end: pyarrow takes the rest for one cell."""
        record = start + len(unparsable.waiting) - 1
        if record in unparsable.long:
            return
        row_ends = block is not None and block.num_rows and b"\n" in block.columns[-1][-1].as_py()
        if unparsable.waiting or row_ends:
            self._closed(self._records(unparsable, measured=True).extent(record))

    def _closed(self, extent: Extent) -> Extent:
        """Return the extent of a record, all quotes of which are closed."""
        if extent.open_line is None:
            return extent
        raise BadInput(
            f"{self._path}, line {extent.open_line}: a quote is opened and never closed",
            hint='nothing was loaded; close it, or write "" for a quote in a cell',
        )


class _Unparsable:
    """Records that are no rows, until the batch comes that they stand in."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[int, str]] = deque()
        self.long: dict[int, Extent] = {}
        self.count = 0

    def add(self, record: int, reason: str) -> None:
        self.waiting.append((record, reason))
        self.count += 1

    def add_long(self, record: int, extent: Extent) -> None:
        self.long[record] = extent
        lines = extent.next_line - extent.line
        quote = f" in {lines} lines: is a quote left open?" if lines > 1 else ""
        self.add(record, f"the row has {extent.size} bytes, expected at most {_BLOCK}{quote}")


class _WholeLineEnds:
    r"""A stream whose reads part no \r\n: pyarrow would drop the \n, within quotes too."""

    closed = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._kept = b""

    def is_at_end(self) -> bool:
        """Tell whether nothing is left to read."""
        self._kept = self._kept or self._stream.read(1)
        return not self._kept

    def read(self, size: int) -> bytes:
        data: bytes = self._kept + self._stream.read(size - len(self._kept))
        self._kept = b""
        if len(data) > 1 and data.endswith(b"\r"):
            self._kept, data = b"\r", data[:-1]
        return data


def _unpacked(file: Any, offset: int, *, packed: bool) -> Any:
    """Return a stream of what the file has from a place on."""
    if not packed:
        file.seek(offset)
        return file
    stream = pa.CompressedInputStream(file, "gzip")
    while offset and (skipped := len(stream.read(min(offset, _BLOCK)))):
        offset -= skipped
    return stream


def _grouped(blocks: Iterable[Any], rows: int, names: Sequence[str]) -> Iterator[Any]:
    """Yield blocks joined to about so many rows, their columns named; those before an error too."""
    group: list[Any] = []
    failure = None
    try:
        for block in blocks:
            group.append(block)
            if sum(part.num_rows for part in group) >= rows:
                yield from _joined(group, names)
                group = []
    except pa.ArrowInvalid as error:
        failure = error
    if group:
        yield from _joined(group, names)
    if failure is not None:
        raise failure


def _joined(blocks: Sequence[Any], names: Sequence[str]) -> Iterable[Any]:
    batches: Iterable[Any] = (
        pa.Table.from_batches(blocks).rename_columns(list(names)).combine_chunks().to_batches()
    )
    return batches


def _bytes_again(block: Any) -> Any:
    """Turn cells that were read as Latin-1 into the bytes that the file has."""
    columns = [
        pa.array([cell.decode().encode("latin-1") for cell in column.to_pylist()], pa.binary())
        for column in block.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=block.schema.names)


class CsvBatch:
    """One block; cells are bytes, and an empty cell is an empty string."""

    def __init__(
        self,
        block: Any | None,
        start: int,
        unparsable: _Unparsable,
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


class _Locator:
    """Find rejected records by number, in ascending order."""

    def __init__(
        self, path: Path, columns: Sequence[str], records: Records, unparsable: _Unparsable
    ) -> None:
        self._path = path
        self._columns = columns
        self._records = records
        self._long = unparsable.long

    def reject(self, record: int, reason: str) -> Reject:
        if (extent := self._long.get(record)) is not None:
            return Reject(extent.line, reason, extent.head + "..")
        try:
            line, cells = self._records.find(record)
        except (csv.Error, *UNREADABLE) as error:
            raise _unreadable(self._path, error) from error
        same = len(cells) == len(self._columns)
        return Reject(line, reason, dict(zip(self._columns, cells, strict=True)) if same else cells)


def _open_text(path: Path) -> TextIO:
    csv.field_size_limit(max(csv.field_size_limit(), _BLOCK))
    return TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors="replace", newline="")


def _unreadable(path: Path, error: Exception) -> BadInput:
    return BadInput(
        f"{path} cannot be read as CSV: {str(error).splitlines()[0]}",
        hint="expected UTF-8, a header, and every quote closed",
    )


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

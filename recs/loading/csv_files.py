"""CSV and TSV: pyarrow reads all cells as bytes, in blocks; Python's csv finds lines to report."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from recs.errors import BadInput
from recs.loading.batches import Reject
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
        # (record, expected cells, cells): the parser reads ahead, so these may lie in a later block
        unparsable: deque[tuple[int, int, int]] = deque()
        locator = _Locator(self._path, self._delimiter)
        start, block = 0, None
        try:
            # the last column, used or not, tells whether the last quote was closed
            last = len(self.columns) - 1
            places = sorted({*map(self.columns.index, names), last})
            used = [self.columns[place] for place in places]
            # pyarrow hands a row of a wrong number of cells over as text, and gives up where it is
            # none. As Latin-1 every byte is a character, and the character that byte again.
            as_latin_1 = not is_utf_8(self._path)
            with self._reader(places, unparsable, as_latin_1) as (reader, fraction):
                for block in _grouped(reader, rows, used):
                    if as_latin_1:
                        block = _bytes_again(block)
                    batch = CsvBatch(block, start, unparsable, locator, fraction())
                    start = batch.end
                    yield batch
            if block is not None:
                self._require_closed_quote(block)
            if unparsable:
                yield CsvBatch(None, start, unparsable, locator, 1.0)
        except (pa.ArrowInvalid, *UNREADABLE) as error:
            raise _unreadable(self._path, error) from error

    @contextmanager
    def _reader(
        self, places: Sequence[int], unparsable: deque[tuple[int, int, int]], as_latin_1: bool
    ) -> Iterator[tuple[Any, Any]]:
        first = self._header_lines + 1

        def skip(row: Any) -> str:
            # numbers count the lines of the header, and no blank ones after it
            unparsable.append((row.number - first, row.expected_columns, row.actual_columns))
            return "skip"

        # by place: a header may have a name twice, or one that is not UTF-8, where it is not used
        wanted = [str(place) for place in places]
        size = self._path.stat().st_size
        with pa.OSFile(str(self._path)) as file:
            stream = pa.CompressedInputStream(file, "gzip") if is_packed(self._path) else file
            if as_latin_1:
                stream = pa.transcoding_input_stream(stream, "latin-1", "utf-8")
            reader = arrow_csv.open_csv(
                _WholeLineEnds(stream),
                read_options=arrow_csv.ReadOptions(
                    use_threads=False,  # only then are unparsable rows numbered
                    block_size=2 * _BLOCK if as_latin_1 else _BLOCK,  # of two bytes at most
                    column_names=[str(place) for place in range(len(self.columns))],
                    skip_rows=self._header_lines,
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
                header, lines = _first_record(reader), reader.line_num
                has_more = next(file, None) is not None
        except (csv.Error, *UNREADABLE) as error:
            raise _unreadable(self._path, error) from error
        if not has_more:
            raise BadInput(f"{self._path} is empty", hint="expected a header and at least one row")
        return header, lines

    def _require_unique(self, names: Sequence[str]) -> None:
        for name in names:
            if self.columns.count(name) > 1:
                raise BadInput(
                    f"{self._path}: the header has column {name!r} twice",
                    hint="rename one of the two",
                )

    def _require_closed_quote(self, block: Any) -> None:
        """Refuse a quote left open at the end: pyarrow takes the rest for one cell."""
        if not block.num_rows or b"\n" not in block.columns[-1][-1].as_py():
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


class _WholeLineEnds:
    r"""A stream whose reads part no \r\n: pyarrow would drop the \n, within quotes too."""

    closed = False

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._kept = b""

    def read(self, size: int) -> bytes:
        data: bytes = self._kept + self._stream.read(size - len(self._kept))
        self._kept = b""
        if len(data) > 1 and data.endswith(b"\r"):
            self._kept, data = b"\r", data[:-1]
        return data


def _grouped(blocks: Iterable[Any], rows: int, names: Sequence[str]) -> Iterator[Any]:
    """Yield blocks joined to about so many rows, their columns named."""
    group: list[Any] = []
    for block in blocks:
        group.append(block)
        if sum(part.num_rows for part in group) >= rows:
            yield from _joined(group, names)
            group = []
    if group:
        yield from _joined(group, names)


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
    """Find records by number, in ascending order: pyarrow does not say where a row came from."""

    def __init__(self, path: Path, delimiter: str) -> None:
        self._path = path
        self._delimiter = delimiter
        self._file: TextIO | None = None
        self._next = 0

    def reject(self, record: int, reason: str) -> Reject:
        try:
            line, cells = self._find(record)
        except (csv.Error, *UNREADABLE) as error:
            raise _unreadable(self._path, error) from error
        same = len(cells) == len(self._header)
        return Reject(line, reason, dict(zip(self._header, cells, strict=True)) if same else cells)

    def _find(self, record: int) -> tuple[int, list[str]]:
        if self._file is None:
            self._open()
        while True:
            line = self._reader.line_num + 1
            cells = next(self._reader)
            if not cells:
                continue
            self._next += 1
            if self._next > record:
                return line, cells

    def _open(self) -> None:
        self._file = _open_text(self._path)
        self._reader = csv.reader(self._file, delimiter=self._delimiter)
        self._header = _first_record(self._reader)

    def __del__(self) -> None:
        # batches are read ahead: the last of them lives longer than the loop that made it
        if self._file is not None:
            self._file.close()


def _open_text(path: Path) -> TextIO:
    csv.field_size_limit(max(csv.field_size_limit(), _BLOCK))  # what pyarrow allows
    return TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors="replace", newline="")


def _first_record(reader: Iterable[list[str]]) -> list[str]:
    return next((cells for cells in reader if cells), [])


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

"""CSV and TSV: pyarrow reads all cells as bytes, in blocks; Python's csv finds lines to report."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
from pyarrow import csv as arrow_csv

from recs.errors import BadInput
from recs.loading.csv_batches import CsvBatch, Locator, Unparsable
from recs.loading.csv_records import Extent, Records, header_extent, unreadable
from recs.loading.text_files import UNREADABLE, is_packed, is_utf_8, open_bytes, require_utf_8

# A row must fit in a block. pyarrow reads up to 32 blocks ahead of a slow consumer.
_BLOCK = 4 << 20


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
        unparsable = Unparsable()
        locator = Locator(self._path, self.columns, self._records(unparsable), unparsable)
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
            raise unreadable(self._path, error) from error

    def _blocks(
        self, names: Sequence[str], rows: int, unparsable: Unparsable
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
                unparsable.add_long(record, extent, most=_BLOCK)
                record, offset = record + 1, extent.end

    def _records(self, unparsable: Unparsable, *, measured: bool = False) -> Records:
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
        unparsable: Unparsable,
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
            raise unreadable(self._path, error) from error
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

    def _require_closed_quote(self, block: Any | None, start: int, unparsable: Unparsable) -> None:
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


def _open_text(path: Path) -> TextIO:
    csv.field_size_limit(max(csv.field_size_limit(), _BLOCK))
    return TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors="replace", newline="")

"""Records of a CSV file by number: pyarrow does not say where a row came from."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO

from recs.errors import BadInput
from recs.loading.text_files import open_bytes

_BOM = b"\xef\xbb\xbf"
_PIECE = 1 << 20  # bytes
_HEAD = 1000  # bytes of a row that nobody can want whole
_QUOTES = re.compile(b'"+')
_LINE_ENDS = re.compile(b"[\r\n]*")


@dataclass(frozen=True)
class Extent:
    """Where a record lies: bytes from the start of the file, lines from 1.

    `open_line` is that of a quote which is never closed, None where all are.
    """

    start: int
    end: int
    line: int
    next_line: int
    head: str
    open_line: int | None

    @property
    def size(self) -> int:
        """The number of bytes, the line end included."""
        return self.end - self.start


class Records:
    """Go through the records after the header, in ascending order, blank lines left out.

    `long` are records that are passed over unread: a quote left open makes one of a whole file.
    `measured`: `extent` is asked for, not `find` alone, which takes half the time without.
    """

    def __init__(
        self,
        path: Path,
        delimiter: str,
        long: Mapping[int, Extent],
        *,
        longest: int,
        measured: bool = False,
    ) -> None:
        self._path = path
        self._delimiter = delimiter
        self._long = long
        self._longest = longest
        self._measured = measured
        self._file: TextIO | None = None
        self._next = 0

    def find(self, record: int) -> tuple[int, list[str]]:
        """Return the line that a record starts on, and its cells."""
        self._go_to(record)
        line, cells = self._read()
        self._next += 1
        return line, [cell.encode("latin-1").decode("utf-8", "replace") for cell in cells]

    def extent(self, record: int) -> Extent:
        """Return where a record lies, of any size."""
        self._go_to(record)
        return _extent(self._path, self._delimiter, self._offset, self._line())

    def _go_to(self, record: int) -> None:
        if self._file is None:
            self._open_at(_after_bom(self._path), 1)
            self._read()  # the header
        while self._next < record:
            if (long := self._long.get(self._next)) is not None:
                self._open_at(long.end, long.next_line)
                self._next += 1
            else:
                later = [n for n in list(self._long) if n > self._next]  # a thread may add to them
                self._pass_to(min([*later, record]))

    def _pass_to(self, record: int) -> None:
        """Read on, in as short a loop as can be."""
        left = record - self._next
        for cells in self._reader:
            if cells:
                left -= 1
                if not left:
                    break
        self._next = record - left
        if left:
            raise self._gone()

    def _line(self) -> int:
        return self._first_line + self._reader.line_num

    def _read(self) -> tuple[int, list[str]]:
        while True:
            line = self._line()
            cells = next(self._reader, None)
            if cells is None:
                raise self._gone()
            if cells:
                return line, cells

    def _gone(self) -> csv.Error:
        return csv.Error(f"it ends at record {self._next} by now")

    def _open_at(self, offset: int, line: int) -> None:
        self.close()
        csv.field_size_limit(max(csv.field_size_limit(), self._longest))
        file = open_bytes(self._path)
        file.seek(offset)
        self._offset = offset
        self._first_line = line
        # as Latin-1 a character is a byte, so that lengths tell where the next line starts
        self._file = TextIOWrapper(file, encoding="latin-1", newline="")
        lines = self._lines(self._file) if self._measured else self._file
        self._reader = csv.reader(lines, delimiter=self._delimiter)

    def _lines(self, file: TextIO) -> Iterator[str]:
        for line in file:
            self._offset += len(line)
            yield line

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def __del__(self) -> None:
        # batches are read ahead: the last of them lives longer than the loop that made it
        self.close()


def unreadable(path: Path, error: Exception) -> BadInput:
    """Return the error of a file that is no CSV."""
    return BadInput(
        f"{path} cannot be read as CSV: {str(error).splitlines()[0]}",
        hint="expected UTF-8, a header, and every quote closed",
    )


def header_extent(path: Path, delimiter: str) -> Extent:
    """Return where the header lies."""
    return _extent(path, delimiter, _after_bom(path), 1)


def _after_bom(path: Path) -> int:
    with open_bytes(path) as file:
        return len(_BOM) if file.read(len(_BOM)) == _BOM else 0


def _extent(path: Path, delimiter: str, offset: int, line: int) -> Extent:
    """Look for the end of the record after `offset`, which is on `line`, piece by piece."""
    with open_bytes(path) as file:
        blank = _blank(file, offset)
        start = offset + blank
        size, opened = _size(file, start, delimiter.encode())
        line += _count_lines(file, offset, blank)
        file.seek(start)
        head = file.read(min(size, _HEAD)).decode("utf-8", "replace")
        return Extent(
            start=start,
            end=start + size,
            line=line,
            next_line=line + _count_lines(file, start, size),
            head=head,
            open_line=None if opened is None else line + _count_lines(file, start, opened),
        )


def _blank(file: BinaryIO, offset: int) -> int:
    """Return how many bytes of blank lines come next."""
    blank = 0
    for data in _pieces(file, offset):
        found = _LINE_ENDS.match(data)
        assert found is not None  # noqa: S101 - it matches nothing too
        blank += found.end()
        if found.end() < len(data):
            break
    return blank


def _size(file: BinaryIO, start: int, delimiter: bytes) -> tuple[int, int | None]:
    """Return the bytes of a record, and how far into it the quote is that is never closed.

    By the rules of pyarrow and csv: a quote opens at the start of a cell only, and a double one
    within does not close.
    """
    ends = re.compile(b"[\r\n" + re.escape(delimiter) + b"]")
    size, opened, cell_starts, quoted = 0, 0, True, False
    for data in _pieces(file, start):
        place = 0
        while place < len(data):
            if quoted:
                run = _QUOTES.search(data, place)
                place = run.end() if run else len(data)
                quoted = run is None or len(run[0]) % 2 == 0
            elif cell_starts and data.startswith(b'"', place):
                opened = size + place
                cell_starts, quoted = False, True
                place += 1
            elif (end := ends.search(data, place)) is None:
                cell_starts, place = False, len(data)
            else:
                cell_starts, place = True, end.end()
                if end[0] != delimiter:
                    return size + place + data.startswith(b"\r\n", end.start()), None
        size += len(data)
    return size, opened if quoted else None


def _count_lines(file: BinaryIO, start: int, size: int) -> int:
    r"""Return how many lines end in so many bytes; \r\n is one end."""
    lines = 0
    for data in _pieces(file, start):
        part = data[:size]
        lines += part.count(b"\n") + part.count(b"\r") - part.count(b"\r\n")
        size -= len(part)
        if not size:
            break
    return lines


def _pieces(file: BinaryIO, offset: int) -> Iterator[bytes]:
    r"""Yield the bytes from `offset` on; no piece parts \r\n, or quotes in a row."""
    file.seek(offset)
    kept = b""
    while data := file.read(_PIECE):
        data = kept + data
        whole = data.rstrip(b'\r"')
        kept = data[len(whole) :]
        if whole:
            yield whole
    if kept:
        yield kept

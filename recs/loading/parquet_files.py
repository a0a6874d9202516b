"""Parquet, by row and not by row group: one row group may be the whole file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from recs.errors import BadInput
from recs.loading.batches import Reject
from recs.loading.fields import Kind

_PAGE_BUFFER = 1 << 20  # bytes a column; without it a row group's columns are read whole


class ParquetSource:
    """A Parquet file; its rows are counted from 1."""

    unit = "row"

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as file:
            self.columns = list(file.schema_arrow.names)
            self._rows = file.metadata.num_rows

    def batches(self, names: Sequence[str], rows: int) -> Iterator[ParquetBatch]:
        """Yield rows as batches."""
        self._require_unique(names)
        start = 0
        with self._open() as file:
            for block in file.iter_batches(batch_size=rows, columns=list(names)):
                yield ParquetBatch(block, start, (start + block.num_rows) / self._rows)
                start += block.num_rows

    def _require_unique(self, names: Sequence[str]) -> None:
        for name in names:
            if self.columns.count(name) > 1:
                raise BadInput(
                    f"{self._path} has column {name!r} twice", hint="rename one of the two"
                )

    @contextmanager
    def _open(self) -> Iterator[Any]:
        try:
            with parquet.ParquetFile(
                self._path, buffer_size=_PAGE_BUFFER, pre_buffer=False, memory_map=False
            ) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            raise BadInput(
                f"{self._path} cannot be read as Parquet: {str(error).splitlines()[0]}",
                hint="is the file whole?",
            ) from error


class ParquetBatch:
    """Some rows, with the file's own types."""

    def __init__(self, block: Any, start: int, fraction: float) -> None:
        self._block = block
        self._start = start
        self.rows = block.num_rows
        self.fraction = fraction

    def column(self, name: str) -> Any:
        """Return a column, dictionaries and extension types replaced by what they hold."""
        array = self._block.column(name)
        if isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        return array

    def objects(self, name: str) -> list[Any]:
        """Return Python values."""
        return [_object(value) for value in self._block.column(name)]

    def misfits(self, name: str, kind: Kind) -> Mapping[int, Any]:  # noqa: ARG002 - a type holds for all rows
        """Return none."""
        return {}

    def vectors(self, name: str) -> list[Any]:
        """Return lists of numbers as numpy arrays."""
        array = self.column(name)
        if not _is_list(array.type) or not _is_number(array.type.value_type):
            return self.objects(name)
        return [
            value.values.to_numpy(zero_copy_only=False) if value.is_valid else None
            for value in array
        ]

    def rejects(self, faults: Mapping[int, str]) -> list[Reject]:
        """Return the rows, of which the columns that were asked for."""
        names = self._block.schema.names
        return [
            Reject(
                self._start + row + 1,
                faults[row],
                {name: _object(self._block.column(name)[row]) for name in names},
            )
            for row in sorted(faults)
        ]


def _object(value: Any) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return bytes(value.as_buffer())
    except (ValueError, OverflowError):  # a time that Python cannot hold
        return str(value.cast(pa.string()))


def _is_list(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))

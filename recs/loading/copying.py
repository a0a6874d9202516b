"""COPY in binary: the stream is made column by column, which is ten times as fast as by row.

The format is that of https://www.postgresql.org/docs/current/sql-copy.html: a row is the number
of its fields, then for each its length (-1: NULL) and its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from recs.loading.fields import Field

Stream: TypeAlias = Iterable[memoryview]  # rows as `encode` made them, some at a time

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_EPOCH = 946_684_800_000_000  # PostgreSQL counts microseconds from 2000
_PIECE = 1 << 20  # bytes; psycopg sends what it is given as one message
_JSONB_VERSION = b"\x01"
_NOTHING = pa.scalar(b"")


def copy_stream(
    connection: psycopg.Connection[Any],
    table: sql.Composable,
    fields: Sequence[Field],
    stream: Stream,
) -> None:
    """Append what `encode` made of rows to a table."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        table, sql.SQL(", ").join(sql.Identifier(field.name) for field in fields)
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_HEADER)
        for rows in stream:
            for start in range(0, len(rows), _PIECE):
                copy.write(rows[start : start + _PIECE])
        copy.write(_TRAILER)


def encode(fields: Sequence[Field], columns: Any) -> memoryview:
    """Return the rows in COPY's binary form, without header and trailer."""
    parts: list[Any] = [pa.scalar(len(fields).to_bytes(2, "big"))]
    for field in fields:
        parts += _encoded(field, columns.column(field.name))
    # Joined row by row, the values lie one after another in one buffer: that is the stream.
    rows = pc.binary_join_element_wise(*parts, _NOTHING)
    offsets = np.frombuffer(rows.buffers()[1], np.int32)
    return memoryview(rows.buffers()[2])[offsets[rows.offset] : offsets[rows.offset + len(rows)]]


def _encoded(field: Field, array: Any) -> list[Any]:
    if field.kind == "weight":
        return [_length(4), _big_endian(array.to_numpy(zero_copy_only=False), ">f4")]
    if field.kind == "time":
        micros = array.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return [_length(8), _big_endian(micros - _EPOCH, ">i8")]
    if field.kind == "boolean":
        return [_length(1), _big_endian(array.to_numpy(zero_copy_only=False), "u1")]
    if field.kind == "json":
        lengths = pc.add(pc.binary_length(array), len(_JSONB_VERSION))
        return [_lengths(lengths), pa.scalar(_JSONB_VERSION), array.cast(pa.binary())]
    return [_lengths(pc.binary_length(array)), array.cast(pa.binary()).fill_null(b"")]


def _length(size: int) -> Any:
    return pa.scalar(size.to_bytes(4, "big"))


def _lengths(lengths: Any) -> Any:
    return _big_endian(lengths.fill_null(-1).to_numpy(zero_copy_only=False), ">i4")


def _big_endian(numbers: Any, kind: str) -> Any:
    packed = np.ascontiguousarray(numbers, kind)
    fixed = pa.binary(packed.dtype.itemsize)
    buffers = [None, pa.py_buffer(packed)]
    return pa.FixedSizeBinaryArray.from_buffers(fixed, len(packed), buffers).cast(pa.binary())

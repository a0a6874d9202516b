"""The tables that rows go to, and what only the database knows: unknown items, duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import psycopg
import pyarrow.compute as pc
from psycopg import sql
from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    cast,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from recs import schema
from recs.database import driver_connection
from recs.errors import BadInput
from recs.loading.ahead import ahead
from recs.loading.checks import Checked
from recs.loading.copying import Stream, copy_stream, encode
from recs.loading.fields import Field, FieldMap
from recs.loading.sorting import order_by

_REMEMBERED = 1_000_000  # item ids; a batch that names others asks the database
_ENCODED = 50_000  # rows at once: a few megabytes, whatever the batch
_UNKNOWN = """
SELECT named.item_id FROM unnest(%s::text[]) AS named (item_id)
WHERE NOT EXISTS (
  SELECT FROM recs.items AS i
  WHERE i.tenant_id = recs.current_tenant() AND i.item_id = named.item_id
)"""
# By casts: pgvector's own functions and types may be in a schema that is not on the search path.
_OTHER_DIMENSION = """
SELECT item_id, cardinality(content_vector::real[]) FROM recs.items
WHERE tenant_id = recs.current_tenant() AND cardinality(content_vector::real[]) <> %s LIMIT 1"""


class Target(Protocol):
    """Where a load goes."""

    batch_rows: int

    def prepare(self, columns: Any) -> Stream:
        """Return rows as a COPY stream; asks no database, so it can run ahead."""

    def verify(self, checked: Checked) -> Checked:
        """Add the faults that only the database can tell."""

    def write(self, stream: Stream) -> None:
        """Write a batch."""

    def finish(self) -> None:
        """Bring what was staged into the table."""


class Interactions:
    """recs.interactions, appended to. A batch is large and sorted: so its index grows faster."""

    batch_rows = 1_000_000

    def __init__(self, connection: Connection, fields: Sequence[Field]) -> None:
        self._driver = driver_connection(connection)
        self._fields = fields
        self._known: set[str] = set()
        self._staging = _staging(schema.interactions, fields) if self._is_secured() else None
        self._connection = connection
        if self._staging is not None:
            _create(self._driver, self._staging, schema.interactions)

    def prepare(self, columns: Any) -> Stream:
        """Sort by user and item; rows are encoded when they are asked for."""
        return self._encoded(columns, order_by(columns, ("user_id", "item_id")))

    def _encoded(self, columns: Any, order: Any) -> Iterator[memoryview]:
        for start in range(0, len(order), _ENCODED):
            yield encode(self._fields, columns.take(order.slice(start, _ENCODED)))

    def verify(self, checked: Checked) -> Checked:
        """Find interactions with items that are not in the catalog."""
        named = set(pc.unique(checked.columns.column("item_id")).to_pylist()) - {None}
        asked = list(named - self._known)
        if not asked:
            return checked
        unknown = {row[0] for row in self._driver.execute(_UNKNOWN, [asked])}
        if len(self._known) + len(asked) > _REMEMBERED:
            self._known.clear()
        self._known.update(asked)
        self._known -= unknown
        return checked.with_faults(_unknown_faults(checked, unknown)) if unknown else checked

    def write(self, stream: Stream) -> None:
        """Copy into the table; a trigger checks the items once more, against other sessions."""
        if self._staging is None:
            self._copy(schema.interactions, stream)
            return
        self._copy(self._staging, stream)
        names = [field.name for field in self._fields]
        self._connection.execute(
            insert(schema.interactions).from_select(names, select(self._staging))
        )
        self._connection.execute(self._staging.delete())

    def _copy(self, table: Table, stream: Stream) -> None:
        copy_stream(self._driver, _identifier(table), self._fields, ahead(stream))

    def finish(self) -> None:
        """Drop the staging table, where there is one."""
        if self._staging is not None:
            self._staging.drop(self._connection)

    def _is_secured(self) -> bool:
        # COPY refuses tables whose row-level security applies to the user
        row = self._driver.execute("SELECT row_security_active('recs.interactions')").fetchone()
        return row is not None and bool(row[0])


class Upserted:
    """recs.items or recs.users: staged, then inserted, or updated in the columns loaded.

    Of attributes that are columns of the file, these; others that a row has stay.
    """

    batch_rows = 10_000

    def __init__(self, connection: Connection, table: Table, found: FieldMap) -> None:
        self._connection = connection
        self._driver = driver_connection(connection)
        self._table = table
        self._fields = fields = found.fields
        self._collected = () if "attributes" in found.columns else found.attributes
        self._key = fields[0].name
        self._staging = _staging(table, fields, key=self._key)
        _create(self._driver, self._staging, table)
        self._empty = True

    def prepare(self, columns: Any) -> Stream:
        """Encode."""
        return [encode(self._fields, columns)]

    def verify(self, checked: Checked) -> Checked:
        """Find ids that the file has had before."""
        ids = checked.columns.column(self._key).to_pylist()
        seen = self._staged([id_ for id_ in ids if id_ is not None])
        faults = {}
        for row, id_ in enumerate(ids):
            if row in checked.faults:
                continue
            if id_ in seen:
                faults[row] = f"{self._key} {id_!r} is in the file a second time"
            seen.add(id_)
        return checked.with_faults(faults) if faults else checked

    def write(self, stream: Stream) -> None:
        """Stage a batch."""
        copy_stream(self._driver, _identifier(self._staging), self._fields, stream)
        self._empty = False

    def finish(self) -> None:
        """Insert or update.

        Raises:
            BadInput: other items have content vectors of another dimension.
        """
        names = [field.name for field in self._fields]
        # in the order of the key: two loads at once wait for each other, instead of deadlocking
        rows = select(self._staging).order_by(self._staging.c[self._key])
        statement = insert(self._table).from_select(names, rows)
        key = [self._table.c.tenant_id, self._table.c[self._key]]
        updated: dict[str, Any] = {
            name: statement.excluded[name] for name in names if name != self._key
        }
        if self._collected:
            others = self._table.c.attributes.op("-")(cast(self._collected, ARRAY(Text)))
            updated["attributes"] = others.op("||")(statement.excluded.attributes)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=key, set_=updated)
            if updated
            else statement.on_conflict_do_nothing(index_elements=key)
        )
        self._staging.drop(self._connection)

    def _staged(self, ids: Sequence[str]) -> set[str]:
        if self._empty:
            return set()
        key = self._staging.c[self._key]
        query = sql.SQL("SELECT {key} FROM {table} WHERE {key} = ANY(%s)").format(
            key=sql.Identifier(key.name), table=_identifier(self._staging)
        )
        return {row[0] for row in self._driver.execute(query, [list(ids)])}


def require_one_dimension(connection: Connection, dimension: int) -> None:
    """Check that all content vectors of the tenant have this dimension.

    Raises:
        BadInput: naming an item that has another.
    """
    row = driver_connection(connection).execute(_OTHER_DIMENSION, [dimension]).fetchone()
    if row is not None:
        raise BadInput(
            f"the content vectors loaded have {dimension} dimensions, that of item {row[0]!r} in"
            f" the database has {row[1]}",
            hint="load vectors of one encoder, for all items at once; or first"
            " UPDATE recs.items SET content_vector = NULL",
        )


def _unknown_faults(checked: Checked, unknown: set[str]) -> dict[int, str]:
    ids = checked.columns.column("item_id").to_pylist()
    return {
        row: f"item_id {id_!r} is not in recs.items"
        for row, id_ in enumerate(ids)
        if id_ in unknown
    }


def _staging(table: Table, fields: Sequence[Field], *, key: str | None = None) -> Table:
    columns: list[Any] = [Column(field.name, table.c[field.name].type) for field in fields]
    if key is not None:
        columns.append(PrimaryKeyConstraint(key, name=f"loading_{table.name}_pkey"))
    return Table(f"loading_{table.name}", MetaData(), *columns, prefixes=["TEMPORARY"])


def _create(driver: psycopg.Connection[Any], staging: Table, table: Table) -> None:
    """Create a staging table, its types by those of the table, not by their names."""
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in staging.columns)
    driver.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} AS SELECT {} FROM {} WITH NO DATA").format(
            sql.Identifier(staging.name), names, _identifier(table)
        )
    )
    key = staging.primary_key
    if key.name is not None:
        statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY ({})").format(
            _identifier(staging),
            sql.Identifier(str(key.name)),
            sql.SQL(", ").join(sql.Identifier(column.name) for column in key.columns),
        )
        driver.execute(statement)


def _identifier(table: Table) -> sql.Identifier:
    return sql.Identifier(table.schema or "pg_temp", table.name)

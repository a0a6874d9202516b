"""Read what training needs: one snapshot, streamed by binary COPY into arrays.

No interaction becomes a Python object: PostgreSQL numbers users, items and terms and joins them,
and what arrives is records of fixed size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from scipy.sparse import csr_matrix
from sqlalchemy import Engine

from recs.arguments import LARGEST_WEIGHT, LEAST_WEIGHT
from recs.database import PIN_SEARCH_PATH, driver_connection
from recs.errors import BadInput, NothingToLearn
from recs.learning.content import TermKind
from recs.learning.interactions import Interactions

SECONDS_A_DAY = 86400.0

_ITEMS = """
CREATE TEMP TABLE numbered_items ON COMMIT DROP AS
SELECT item_id, (row_number() OVER (ORDER BY item_id) - 1)::integer AS n
FROM recs.items WHERE tenant_id = recs.current_tenant()"""

_USERS = """
CREATE TEMP TABLE numbered_users ON COMMIT DROP AS
SELECT user_id, (row_number() OVER (ORDER BY user_id) - 1)::integer AS n,
       sum(hashtext(item_id)::bigint)::bigint AS fingerprint
FROM recs.interactions
WHERE tenant_id = recs.current_tenant() AND occurred_at <= {until}
GROUP BY user_id"""

_INTERACTIONS = """
SELECT u.n, t.n, max(i.weight), count(*)::integer,
       extract(epoch FROM min(i.occurred_at))::float8,
       extract(epoch FROM max(i.occurred_at))::float8
FROM recs.interactions i
JOIN pg_temp.numbered_users u USING (user_id)
JOIN pg_temp.numbered_items t USING (item_id)
WHERE i.tenant_id = recs.current_tenant() AND i.occurred_at <= {until}
GROUP BY u.n, t.n
ORDER BY u.n, t.n"""

_TERM_FREQUENCIES = """
CREATE TEMP TABLE term_frequencies ON COMMIT DROP AS
SELECT n.n AS item, w.term COLLATE "C" AS term, sum(w.frequency)::integer AS frequency
FROM recs.items i
JOIN pg_temp.numbered_items n USING (item_id)
CROSS JOIN (SELECT recs.text_search_config(recs.current_tenant()) AS config OFFSET 0) t
CROSS JOIN LATERAL recs.item_terms(i.title, i.description, i.attributes, t.config) w
WHERE i.tenant_id = recs.current_tenant()
GROUP BY n.n, w.term COLLATE "C" """

# A term that one item has links it to nothing.
_TERMS = """
CREATE TEMP TABLE numbered_terms ON COMMIT DROP AS
SELECT term, (row_number() OVER (ORDER BY term) - 1)::integer AS n
FROM pg_temp.term_frequencies GROUP BY term HAVING count(*) >= 2"""

_ITEM_TERMS = """
SELECT f.item, t.n, f.frequency
FROM pg_temp.term_frequencies f JOIN pg_temp.numbered_terms t USING (term)
ORDER BY f.item, t.n"""


@dataclass(frozen=True)
class Content:
    """What is known of items besides their interactions: terms, or vectors of the application.

    Args:
        terms: [T], and `frequencies` [I, T] how often an item has each; or
        vectors: [I, C], a zero row where an item has none. One of the two is None.
    """

    terms: Sequence[str]
    frequencies: csr_matrix | None
    vectors: NDArray[np.float32] | None

    @property
    def kinds(self) -> NDArray[np.int8]:
        """Tell what each term is made of, by how recs.item_terms writes it, [T] of TermKind."""
        return np.array([_kind(term) for term in self.terms], np.int8)


def _kind(term: str) -> TermKind:
    if term.startswith("~"):
        return TermKind.LETTERS
    if "=" not in term:
        return TermKind.WORD
    return TermKind.NUMBER if "=#" in term else TermKind.ATTRIBUTE


@dataclass(frozen=True)
class TrainingData:
    """One snapshot of a tenant. Users and items are numbered in the order of their ids.

    Args:
        interactions: distinct pairs, each with the largest of its weights, in days since 1970.
        n_interactions: how many there were, repeated ones too.
        fingerprint: [U] int64, see recs.user_embeddings.
        trained_until: the last of their times.
    """

    user_ids: Sequence[str]
    item_ids: Sequence[str]
    interactions: Interactions
    n_interactions: int
    fingerprint: NDArray[np.int64]
    trained_until: datetime
    content: Content


def read(engine: Engine, *, until: datetime | None = None) -> TrainingData:
    """Read a tenant's catalog and its interactions up to `until`, in one snapshot.

    What is dated after this moment is left out: ages count from the last interaction, so by one
    clock that is years ahead all else would be forgotten. Such rows are folded in when asked for.

    Raises:
        NothingToLearn: the catalog or the interactions are empty.
        BadInput: a weight whose square single precision could not hold beside others.
    """
    with _snapshot(engine) as driver:
        end = _end(driver, until)
        bound = sql.Literal(end)
        driver.execute(_ITEMS)
        driver.execute(sql.SQL(_USERS).format(until=bound))
        driver.execute("ANALYZE pg_temp.numbered_items; ANALYZE pg_temp.numbered_users")
        item_ids = _column(driver, "SELECT item_id FROM pg_temp.numbered_items ORDER BY n")
        if not item_ids:
            raise NothingToLearn("the catalog is empty", hint="run: recs load items FILE")
        user_ids = _column(driver, "SELECT user_id FROM pg_temp.numbered_users ORDER BY n")
        trained_until = _last_interaction(driver, bound)
        if trained_until is None:
            raise NothingToLearn(
                f"there are no interactions up to {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
                hint="run: recs load interactions FILE; later ones are learned from when that time "
                "has come",
            )
        interactions, n_interactions = _read_interactions(
            driver,
            bound,
            n_users=len(user_ids),
            n_items=len(item_ids),
            trained_until=trained_until,
        )
        _check_weights(interactions.weight)
        prints = copy_records(
            driver,
            sql.SQL("SELECT fingerprint FROM pg_temp.numbered_users ORDER BY n"),
            {"print": "i8"},
        )
        return TrainingData(
            user_ids=user_ids,
            item_ids=item_ids,
            interactions=interactions,
            n_interactions=n_interactions,
            fingerprint=prints["print"].copy(),
            trained_until=trained_until,
            content=_read_content(driver, len(item_ids)),
        )


@contextmanager
def _snapshot(engine: Engine) -> Iterator[psycopg.Connection[Any]]:
    with engine.connect() as connection:
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            driver = driver_connection(connection)
            driver.execute(PIN_SEARCH_PATH)
            yield driver


def _check_weights(weight: NDArray[np.float32]) -> None:
    # Of a database that was filled before the table refused such.
    least, most = weight.min(), weight.max()
    if least < np.float32(LEAST_WEIGHT) or most > np.float32(LARGEST_WEIGHT):
        wrong = most if most > np.float32(LARGEST_WEIGHT) else least
        raise BadInput(
            f"an interaction weighs {wrong:.3g}, expected {LEAST_WEIGHT:g} to {LARGEST_WEIGHT:g}",
            hint="find such: SELECT * FROM recs.interactions WHERE weight NOT BETWEEN"  # noqa: S608 - shown, not run
            f" {LEAST_WEIGHT:g} AND {LARGEST_WEIGHT:g}",
        )


def _end(driver: psycopg.Connection[Any], until: datetime | None) -> datetime:
    """Return `until`, or the database's now if that is earlier."""
    row = driver.execute("SELECT least(%s::timestamptz, now())", [until]).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    end: datetime = row[0]
    return end


def _column(driver: psycopg.Connection[Any], query: str) -> list[str]:
    return [row[0] for row in driver.execute(query.encode())]


def _last_interaction(driver: psycopg.Connection[Any], until: sql.Literal) -> datetime | None:
    row = driver.execute(
        sql.SQL(
            "SELECT max(occurred_at) FROM recs.interactions"
            " WHERE tenant_id = recs.current_tenant() AND occurred_at <= {}"
        ).format(until)
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
    last: datetime | None = row[0]
    return last


def _read_interactions(
    driver: psycopg.Connection[Any],
    until: sql.Literal,
    *,
    n_users: int,
    n_items: int,
    trained_until: datetime,
) -> tuple[Interactions, int]:
    """Read the pairs whose item is in the catalog, and how many interactions they are of."""
    rows = copy_records(
        driver,
        sql.SQL(_INTERACTIONS).format(until=until),
        {"user": "i4", "item": "i4", "weight": "f4", "count": "i4", "first": "f8", "last": "f8"},
    )
    pairs = Interactions.from_pairs(
        rows["user"],
        rows["item"],
        n_users=n_users,
        n_items=n_items,
        weight=rows["weight"],
        first_occurred_at=rows["first"] / SECONDS_A_DAY,
        last_occurred_at=rows["last"] / SECONDS_A_DAY,
        trained_until=trained_until.timestamp() / SECONDS_A_DAY,
    )
    return pairs, int(rows["count"].sum(dtype=np.int64))


def copy_records(
    driver: psycopg.Connection[Any], query: sql.Composable, fields: dict[str, str]
) -> NDArray[Any]:
    """Return the rows of a query over non-null numbers as one structured array.

    `fields` maps names to numpy types (i4, i8, f4, f8) that are as wide as the query's columns.
    Format: binary COPY, see "COPY, Binary Format" in PostgreSQL's manual.
    """
    wire = [("fields", ">i2")]
    for name, kind in fields.items():
        wire += [(f"{name} length", ">i4"), (name, f">{kind}")]
    record = np.dtype(wire)
    native = np.dtype(list(fields.items()))
    parts = [
        np.frombuffer(block, record)[list(fields)].astype(native)
        for block in _blocks(driver, query, record)
    ]
    return np.concatenate(parts) if parts else np.empty(0, native)


def _blocks(
    driver: psycopg.Connection[Any], query: sql.Composable, record: np.dtype[Any]
) -> Iterator[bytes]:
    """Yield the rows' bytes in blocks of whole records, without header and trailer."""
    header, trailer = 19, 2
    pending = bytearray()
    skipped = False
    statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query)
    with driver.cursor().copy(statement) as copy:
        for chunk in copy:
            pending += chunk
            if not skipped and len(pending) >= header:
                del pending[:header]
                skipped = True
            whole = (len(pending) - trailer) // record.itemsize * record.itemsize
            if whole >= 1 << 20:
                yield bytes(pending[:whole])
                del pending[:whole]
    yield bytes(pending[: len(pending) - trailer])


def _read_content(driver: psycopg.Connection[Any], items: int) -> Content:
    row = driver.execute(
        "SELECT count(content_vector), count(DISTINCT vector_dims(content_vector)),"
        " max(vector_dims(content_vector))"
        " FROM recs.items WHERE tenant_id = recs.current_tenant()"
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY has one row
    supplied, dimensions, dimension = row
    if dimensions > 1:
        raise BadInput(
            f"content_vector has {dimensions} different dimensions, expected one",
            hint="SELECT cardinality(content_vector::real[]), count(*) FROM recs.items"
            " WHERE tenant_id = recs.current_tenant() GROUP BY 1",
        )
    if supplied:
        return Content((), None, _read_vectors(driver, items, dimension))
    return _read_terms(driver, items)


def _read_vectors(
    driver: psycopg.Connection[Any], items: int, dimension: int
) -> NDArray[np.float32]:
    vectors = np.zeros((items, dimension), np.float32)
    with driver.cursor("content_vectors", binary=True) as cursor:
        cursor.execute(
            "SELECT n.n, i.content_vector::real[] FROM recs.items i"
            " JOIN pg_temp.numbered_items n USING (item_id)"
            " WHERE i.tenant_id = recs.current_tenant() AND i.content_vector IS NOT NULL"
        )
        for n, vector in cursor:
            vectors[n] = vector
    return vectors


def _read_terms(driver: psycopg.Connection[Any], items: int) -> Content:
    driver.execute(_TERM_FREQUENCIES)
    driver.execute(_TERMS)
    terms = _column(driver, "SELECT term FROM pg_temp.numbered_terms ORDER BY n")
    rows = copy_records(
        driver, sql.SQL(_ITEM_TERMS), {"item": "i4", "term": "i4", "frequency": "i4"}
    )
    frequencies = csr_matrix(
        (rows["frequency"].astype(np.float32), (rows["item"], rows["term"])),
        shape=(items, len(terms)),
    )
    return Content(terms, frequencies, None)

"""Load a file into a table: read, check, copy, in one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from sqlalchemy import Connection, Engine

from recs import schema
from recs.errors import BadInput
from recs.loading.ahead import ahead
from recs.loading.batches import Reject, Source
from recs.loading.checks import Checked, Checker
from recs.loading.copying import Stream
from recs.loading.fields import (
    INTERACTION_FIELDS,
    ITEM_FIELDS,
    USER_FIELDS,
    Field,
    FieldMap,
    map_fields,
    unused,
)
from recs.loading.files import open_source
from recs.loading.rejects import RejectsFile
from recs.loading.targets import Interactions, Target, Upserted, require_one_dimension

Bind: TypeAlias = Engine | Connection
OnError: TypeAlias = Literal["fail", "skip"]
OnProgress: TypeAlias = Callable[[int, float], None]


@dataclass(frozen=True)
class LoadReport:
    """What a load did; `rejects` is the file with the rejected rows, None where there are none.

    `ignored` are columns of the file that went nowhere.
    """

    rows: int
    rejected: int
    seconds: float
    rejects: Path | None
    ignored: tuple[str, ...] = ()

    @property
    def rows_per_second(self) -> float:
        """Rows loaded a second, the commit included."""
        return self.rows / self.seconds


def load_interactions(
    bind: Bind,
    path: Path | str,
    *,
    columns: Mapping[str, str] | None = None,
    on_error: OnError = "fail",
    rejects: Path | None = None,
    on_progress: OnProgress | None = None,
) -> LoadReport:
    """Append interactions from a file (.csv, .tsv, .parquet, .jsonl, .ndjson).

    Args:
        bind: an Engine (a transaction of its own), or the caller's Connection and transaction.
        path: the file, of any size: it is read in batches.
        columns: column of recs.interactions -> column of the file; else one of the same name.
        on_error: `fail` loads nothing if one row is bad; `skip` leaves bad rows out.
        rejects: where `skip` writes them; default: the file's name + .rejects.jsonl, beside it.
            One of an earlier load is replaced, or removed where no row is rejected.
        on_progress: called after each batch with rows loaded and fraction of the file read.

    Without the columns interaction_type, weight, occurred_at: 'interaction', 1, now.

    Raises:
        BadInput: the file, a column, or (with `fail`) a row; naming the value.
    """
    job = _Job(Path(path), on_error, rejects, on_progress)
    source, fields = job.open(INTERACTION_FIELDS, columns, ())
    with _transaction(bind) as connection:
        rows, rejected = job.run(source, Checker(fields), Interactions(connection, fields.fields))
    return job.report(rows, rejected)


def load_items(
    bind: Bind,
    path: Path | str,
    *,
    columns: Mapping[str, str] | None = None,
    attributes: Sequence[str] = (),
    on_error: OnError = "fail",
    rejects: Path | None = None,
    on_progress: OnProgress | None = None,
) -> LoadReport:
    """Insert items from a file; of items that exist, update the columns the file has.

    `attributes` are columns of the file to collect into the column attributes, under their own
    names; what else an item that exists has there stays. For the rest see `load_interactions`.
    """
    job = _Job(Path(path), on_error, rejects, on_progress)
    source, fields = job.open(ITEM_FIELDS, columns, attributes)
    checker = Checker(fields)
    with _transaction(bind) as connection:
        target = Upserted(connection, schema.items, fields)
        rows, rejected = job.run(source, checker, target)
        if checker.dimension is not None:
            require_one_dimension(connection, checker.dimension)
    return job.report(rows, rejected)


def load_users(
    bind: Bind,
    path: Path | str,
    *,
    columns: Mapping[str, str] | None = None,
    attributes: Sequence[str] = (),
    on_error: OnError = "fail",
    rejects: Path | None = None,
    on_progress: OnProgress | None = None,
) -> LoadReport:
    """Insert or update what is known of users; see `load_items`."""
    job = _Job(Path(path), on_error, rejects, on_progress)
    source, fields = job.open(USER_FIELDS, columns, attributes)
    with _transaction(bind) as connection:
        target = Upserted(connection, schema.users, fields)
        rows, rejected = job.run(source, Checker(fields), target)
    return job.report(rows, rejected)


class _Job:
    def __init__(
        self, path: Path, on_error: OnError, rejects: Path | None, on_progress: OnProgress | None
    ) -> None:
        self._path = path
        self._skip = on_error == "skip"
        self._rejects = rejects or path.parent / (path.name + ".rejects.jsonl")
        self._on_progress = on_progress or (lambda _rows, _fraction: None)
        self._started = time.perf_counter()
        self._ignored: tuple[str, ...] = ()

    def open(
        self, fields: Sequence[Field], columns: Mapping[str, str] | None, attributes: Sequence[str]
    ) -> tuple[Source, FieldMap]:
        """Open the file and choose its columns."""
        chosen = columns or {}
        names = [chosen.get(field.name, field.name) for field in fields]
        source = open_source(self._path, [*names, *attributes])
        if self._rejects.resolve() == self._path.resolve():
            raise BadInput(
                f"rejected rows would overwrite {self._path}",
                hint="name another file: --rejects FILE",
            )
        found = map_fields(fields, source.columns, columns=chosen, attributes=attributes)
        self._ignored = tuple(filter(None, unused(source.columns, found)))
        return source, found

    def run(self, source: Source, checker: Checker, target: Target) -> tuple[int, RejectsFile]:
        """Move the rows; return how many, and the rejects."""
        rows = 0

        def prepared() -> Iterator[tuple[Checked, Stream]]:
            for batch in source.batches(checker.file_columns, target.batch_rows):
                checked = checker.check(batch)
                yield checked, target.prepare(checked.good()) if batch.rows else ()

        with RejectsFile(self._rejects) as rejected:
            for checked, stream in ahead(prepared()):
                verified = target.verify(checked) if checked.batch.rows else checked
                self._set_apart(verified.rejects(), source.unit, rejected)
                if verified is not checked:
                    stream = target.prepare(verified.good())
                if verified.good_rows > 0:
                    target.write(stream)
                rows += verified.good_rows
                self._on_progress(rows, checked.batch.fraction)
        self._require_rows(rows, source.unit, rejected)
        if self._skip:
            rejected.remove_stale()
        target.finish()
        return rows, rejected

    def _set_apart(self, found: Sequence[Reject], unit: str, rejected: RejectsFile) -> None:
        if found and not self._skip:
            raise BadInput(
                f"{self._path}, {unit} {found[0].line}: {found[0].reason}",
                hint="nothing was loaded; mend the file, or leave bad rows out: --on-error skip",
            )
        rejected.write(found)

    def _require_rows(self, rows: int, unit: str, rejected: RejectsFile) -> None:
        if rows:
            return
        if rejected.first is None:
            raise BadInput(f"{self._path} is empty", hint="expected at least one row")
        raise BadInput(
            f"{self._path}: all {rejected.count} rows were rejected, the first in {unit}"
            f" {rejected.first.line}: {rejected.first.reason}",
            hint=f"nothing was loaded; see {rejected.path}",
        )

    def report(self, rows: int, rejected: RejectsFile) -> LoadReport:
        """Sum up, after the commit."""
        seconds = time.perf_counter() - self._started
        rejects = rejected.path if rejected.count else None
        return LoadReport(rows, rejected.count, seconds, rejects, self._ignored)


@contextmanager
def _transaction(bind: Bind) -> Iterator[Connection]:
    if isinstance(bind, Engine):
        with bind.begin() as connection:
            yield connection
    else:
        with bind.begin_nested():
            yield bind

"""Check a batch: every column into the form the table takes, every fault with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from recs.loading import values
from recs.loading.batches import Batch, Reject
from recs.loading.columns import Values, show
from recs.loading.documents import documents, json_texts
from recs.loading.fields import Field, FieldMap
from recs.loading.times import times
from recs.loading.vectors import vectors


@dataclass(frozen=True)
class Checked:
    """A batch with typed columns of all its rows, and the faults of some, by row."""

    batch: Batch
    columns: Any  # pa.RecordBatch
    faults: Mapping[int, str]

    def with_faults(self, faults: Mapping[int, str]) -> Checked:
        """Add faults; a row keeps the first it had."""
        return Checked(self.batch, self.columns, {**faults, **self.faults})

    @property
    def good_rows(self) -> int:
        """The number of rows without a fault."""
        return self.batch.rows - len(self.faults)

    def good(self) -> Any:
        """Return the columns of the rows without a fault."""
        if not self.faults:
            return self.columns
        keep = np.ones(self.batch.rows, dtype=bool)
        keep[list(self.faults)] = False
        return self.columns.filter(pa.array(keep))

    def rejects(self) -> list[Reject]:
        """Return the rows with a fault and those that could not be parsed."""
        return self.batch.rejects(self.faults)


class Checker:
    """Check batches of one file; remembers the dimension of its vectors."""

    def __init__(self, fields: FieldMap) -> None:
        self._map = fields
        self.file_columns = fields.file_columns()
        self.dimension: int | None = None

    def check(self, batch: Batch) -> Checked:
        """Return the batch, checked.

        Raises:
            BadInput: the type of a column fits none of its values.
        """
        if batch.rows == 0:
            return Checked(batch, None, {})
        columns: dict[str, Any] = {}
        faults: dict[int, str] = {}
        for field in self._map.fields:
            found = self._values(field, batch)
            columns[field.name] = found.array
            faults = found.faults | faults
        return Checked(batch, pa.RecordBatch.from_pydict(columns), faults)

    def _values(self, field: Field, batch: Batch) -> Values:
        if field.kind == "json":
            return self._attributes(field, batch)
        column = self._map.columns[field.name]
        if field.kind == "vector":
            return self._vectors(field.name, batch.vectors(column))
        found = _single(field, batch.column(column))
        misfits = {
            row: f"{field.name} is {show(value)}, expected {_EXPECTED[field.kind]}"
            for row, value in batch.misfits(column, field.kind).items()
        }
        return Values(found.array, found.faults | misfits)

    def _vectors(self, name: str, found: list[Any]) -> Values:
        result, self.dimension = vectors(found, name, self.dimension)
        return result

    def _attributes(self, field: Field, batch: Batch) -> Values:
        column = self._map.columns.get(field.name)
        given = batch.objects(column) if column else [None] * batch.rows
        objects, faults = documents(given, field.name)
        for name in self._map.attributes:
            for document, value in zip(objects, batch.objects(name), strict=True):
                if value is not None and value != "":
                    document[name] = value
        found = json_texts(objects, field.name)
        return Values(found.array, found.faults | faults)


def _single(field: Field, array: Any) -> Values:
    if field.kind == "text":
        found = values.texts(array, field.name, field.default)
    else:
        found = _BY_KIND[field.kind](array, field.name)
    return values.no_longer(found, field.name, field.longest) if field.longest else found


_BY_KIND = {
    "id": values.ids,
    "weight": values.weights,
    "time": times,
    "boolean": values.booleans,
}
_EXPECTED = {
    "id": values.ID,
    "text": "text",
    "weight": "a number",
    "time": "text or a number",
    "boolean": "true or false",
}

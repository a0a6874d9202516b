"""The reader of a shop of one's own: a folder with the files of `recs load`.

A row of `interactions` counts as one interaction of weight 1, for every method. Columns of `items`
that `recs load` has no field for are attributes.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.quality.datasets import Dataset, Interactions, ItemContent
from recs.errors import BadInput
from recs.loading.checks import Checked, Checker
from recs.loading.fields import INTERACTION_FIELDS, ITEM_FIELDS, Field, map_fields
from recs.loading.files import KINDS, open_source

ROWS = 1_000_000  # of a file, read at once


def read_shop(folder: Path) -> Dataset:
    """Read `interactions` and, if it is there, `items`, under the folder's name.

    Raises:
        BadInput: a file that is missing, or that `recs load` would refuse, naming the line.
    """
    rows = _columns(file(folder, "interactions") or folder / "interactions.csv", INTERACTION_FIELDS)
    dated = "occurred_at" in rows.column_names
    if dated:
        rows = rows.take(pc.array_sort_indices(rows["occurred_at"]))
    users, user_keys = _dense(rows["user_id"])
    items, item_keys = _dense(rows["item_id"])
    days = _days(rows["occurred_at"]) if dated else np.zeros(len(rows))
    catalog = file(folder, "items")
    return Dataset(
        folder.name,
        Interactions(users, items, days),
        user_keys,
        item_keys,
        _contents(catalog, item_keys) if catalog else (),
        has_time=dated,
    )


def file(folder: Path, name: str) -> Path | None:
    """Return the file of that name and of a kind that can be loaded, None without one."""
    found = [folder / f"{name}{kind}{gz}" for kind in KINDS for gz in ("", ".gz")]
    return next((path for path in found if path.is_file()), None)


def _columns(path: Path, fields: Sequence[Field]) -> Any:
    """Read a file by the rules of `recs load`, as a pyarrow table."""
    source = open_source(path)
    known = {field.name for field in fields}
    others = [name for name in source.columns if name not in known]
    attributes = others if "attributes" in known else []
    checker = Checker(map_fields(fields, source.columns, columns={}, attributes=attributes))
    checked = [checker.check(batch) for batch in source.batches(checker.file_columns, ROWS)]
    _require_good(path, source.unit, checked)
    return pa.Table.from_batches([batch.good() for batch in checked if batch.batch.rows])


def _require_good(path: Path, unit: str, checked: Sequence[Checked]) -> None:
    for batch in checked:
        for reject in batch.rejects():
            raise BadInput(
                f"{path}, {unit} {reject.line}: {reject.reason}",
                hint="mend the file; a benchmark leaves no row out",
            )
    if not any(batch.good_rows for batch in checked):
        raise BadInput(f"{path} is empty", hint="expected at least one row")


def _dense(keys: Any) -> tuple[Any, tuple[str, ...]]:
    """Number the keys in sorted order, [N]."""
    values, codes = np.unique(keys.to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    return codes.astype(np.int64), tuple(values.tolist())


def _days(moments: Any) -> Any:
    return moments.cast(pa.int64()).to_numpy() / 86_400e6


def _contents(path: Path, item_keys: Sequence[str]) -> tuple[ItemContent, ...]:
    """Return the content of each item, empty for one that the file lacks."""
    rows = _columns(path, ITEM_FIELDS).to_pylist()
    found = {
        row["item_id"]: ItemContent(
            title=row.get("title") or "",
            description=row.get("description") or "",
            attributes=json.loads(row.get("attributes") or "{}"),
        )
        for row in rows
    }
    return tuple(found.get(key, ItemContent()) for key in item_keys)

"""The rejects file: strict JSON, and only of the load that it is named after."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import Connection

from recs.errors import BadInput
from recs.loading import load_interactions, load_items

NAN = float("nan")


def _strict(text: str) -> list[Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_rejects_are_strict_json(catalog: Connection, tmp_path: Any, kind: str) -> None:
    rows = [
        {"user_id": "u", "item_id": "1", "weight": weight}
        for weight in (1.0, NAN, float("inf"), -float("inf"))
    ]
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = load_interactions(catalog, path, on_error="skip")
    assert report.rejects is not None
    found = _strict(report.rejects.read_text())
    assert [reject["row"]["weight"] for reject in found] == ["nan", "inf", "-inf"]


@pytest.mark.parametrize("depth", range(900, 1000, 5))
def test_a_bad_row_nested_very_deep_is_rejected_with_its_reason(
    connection: Connection, write: Any, depth: int
) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    lines = f'{{"item_id": "", "attributes": {nested}}}\n{{"item_id": "b"}}\n'
    report = load_items(connection, write("a.jsonl", lines), on_error="skip")
    assert (report.rows, report.rejected) == (1, 1)
    assert report.rejects is not None
    reject = _strict(report.rejects.read_text())[0]
    assert reject["reason"].startswith(("item_id is missing", "not JSON"))


def test_times_in_nanoseconds_stand_in_the_rejects(catalog: Connection, tmp_path: Any) -> None:
    times = pa.array([1, 2], pa.timestamp("ns", "UTC"))
    table = pa.table({"user_id": ["u", None], "item_id": ["1", "1"], "occurred_at": times})
    parquet.write_table(table, tmp_path / "a.parquet")
    report = load_interactions(catalog, tmp_path / "a.parquet", on_error="skip")
    assert report.rejects is not None
    assert _strict(report.rejects.read_text())[0]["row"]["user_id"] is None


def test_a_clean_load_under_skip_leaves_no_rejects_of_an_earlier_one(
    catalog: Connection, write: Any
) -> None:
    path = write("a.csv", "user_id,item_id\nu,1\nu,9\n")
    other = write("b.csv.rejects.jsonl", "{}\n")
    stale = load_interactions(catalog, path, on_error="skip").rejects
    assert stale is not None
    path.write_text("user_id,item_id\nu,1\n")
    load_interactions(catalog, path)
    assert stale.exists()  # a load that fails on bad rows has no rejects file
    assert load_interactions(catalog, path, on_error="skip").rejects is None
    assert not stale.exists()
    assert other.exists()


def test_rejects_of_an_earlier_load_stay_while_nothing_is_loaded(
    catalog: Connection, write: Any
) -> None:
    path = write("a.csv", "user_id,item_id\nu,1\nu,9\n")
    stale = load_interactions(catalog, path, on_error="skip").rejects
    path.write_text("user_id\nu\n")
    with pytest.raises(BadInput):
        load_interactions(catalog, path, on_error="skip")
    assert stale is not None
    assert stale.exists()


def test_what_is_no_file_stays_where_nothing_was_rejected(
    catalog: Connection, write: Any, tmp_path: Path
) -> None:
    """As /dev/null: not that itself, which would be gone where this is broken."""
    os.mkfifo(tmp_path / "pipe")
    path = write("a.csv", "user_id,item_id\nu,1\n")
    load_interactions(catalog, path, on_error="skip", rejects=tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("rejected", [1, 2000])  # what a buffer holds, and more
def test_a_disk_that_rejects_fill_is_named_and_nothing_is_loaded(
    catalog: Connection, write: Any, rows: Any, tmp_path: Path, rejected: int
) -> None:
    path = write("a.csv", "user_id,item_id\nu,1\n" + "u,9\n" * rejected)
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    with pytest.raises(BadInput, match=r"cannot write rejected rows to .*: No space"):
        load_interactions(catalog, path, on_error="skip", rejects=full)
    assert rows("SELECT count(*) FROM recs.interactions") == [(0,)]

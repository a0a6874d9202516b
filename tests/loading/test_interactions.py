"""Interactions: every bad row is named, and a load happens whole or not at all."""

from __future__ import annotations

import gzip
import threading
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import OperationalError

from recs.errors import BadInput
from recs.loading import load_interactions, targets
from recs.loading.ahead import ahead
from recs.loading.targets import Interactions

ALL = "SELECT user_id, item_id, interaction_type, weight, extract(epoch FROM occurred_at)::float8 FROM recs.interactions ORDER BY 1, 2, 5"  # noqa: E501
COUNT = "SELECT count(*) FROM recs.interactions"


def test_columns_of_our_names_are_found(catalog: Connection, write: Any, rows: Any) -> None:
    path = write(
        "a.csv",
        "occurred_at,user_id,item_id,weight,interaction_type,other\n"
        "2020-01-01 00:00:00,u,1,2.5,buy,x\n",
    )
    report = load_interactions(catalog, path)
    assert (report.rows, report.rejected, report.rejects) == (1, 0, None)
    assert rows(ALL) == [("u", "1", "buy", 2.5, 1577836800.0)]


def test_columns_of_other_names_are_mapped(catalog: Connection, write: Any, rows: Any) -> None:
    path = write("a.csv", "customer,sku\nu,1\n")
    load_interactions(catalog, path, columns={"user_id": "customer", "item_id": "sku"})
    assert [row[:4] for row in rows(ALL)] == [("u", "1", "interaction", 1.0)]
    assert rows("SELECT occurred_at = now() FROM recs.interactions") == [(True,)]


@pytest.mark.parametrize(
    "time", ["2020-01-01", "2020-01-01T00:00:00", "2020-01-01 01:00:00+01:00", "2020-01-01T00:00Z",
             "1577836800", "1577836800.0"],
)  # fmt: skip
def test_times_are_iso_8601_or_unix_seconds(
    catalog: Connection, write: Any, rows: Any, time: str
) -> None:
    load_interactions(catalog, write("a.csv", f"user_id,item_id,occurred_at\nu,1,{time}\n"))
    assert rows(ALL)[0][4] == 1577836800.0


def test_times_of_several_forms_may_be_mixed(catalog: Connection, write: Any, rows: Any) -> None:
    path = write(
        "a.csv", "user_id,item_id,occurred_at\na,1,2020-01-01\nb,1,1577836800\nc,1,2020-01-01T00Z\n"
    )
    load_interactions(catalog, path)
    assert {row[4] for row in rows(ALL)} == {1577836800.0}


BAD_ROWS = [
    ("u,9,1,0", "item_id '9' is not in recs.items"),
    (",1,1,0", "user_id is missing"),
    ("u,,1,0", "item_id is missing"),
    ("u,1,0,0", "weight is 0, expected a number from 1e-12 to 1e+12"),
    ("u,1,-1,0", "weight is -1, expected a number from 1e-12 to 1e+12"),
    ("u,1,nan,0", "weight is nan, expected a number from 1e-12 to 1e+12"),
    ("u,1,1e-60,0", "weight is 1e-60, expected a number from 1e-12 to 1e+12"),
    ("u,1,heavy,0", "weight is 'heavy', expected a number"),
    ("u,1,1,", "occurred_at is missing"),
    ("u,1,1,soon", "occurred_at is 'soon', expected ISO 8601 or seconds since 1970"),
    ("u,1,1,1577836800000", "seconds since 1970 (not milliseconds)"),
    ("u,1", "expected 4 cells, got 2"),
    ("u,1,1,0,0", "expected 4 cells, got 5"),
    ("u\0,1,1,0", "user_id has a NUL character"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS, ids=[reason for _, reason in BAD_ROWS])
def test_a_load_with_one_bad_row_loads_nothing(
    catalog: Connection, write: Any, rows: Any, row: str, reason: str
) -> None:
    path = write("a.csv", f"user_id,item_id,weight,occurred_at\nu,1,1,0\n{row}\nu,2,1,0\n")
    with pytest.raises(BadInput) as caught:
        load_interactions(catalog, path)
    assert "line 3" in caught.value.message
    assert reason in caught.value.message
    assert "--on-error skip" in str(caught.value.hint)
    assert rows(COUNT) == [(0,)]


def test_skip_loads_the_rest_and_tells_line_reason_and_row(
    catalog: Connection, write: Any, rows: Any, rejected: Any
) -> None:
    bad = "".join(f"{row}\n\nu,2,1,0\n" for row, _ in BAD_ROWS)
    path = write("a.csv", f'user_id,item_id,weight,occurred_at\n"u\n\n2",1,1,0\n{bad}')
    report = load_interactions(catalog, path, on_error="skip")
    found = rejected(report.rejects)
    assert report.rows == 1 + len(BAD_ROWS) == rows(COUNT)[0][0]
    assert report.rejected == len(BAD_ROWS)
    assert [reject["line"] for reject in found] == [5 + 3 * n for n in range(len(BAD_ROWS))]
    for reject, (row, reason) in zip(found, BAD_ROWS, strict=True):
        assert reason in reject["reason"]
        cells = reject["row"]
        assert (list(cells.values()) if isinstance(cells, dict) else cells) == row.split(",")


def test_lines_are_right_past_the_first_batch(
    catalog: Connection, tmp_path: Any, rejected: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("recs.loading.csv_files._BLOCK", 100)
    monkeypatch.setattr(Interactions, "batch_rows", 3)
    path = tmp_path / "a.csv"
    lines = [f"u,{9 if n % 7 == 0 else 1},1" + ",x" * (n % 11 == 0) for n in range(200)]
    path.write_text("user_id,item_id,weight\n" + "\n".join(lines))
    report = load_interactions(catalog, path, on_error="skip")
    expected = [n + 2 for n in range(200) if n % 7 == 0 or n % 11 == 0]
    assert [reject["line"] for reject in rejected(report.rejects)] == expected
    assert report.rows == 200 - len(expected)


def test_rejects_never_overwrite_the_file(catalog: Connection, write: Any) -> None:
    path = write("a.csv", "user_id,item_id\nu,9\nu,1\n")
    with pytest.raises(BadInput, match="rejected rows would overwrite"):
        load_interactions(catalog, path, on_error="skip", rejects=path)
    link = path.with_name("link.jsonl")
    link.symlink_to(path)
    with pytest.raises(BadInput, match="rejected rows would overwrite"):
        load_interactions(catalog, path, on_error="skip", rejects=link)
    assert path.read_text() == "user_id,item_id\nu,9\nu,1\n"


def test_a_file_of_bad_rows_only_is_an_error(catalog: Connection, write: Any) -> None:
    path = write("a.csv", "user_id,item_id\nu,8\nu,9\n")
    with pytest.raises(BadInput, match="all 2 rows were rejected, the first in line 2"):
        load_interactions(catalog, path, on_error="skip")


def test_a_row_with_two_faults_is_rejected_for_the_first(
    catalog: Connection, write: Any, rejected: Any
) -> None:
    path = write("a.csv", "user_id,item_id,weight\n,,0\nu,,0\nu,9,0\nu,9,1\nu,1,1\n")
    report = load_interactions(catalog, path, on_error="skip")
    assert [reject["reason"] for reject in rejected(report.rejects)] == [
        "user_id is missing",
        "item_id is missing",
        "weight is 0, expected a number from 1e-12 to 1e+12",
        "item_id '9' is not in recs.items",
    ]


@pytest.mark.parametrize("column", ["weight", "occurred_at"])
def test_of_a_long_value_a_message_shows_the_beginning(
    catalog: Connection, write: Any, column: str
) -> None:
    path = write("a.csv", f"user_id,item_id,{column}\nu,1,{'x' * 10_000}\n")
    with pytest.raises(BadInput, match=rf"line 2: {column} is 'xxxx[x]*\.\., expected") as caught:
        load_interactions(catalog, path)
    assert len(caught.value.message.removeprefix(str(path))) < 200


def test_a_parquet_row_is_named_by_its_number(
    catalog: Connection, tmp_path: Any, rejected: Any
) -> None:
    table = pa.table({"user_id": [1.0, None, 2.5, 4.0], "item_id": [1, 1, 1, 9]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(BadInput, match="row 2: user_id is missing"):
        load_interactions(catalog, tmp_path / "a.parquet")
    report = load_interactions(catalog, tmp_path / "a.parquet", on_error="skip")
    assert [(reject["line"], reject["row"]) for reject in rejected(report.rejects)] == [
        (2, {"user_id": None, "item_id": 1}),
        (3, {"user_id": 2.5, "item_id": 1}),
        (4, {"user_id": 4.0, "item_id": 9}),
    ]


def test_a_json_line_that_is_no_object_is_named(
    catalog: Connection, write: Any, rejected: Any
) -> None:
    path = write("a.jsonl", '{"user_id": 1, "item_id": "1"}\n\n{"user_id":\n[1]\n')
    report = load_interactions(catalog, path, on_error="skip")
    assert report.rows == 1
    assert [(r["line"], r["row"]) for r in rejected(report.rejects)] == [
        (3, '{"user_id":'),
        (4, "[1]"),
    ]


def test_a_connection_lost_midway_loses_nothing(
    shop: Engine, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Interactions, "batch_rows", 10)
    table = pa.table({"user_id": list(range(100)), "item_id": ["1"] * 100})
    parquet.write_table(table, tmp_path / "a.parquet")
    pids: list[int] = []
    event.listen(shop, "connect", lambda raw, _: pids.append(raw.info.backend_pid))

    def cut(done: int, _: float) -> None:
        if done == 50:
            with shop.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pids[0]})

    with pytest.raises((psycopg.OperationalError, OperationalError)):
        load_interactions(shop, tmp_path / "a.parquet", on_progress=cut)
    with shop.connect() as connection:
        assert connection.scalar(text(COUNT)) == 0
    assert not [thread for thread in threading.enumerate() if "recs-load" in thread.name]


def test_the_callers_transaction_survives_a_refused_load(
    catalog: Connection, write: Any, rows: Any
) -> None:
    with pytest.raises(BadInput):
        load_interactions(catalog, write("a.csv", "user_id,item_id\nu,9\n"))
    load_interactions(catalog, write("a.csv", "user_id,item_id\nu,1\n"))
    assert rows(COUNT) == [(1,)]


def test_progress_tells_rows_and_fraction(
    catalog: Connection, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Interactions, "batch_rows", 4)
    table = pa.table({"user_id": list(range(10)), "item_id": ["1"] * 10})
    parquet.write_table(table, tmp_path / "a.parquet")
    seen: list[tuple[int, float]] = []
    load_interactions(
        catalog, tmp_path / "a.parquet", on_progress=lambda *state: seen.append(state)
    )
    assert seen == [(4, 0.4), (8, 0.8), (10, 1.0)]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.gz"])
def test_progress_ends_with_all_rows_and_the_whole_file(
    catalog: Connection, tmp_path: Any, monkeypatch: Any, name: str
) -> None:
    monkeypatch.setattr(Interactions, "batch_rows", 1000)
    monkeypatch.setattr("recs.loading.csv_files._BLOCK", 10_000)
    lines = [f"user-{user},1" for user in range(10_000)]
    if ".csv" in name:
        content = "user_id,item_id\n" + "\n".join(lines)
    else:
        content = "".join(f'{{"user_id": {user}, "item_id": 1}}\n' for user in range(10_000))
    data = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    seen: list[tuple[int, float]] = []
    load_interactions(catalog, tmp_path / name, on_progress=lambda *state: seen.append(state))
    assert len(seen) > 1
    assert seen == sorted(seen)
    assert seen[-1] == (10_000, 1.0)


def test_only_items_of_the_own_tenant_are_known(catalog: Connection, write: Any) -> None:
    catalog.execute(text("SELECT set_config('recs.tenant_id', 'other', true)"))
    with pytest.raises(BadInput, match=r"item_id '1' is not in recs\.items"):
        load_interactions(catalog, write("a.csv", "user_id,item_id\nu,1\n"))


def test_a_role_under_row_level_security_can_load(
    catalog: Connection, write: Any, rows: Any
) -> None:
    catalog.execute(text("SET LOCAL ROLE recs_writer"))
    report = load_interactions(catalog, write("a.csv", "user_id,item_id\nu,1\nv,2\n"))
    assert report.rows == 2
    assert rows(COUNT) == [(2,)]


def test_the_next_batch_is_made_while_one_is_written() -> None:
    made: list[int] = []

    def numbers() -> Any:
        for number in range(3):
            made.append(number)
            yield number

    for number in ahead(numbers()):
        while number < 2 and number + 1 not in made:
            pass
    assert made == [0, 1, 2]


def test_a_batch_is_copied_in_slices_in_the_order_of_the_index(
    catalog: Connection, write: Any, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "_ENCODED", 2)
    lines = "".join(f"u{user},{item}\n" for item in (2, 1, 3) for user in (10, 9, 1))
    load_interactions(catalog, write("a.csv", "user_id,item_id\n" + lines))
    found = rows("SELECT user_id, item_id FROM recs.interactions ORDER BY ctid")
    assert found == [(f"u{user}", str(item)) for user in (1, 10, 9) for item in (1, 2, 3)]

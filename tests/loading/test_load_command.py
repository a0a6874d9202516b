"""`recs load`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from psycopg import conninfo
from sqlalchemy import Engine, text

from recs.cli import main


def test_items_and_interactions_load_from_the_command_line(
    engine: Engine, dsn: str, write: Any, capsys: Any
) -> None:
    items = write("items.csv", "sku,title,price\n1,One,2.5\n2,Two,3\n")
    main(
        ["--dsn", dsn, "load", "items", str(items), "--map", "item_id=sku", "--attribute", "price"]
    )
    events = write("events.csv", "customer,sku\na,1\nb,2\nc,9\n")
    rejects = events.with_name("bad.jsonl")
    capsys.readouterr()
    main(
        [
            "--dsn", dsn, "load", "interactions", str(events), "--map", "user_id=customer",
            "--map", "item_id=sku", "--on-error", "skip", "--rejects", str(rejects), "--json",
        ]
    )  # fmt: skip
    document = json.loads(capsys.readouterr().out)
    assert (document["rows"], document["rejected"]) == (2, 1)
    assert json.loads(rejects.read_text())["line"] == 4
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM recs.interactions")) == 2
        assert connection.scalar(text("SELECT count(*) FROM recs.item_popularity")) == 2
        counted = "SELECT reltuples FROM pg_class WHERE oid = CAST(:table AS regclass)"
        for table in ("items", "interactions", "item_popularity"):  # the planner knows them
            assert connection.scalar(text(counted), {"table": f"recs.{table}"}) == 2


def test_who_may_not_refresh_popularity_is_told_and_so_are_programs(
    engine: Engine, dsn: str, write: Any, capsys: Any
) -> None:
    main(["--dsn", dsn, "load", "items", str(write("items.csv", "item_id\n1\n"))])
    events = str(write("events.csv", "user_id,item_id\na,1\n"))
    for role, refreshed in (("recs_writer", False), ("none", True)):
        asked = ["--dsn", conninfo.make_conninfo(dsn, options=f"-c role={role}"), "load"]
        capsys.readouterr()
        main([*asked, "interactions", events])
        warned = f"warning: popularity is as it was: {role} may not run SELECT recs.refresh"
        assert (warned in capsys.readouterr().err) is not refreshed
        main([*asked, "interactions", events, "--json"])
        assert json.loads(capsys.readouterr().out)["popularity_refreshed"] is refreshed
        with engine.connect() as connection:
            known = connection.scalar(text("SELECT count(*) FROM recs.item_popularity"))
            assert known == (1 if refreshed else 0)


def test_a_bad_row_is_two_lines_and_exit_code_1(dsn: str, write: Any, capsys: Any) -> None:
    path = write("users.csv", 'user_id\n""\n')
    with pytest.raises(SystemExit) as caught:
        main(["--dsn", dsn, "load", "users", str(path)])
    assert caught.value.code == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-2].startswith("error: ")
    assert "line 2: user_id is missing" in lines[-2]
    assert lines[-1].startswith("hint: nothing was loaded")


def test_columns_that_go_nowhere_are_named(dsn: str, write: Any, capsys: Any) -> None:
    path = write("items.csv", "item_id,tittle,price,\n1,One,2.5,\n")
    main(["--dsn", dsn, "load", "items", str(path), "--attribute", "price"])
    assert "warning: columns of the file that were not loaded: tittle\n" in capsys.readouterr().err
    main(["--dsn", dsn, "load", "items", str(path), "--json"])
    assert json.loads(capsys.readouterr().out)["ignored"] == ["tittle", "price"]


@pytest.mark.parametrize("pair", ["item_id", "item_id=", "=sku", "="])
def test_a_map_that_names_no_two_columns_is_refused(
    dsn: str, write: Any, capsys: Any, pair: str
) -> None:
    path = write("items.csv", "sku\n1\n")
    with pytest.raises(SystemExit) as caught:
        main(["--dsn", dsn, "load", "items", str(path), "--map", pair])
    assert caught.value.code == 2
    assert f"{pair!r} is not OURS=FILES" in capsys.readouterr().err


def test_a_column_of_the_file_may_have_an_equals_sign(engine: Engine, dsn: str, write: Any) -> None:
    path = write("items.csv", "a=b,title\n1,One\n")
    main(["--dsn", dsn, "load", "items", str(path), "--map", "item_id=a=b"])
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT item_id FROM recs.items")) == "1"


def test_rejected_rows_are_counted_for_people_with_the_file_that_has_them(
    dsn: str, write: Any, capsys: Any
) -> None:
    path = write("[b]items.csv", "item_id\n1\n1\n1\n")
    main(["--dsn", dsn, "load", "items", str(path), "--on-error", "skip"])
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("items: 1 rows in ")
    assert printed[1] == f"2 rows were rejected: {path}.rejects.jsonl"


@pytest.mark.parametrize("table", ["items", "users", "interactions"])
def test_the_planner_knows_a_table_after_its_load(
    engine: Engine, dsn: str, write: Any, table: str
) -> None:
    items = write("items.csv", "item_id\n1\n2\n3\n")
    main(["--dsn", dsn, "load", "items", str(items)])
    path = write("a.csv", "user_id,item_id\n1,1\n2,2\n3,3\n")
    if table != "items":
        main(["--dsn", dsn, "load", table, str(path)])
    known = text("SELECT reltuples FROM pg_class WHERE oid = to_regclass(:name)")
    names = [table] if table != "interactions" else [table, "item_popularity"]
    with engine.connect() as connection:
        for name in names:
            assert connection.scalar(known, {"name": f"recs.{name}"}) == 3, name

"""`recs load`."""

from __future__ import annotations

import json
from typing import Any

import pytest
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

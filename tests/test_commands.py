"""The commands, on a real database: what they print, what they change, how they exit."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, text

from recs import Recommender, User
from recs.cli import main
from recs.training import versions
from tests import shops
from tests.locks import wait_until_one_waits

N = 40
Ask = Callable[..., Any]


@pytest.fixture
def ask(dsn: str, capsys: Any) -> Ask:
    """Return a function that runs a command with --json and returns its document."""

    def run(*arguments: str) -> Any:
        capsys.readouterr()
        main(["--dsn", dsn, "--json", *arguments])
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def published(engine: Engine) -> list[int]:
    """Publish two versions, of which the second is active; return their model_ids."""
    ids = shops.insert_items(engine, N)
    shops.record(engine, [("u", ids[0])])
    random = np.random.default_rng(1)
    return [
        shops.publish(
            engine, shops.publication(ids, random.normal(size=(N, 8)), histories={"u": [0]})
        )
        for _ in range(2)
    ]


def test_models_are_listed_flipped_rolled_back_and_dropped(published: list[int], ask: Ask) -> None:
    def states() -> dict[int, str]:
        return {row["model_id"]: row["state"] for row in ask("models", "list")}

    old, new = published
    assert states() == {old: "retired", new: "active"}
    assert ask("models", "activate", str(old)) == {"active": old}
    assert states() == {old: "active", new: "retired"}
    assert ask("models", "roll-back") == {"active": new}
    assert ask("models", "drop", str(old)) == {"dropped": old}
    assert states() == {new: "active"}


def test_models_are_listed_for_people_with_what_the_gate_found(
    engine: Engine, published: list[int], dsn: str, capsys: Any
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE recs.models SET metrics = CAST(:found AS jsonb) WHERE model_id = :id"),
            {
                "found": json.dumps({"gate": {"recall": 0.25, "popularity_recall": 0.125}}),
                "id": published[0],
            },
        )
        connection.execute(
            text("UPDATE recs.models SET trained_until = NULL WHERE model_id = :id"),
            {"id": published[1]},
        )
    main(["--dsn", dsn, "models", "list"])
    newest, oldest = (line.split() for line in capsys.readouterr().out.splitlines()[1:])
    assert newest == [str(published[1]), "hand", "active", "8"]
    assert oldest == [
        str(published[0]), "hand", "retired", "8", "0.2500", "0.1250", "2024-06-01", "00:00",
    ]  # fmt: skip


def test_a_model_that_is_active_is_not_dropped_by_the_command(
    published: list[int], dsn: str, capsys: Any
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--dsn", dsn, "models", "drop", str(published[1])])
    assert stopped.value.code == 1
    assert f"error: model {published[1]} is active" in capsys.readouterr().err


def test_recommend_and_similar_print_the_rows_of_the_database(
    engine: Engine, published: list[int], ask: Ask
) -> None:
    shop, red = Recommender(engine), {"colour": "red"}
    assert ask("recommend", "u", "stranger", "--k", "3", "--filter", json.dumps(red)) == {
        user: [asdict(row) for row in shop.recommend(user, 3, filter=red)]
        for user in ("u", "stranger")
    }
    unseen = ask("recommend", "u", "--k", str(N))["u"]
    assert "item-0" not in {row["item_id"] for row in unseen}
    everything = ask("recommend", "u", "--k", str(N), "--include-seen")["u"]
    assert "item-0" in {row["item_id"] for row in everything}
    both = ("--candidate", "item-1", "--candidate", "item-2", "--exclude", "item-2")
    assert [row["item_id"] for row in ask("recommend", "u", *both)["u"]] == ["item-1"]
    assert [row["item_id"] for row in ask("similar", "item-3", *both)] == ["item-1"]
    assert ask("similar", "item-1", "--k", "3") == [
        asdict(row) for row in shop.similar_items("item-1", 3)
    ]
    basket = ("item-3", "item-4")
    assert [row["item_id"] for row in ask("recommend-for-items", *basket, *both)] == ["item-1"]
    asked = ask("recommend-for-items", *basket, "--k", "3", "--filter", json.dumps(red))
    assert asked == [asdict(row) for row in shop.recommend_for_items(basket, 3, filter=red)]


@pytest.fixture
def popularity(engine: Engine) -> Recommender:
    """Make popularity of 40 items: all users like item-1 best, those of France item-2."""
    shops.insert_items(engine, N)
    shop = Recommender(engine)
    shop.upsert_users([User("f", segment="France"), User("g", segment="Fiji"), User("h")])
    shops.record(engine, [("f", "item-2"), ("g", "item-1"), ("h", "item-1")])
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
    return shop


def test_popular_prints_what_is_popular_with_all_or_with_a_segment(
    popularity: Recommender, ask: Ask
) -> None:
    assert ask("popular", "--k", "1") == [asdict(row) for row in popularity.popular_items(1)]
    assert [row["item_id"] for row in ask("popular")] == ["item-1", "item-2"]
    (row,) = ask("popular", "--segment", "France")
    assert (row["item_id"], row["support"]) == ("item-2", 1)
    assert ask("popular", "--segment", "Frnace") == []


def test_popular_prints_titles_for_people_and_says_where_nothing_is(
    popularity: Recommender, dsn: str, capsys: Any
) -> None:
    main(["--dsn", dsn, "popular", "--segment", "Fiji"])
    printed = capsys.readouterr().out
    assert "popular in Fiji" in printed
    assert re.findall(r"(item-\d+) +title of \1 +[\d.]+ +(\d+)", printed) == [("item-1", "1")]
    main(["--dsn", dsn, "popular", "--segment", "Frnace"])
    printed = capsys.readouterr().err
    assert "nothing is popular for segment 'Frnace', expected one of recs.users.segment" in printed
    assert "SELECT recs.refresh_popularity()" in printed


def test_popular_of_an_empty_shop_says_what_to_do(dsn: str, capsys: Any) -> None:
    main(["--dsn", dsn, "popular"])
    assert "nothing is popular yet\nhint: load interactions" in capsys.readouterr().err


def test_recommend_prints_titles_for_people(published: list[int], dsn: str, capsys: Any) -> None:
    main(["--dsn", dsn, "recommend", "u", "--k", "2"])
    assert len(re.findall(r"(item-\d+) +title of \1 ", capsys.readouterr().out)) == 2


def test_a_training_until_a_time_learns_nothing_later_and_waits_for_its_activation(
    engine: Engine, ask: Ask, tmp_path: Path
) -> None:
    shops.insert_items(engine, N)
    random = np.random.default_rng(0)
    for days, users in ((40, range(60)), (20, range(60)), (-20, range(60, 80))):
        events = [(f"u{u}", f"item-{j}") for u in users for j in random.choice(N, 4, replace=False)]
        shops.record(engine, events, before=timedelta(days=days))
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"dimension": 8, "max_epochs": 1}))
    until = f"{shops.TRAINED_UNTIL:%Y-%m-%d %H:%M:%S}"
    report = ask("train", "--until", until, "--no-activate", "--device", "cpu",
                 "--parameters", str(settings))  # fmt: skip
    assert (report["activated"], report["users"]) == (False, 60)
    with engine.connect() as connection:
        (version,) = versions.list_versions(connection)
    assert version.state == "ready"
    assert version.trained_until is not None
    assert version.trained_until <= shops.TRAINED_UNTIL


def test_a_training_that_finds_nothing_to_learn_leaves_popularity_that_answers(
    engine: Engine, ask: Ask
) -> None:
    ids = shops.insert_items(engine, 3)
    shops.record(engine, [(f"u{n}", ids[n % 2]) for n in range(3)])  # an item each
    with pytest.raises(SystemExit) as caught:
        ask("train")
    assert caught.value.code == 1
    tiers = [(row.item_id, row.tier) for row in Recommender(engine).recommend("stranger", 3)]
    assert tiers == [(ids[0], "popularity"), (ids[1], "popularity"), (ids[2], "catalog")]


def test_an_interrupted_command_exits_with_130(
    published: list[int], engine: Engine, dsn: str
) -> None:
    # Where a shell runs the tests in the background, SIGINT is ignored by all that they start.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from recs.cli import main; main(['--dsn', {dsn!r}, 'recommend', 'u'])"
    )
    with psycopg.connect(dsn) as holder:
        holder.execute("LOCK TABLE recs.models IN ACCESS EXCLUSIVE MODE")
        command = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
        wait_until_one_waits(engine, "relation")
        command.send_signal(signal.SIGINT)
        _, errors = command.communicate(timeout=20)
    assert command.returncode == 130
    assert b"Traceback" not in errors


def test_a_command_takes_longer_than_the_server_grants_to_applications(
    engine: Engine, dsn: str, published: list[int], ask: Ask
) -> None:
    locked = threading.Event()

    def hold() -> None:
        with engine.begin() as connection:
            versions.lock_placement(connection)
            locked.set()
            wait_until_one_waits(engine, "advisory")
            time.sleep(1)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert locked.wait(20)
        with engine.begin() as connection:
            name = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
            connection.execute(text(f"ALTER DATABASE {name} SET statement_timeout = '300ms'"))
        with psycopg.connect(dsn) as other, pytest.raises(psycopg.errors.QueryCanceled):
            other.execute("SELECT pg_sleep(5)")
        assert ask("models", "activate", str(published[0])) == {"active": published[0]}
        holding.result(20)

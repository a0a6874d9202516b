"""The command line where it is misused, and where text of users looks like markup."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from sqlalchemy import Engine, text

from recs import Interaction, Item, Recommender
from recs.cli import main
from recs.cli.output import Output
from recs.cli.parameters import Moment
from recs.cli.steps import training_progress
from recs.database import REVISION
from tests import shops

NOWHERE = ("--dsn", "postgresql://localhost:1/none")


def exit_code(*arguments: str) -> Any:
    with pytest.raises(SystemExit) as stopped:
        main([*NOWHERE, *arguments])
    return stopped.value.code


@pytest.mark.parametrize("seed", ["-1", str(2**32 - 1), str(2**63), "99999999999999999999"])
@pytest.mark.parametrize("command", ["train", "tune", "evaluate", "demo"])
def test_a_seed_that_no_generator_takes_is_refused(command: str, seed: str, capsys: Any) -> None:
    assert exit_code(command, "--seed", seed) == 2
    assert f"{seed} is not in the range 0<=x<=4294967294" in capsys.readouterr().err


@pytest.mark.parametrize("k", ["0", "1001", "99999999999"])
@pytest.mark.parametrize("command", ["recommend", "similar"])
def test_a_k_out_of_range_is_refused(command: str, k: str, capsys: Any) -> None:
    assert exit_code(command, "u", "--k", k) == 2
    assert f"{k} is not in the range 1<=x<=1000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("frobnicate",), "No such command 'frobnicate'", "see: recs --help"),
        (("recommend", "u", "--k", "x"), "'x' is not a valid", "see: recs recommend --help"),
        (("models", "list", "--bad"), "No such option", "see: recs models list --help"),
        (("recommend",), "Missing argument", "see: recs recommend --help"),
        (("train", "--parameters", "nowhere.json"), "'nowhere.json'", "see: recs train --help"),
    ],
)
def test_a_misused_command_is_json_where_that_was_asked_for_and_exits_with_2(
    arguments: tuple[str, ...], message: str, hint: str, capsys: Any
) -> None:
    assert exit_code(*arguments, "--json") == 2
    written = capsys.readouterr()
    document = json.loads(written.err)
    assert message in document["error"]
    assert document["hint"] == hint
    assert written.out == ""


def test_a_misused_command_shows_people_its_usage(capsys: Any) -> None:
    assert exit_code("recommend", "u", "--k", "x") == 2
    assert "Usage: recs recommend" in capsys.readouterr().err


@pytest.mark.parametrize("awkward", ["[/x]", "[bold]u[/bold]", "a :cat: b", "end\\"])
def test_ids_and_titles_are_printed_as_they_are(
    engine: Engine, dsn: str, awkward: str, capsys: Any
) -> None:
    shop = Recommender(engine)
    shop.upsert_items([Item("a", awkward), Item(awkward, "plain")])
    shop.record_interactions([Interaction("v", "a")])
    main(["--dsn", dsn, "recommend", awkward])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].rstrip() == f"for {awkward}"
    assert any(line.split()[1] == "a" and f" {awkward} " in line for line in lines[2:])
    assert any(f" {awkward} " in line and " plain " in line for line in lines[2:])


def test_ids_are_printed_whole_in_a_narrow_terminal(
    engine: Engine, dsn: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    long = "sku-" + "0123456789" * 4
    Recommender(engine).upsert_items([Item(long)])
    main(["--dsn", dsn, "recommend", "u"])
    printed = capsys.readouterr().out
    assert "…" not in printed
    rows = printed.splitlines()[2:]
    start = rows[0].index("sku-")
    assert "".join(row[start:].split(" ")[0] for row in rows) == long


def test_an_error_and_its_hint_are_printed_as_they_are_and_on_one_line_each(
    dsn: str, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("[bold]" + "a long name " * 9)
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        main(["--dsn", dsn, "load", "items", "[red]none.csv"])
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "error: no such file: [red]none.csv",
        f"hint: paths start from {folder}",
    ]


def test_what_the_server_warns_of_is_printed_with_its_hint(
    engine: Engine, dsn: str, capsys: Any
) -> None:
    shops.publish_two(engine)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION public.warn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " RAISE NOTICE 'not this';"
                " RAISE WARNING 'one [bold]waits[/bold]' USING HINT = 'for me'; RETURN NULL; END $$"
            )
        )
        connection.execute(
            text("CREATE TRIGGER warn AFTER UPDATE ON recs.models EXECUTE FUNCTION public.warn()")
        )
    main(["--dsn", dsn, "models", "start-trial", "1", "--share", ".1"])
    printed = capsys.readouterr()
    warned = ["warning: one [bold]waits[/bold]", "hint: for me"]
    assert printed.err.splitlines() == warned * 2
    main(["--dsn", dsn, "--json", "models", "stop-trial"])
    printed = capsys.readouterr()
    assert (json.loads(printed.out), printed.err) == ({"stopped": 1}, "")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{colour: red}", "--filter is not JSON"),
        ("", "--filter is not JSON"),
        ("[1]", "--filter is a list, expected an object"),
        ("null", "--filter is a NoneType, expected an object"),
    ],
)
@pytest.mark.parametrize("command", ["recommend", "similar"])
def test_a_filter_that_is_no_object_is_refused(
    dsn: str, capsys: Any, command: str, given: str, message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--dsn", dsn, command, "u", "--filter", given])
    assert stopped.value.code == 1
    printed = capsys.readouterr().err
    assert f"error: {message}" in printed
    assert """hint: for example: --filter '{"colour": "red"}'""" in printed


def test_a_revision_to_start_from_goes_with_sql_only(capsys: Any) -> None:
    assert exit_code("migrate", "--from", "0003") == 2
    assert "--from goes with --sql" in capsys.readouterr().err


def test_migrate_says_what_it_did_and_that_there_was_nothing_to_do(
    empty_dsn: str, capsys: Any
) -> None:
    main(["--dsn", empty_dsn, "migrate"])
    assert f"schema recs: revision none -> {REVISION}" in capsys.readouterr().out
    main(["--dsn", empty_dsn, "migrate"])
    assert f"is at revision {REVISION}; nothing to do" in capsys.readouterr().out
    main(["--dsn", empty_dsn, "migrate", "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "before": REVISION, "after": REVISION, "warnings": [],
    }  # fmt: skip


def test_a_version_that_is_not_there_is_named(dsn: str, capsys: Any) -> None:
    for command in (("activate",), ("drop",), ("start-trial", "--share", "0.1")):
        with pytest.raises(SystemExit) as stopped:
            main(["--dsn", dsn, "models", *command, "99"])
        assert stopped.value.code == 1
        printed = capsys.readouterr().err
        assert "error: tenant default has no model 99\nhint: list them: recs models list" in printed


def test_a_file_is_named_as_it_is_while_it_is_loaded(
    engine: Engine, dsn: str, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "[red]items[bold].csv"
    path.write_text("item_id\n1\n")
    main(["--dsn", dsn, "load", "items", str(path)])
    assert "loading [red]items[bold].csv" in capsys.readouterr().err


def test_the_steps_of_a_training_are_printed_without_markup(capsys: Any) -> None:
    with training_progress(Output()) as (on_step, _):
        on_step("read", 1.0)
    assert "read: 1.0 s" in capsys.readouterr().err.splitlines()[0]
    assert "[dim]" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-10-15", datetime(2026, 10, 15, tzinfo=UTC)),
        ("2026-10-15 10:20:30", datetime(2026, 10, 15, 10, 20, 30, tzinfo=UTC)),
        ("2026-10-15T10:20:30Z", datetime(2026, 10, 15, 10, 20, 30, tzinfo=UTC)),
        ("2026-10-15 10:20:30+02:00", datetime(2026, 10, 15, 8, 20, 30, tzinfo=UTC)),
    ],
)
def test_a_time_may_have_a_zone_and_is_utc_without(given: str, expected: datetime) -> None:
    assert Moment().convert(given, None, None) == expected


def test_what_is_no_time_is_refused_with_what_one_looks_like() -> None:
    with pytest.raises(click.BadParameter, match="%Y-%m-%dT%H:%M:%S"):
        Moment().convert("tomorrow", None, None)

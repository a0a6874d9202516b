"""`recs tune` as a command: where its settings go, and what an interrupt leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from recs.cli import main
from tests import shops

# The process gets a real SIGINT: before its third training begins, or in the midst of its first.
INTERRUPTED = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from recs import tuning
from recs.cli import main

train, begun = tuning.train, []

def interrupted(*arguments, **options):
    begun.append(1)
    if len(begun) == {interrupted}:
        os.kill(os.getpid(), signal.SIGINT)
    return train(*arguments, **options)

tuning.train = interrupted
main({arguments!r})
"""


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """Return a database whose users keep to one of four groups of items."""
    shops.fill_with_groups(engine)
    return engine


def tune(dsn: str, path: Path, *, interrupted: int) -> subprocess.CompletedProcess[str]:
    arguments = ["--dsn", dsn, "--json", "tune", "--trials", "9", "--output", str(path)]
    script = INTERRUPTED.format(arguments=arguments, interrupted=interrupted)
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_an_interrupt_writes_the_best_settings_found_by_then(
    shop: Engine, dsn: str, tmp_path: Path
) -> None:
    path = tmp_path / "tuned.json"
    done = tune(dsn, path, interrupted=3)
    assert done.returncode == 130
    report = json.loads(done.stdout)
    assert (report["interrupted"], len(report["trials"])) == (True, 2)
    assert json.loads(path.read_text()) == report["best"]["parameters"]
    assert "Traceback" not in done.stderr


def test_an_interrupt_before_anything_is_found_writes_nothing(
    shop: Engine, dsn: str, tmp_path: Path
) -> None:
    path = tmp_path / "tuned.json"
    done = tune(dsn, path, interrupted=1)
    assert (done.returncode, done.stdout, path.exists()) == (130, "", False)
    assert done.stderr.strip() == ""


def test_a_folder_that_is_not_there_is_refused_before_anything_is_tried(
    dsn: str, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "nodir" / "x.json"
    with pytest.raises(SystemExit) as stopped:
        main(["--dsn", dsn, "--json", "tune", "--output", str(path)])
    assert stopped.value.code == 2
    told = json.loads(capsys.readouterr().err)["error"]
    assert f"{str(path.parent)!r} is no folder to write to" in told

"""The wheel, installed where there is no checkout: it migrates, and stays light."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import psycopg
import pytest

CHECKOUT = Path(__file__).parents[1]

pytestmark = pytest.mark.wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, install it with its base dependencies; return the folder of programs."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, CHECKOUT)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    constraints = CHECKOUT / "constraints.txt"
    _run(programs / "python", "-m", "pip", "install", "--quiet", "-c", constraints, wheel)
    return programs


def _run(*command: str | Path, cwd: Path | None = None, **variables: str) -> str:
    """Run something that succeeds; return what it printed."""
    done = _done(*command, cwd=cwd, **variables)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _done(
    *command: str | Path, cwd: Path | None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run outside the checkout, so that nothing is imported from it."""
    environment = os.environ | {"PYTHONWARNINGS": "ignore"} | variables
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd or Path(sys.prefix),
        env=environment,
        capture_output=True,
        text=True,
    )


def test_the_wheel_migrates_twice(installed: Path, empty_dsn: str, tmp_path: Path) -> None:
    for _ in range(2):
        _run(installed / "recs", "migrate", cwd=tmp_path, DATABASE_URL=empty_dsn)
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("SELECT * FROM recs.recommend('nobody', 10)").fetchall() == []


def test_the_wheel_prints_the_sql_of_a_migration(installed: Path, tmp_path: Path) -> None:
    printed = _run(installed / "recs", "migrate", "--sql", cwd=tmp_path)
    assert "CREATE TABLE recs.items" in printed
    assert "FUNCTION recs.recommend(" in printed


def test_the_wheel_helps_without_torch(installed: Path, tmp_path: Path) -> None:
    assert "migrate" in _run(installed / "recs", "--help", cwd=tmp_path)
    program = "import recs, sys; assert not {'torch', 'numpy'} & set(sys.modules); print(recs)"
    printed = _run(installed / "python", "-c", program, cwd=tmp_path)
    assert str(installed.parent) in printed


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("load", "items", "items.csv"), "train"),
        (("load", "interactions", "items.csv"), "train"),
        (("train",), "train"),
        (("train", "--device", "cuda"), "train"),
        (("tune",), "train,tune"),
        (("evaluate",), "train"),
    ],
)
def test_what_a_base_install_cannot_do_names_the_extra_that_can(
    installed: Path, tmp_path: Path, command: tuple[str, ...], extra: str
) -> None:
    (tmp_path / "items.csv").write_text("item_id\n1\n")
    done = _done(installed / "recs", *command, cwd=tmp_path, DATABASE_URL="postgresql:///none")
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert re.fullmatch(r"error: this needs [a-z]+, which is not installed", error)
    assert hint == f"hint: pip install 'pgrecs[{extra}]'"

"""What a user is told of an exception, and which ones are left as defects of ours."""

import os
import socket
from pathlib import Path

import psycopg
import pytest
import torch
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from recs.cli.failures import explain
from recs.errors import BadInput


def test_an_error_of_ours_is_told_as_it_is():
    failure = explain(BadInput("k is 0, expected 1 or more", hint="leave it out"))
    assert (failure.message, failure.hint) == ("k is 0, expected 1 or more", "leave it out")


def test_a_full_gpu_names_the_other_device():
    failure = explain(torch.cuda.OutOfMemoryError("Tried to allocate 9 GiB.\nGPU 0 has 8 GiB."))
    assert failure.message == "the GPU has too little memory: Tried to allocate 9 GiB."
    assert failure.hint is not None
    assert "--device cpu" in failure.hint


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 7 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: Unable to allocate 7 GiB"),
    ],
)
def test_a_machine_of_too_little_memory_is_named_with_what_would_need_less(error):
    failure = explain(error)
    assert "too little memory" in failure.message
    assert "7 GiB" in failure.message
    assert "association_dimension" in str(failure.hint)


def test_a_full_disk_is_told_without_a_traceback():
    with pytest.raises(OSError, match="No space left") as caught:
        Path("/dev/full").write_text("x")
    assert explain(caught.value).message == "No space left on device"


def test_a_right_that_lacks_is_told_with_who_has_it(dsn):
    with psycopg.connect(dsn) as connection:
        connection.execute("SET ROLE recs_reader")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
            connection.execute("DELETE FROM recs.items")
    failure = explain(caught.value)
    assert failure.message == "permission denied for table items"
    assert "the owner" in failure.hint
    assert "recs_writer writes" in failure.hint


def test_what_a_standby_cannot_do_is_told_with_where_to_do_it(dsn):
    with psycopg.connect(dsn) as connection:
        connection.execute("SET TRANSACTION READ ONLY")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as caught:
            connection.execute("DELETE FROM recs.items")
    assert "primary" in explain(caught.value).hint


def test_what_the_database_says_has_its_own_hint_else_its_detail(dsn):
    for raised, hint in (
        ("HINT = 'do that'", "do that"),
        ("DETAIL = 'it is so'", "it is so"),
        ("HINT = 'do that', DETAIL = 'it is so'", "do that"),
        ("HINT = 'wait', ERRCODE = 'lock_not_available'", "wait"),
        ("HINT = 'ask her', ERRCODE = 'insufficient_privilege'", "ask her"),
    ):
        with psycopg.connect(dsn) as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute(f"DO $$ BEGIN RAISE 'no' USING {raised}; END $$")
        failure = explain(caught.value)
        assert (failure.message, failure.hint) == ("no", hint)


def test_optuna_is_of_an_extra_that_needs_the_one_for_training():
    failure = explain(ModuleNotFoundError("No module named 'optuna'", name="optuna"))
    assert failure.hint == "pip install 'pgrecs[train,tune]'"


def test_a_missing_package_names_the_extra_that_brings_it():
    failure = explain(ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow"))
    assert failure.message == "this needs pyarrow, which is not installed"
    assert failure.hint == "pip install 'pgrecs[train]'"


def test_a_server_that_does_not_answer_is_told_without_sqlalchemy_around_it():
    engine = create_engine("postgresql+psycopg://localhost:1/none")
    with pytest.raises(DBAPIError) as caught:
        engine.connect()
    failure = explain(caught.value)
    assert "connection" in failure.message
    assert "sqlalche.me" not in failure.message


def test_a_connection_that_breaks_promises_nothing_of_what_was_committed(dsn):
    connection = psycopg.connect(dsn)
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
    with pytest.raises(psycopg.OperationalError) as caught:
        connection.execute("SELECT 1")
    failure = explain(caught.value)
    assert "connection" in failure.message
    assert "COMMIT under way may have been done or not" in str(failure.hint)
    assert "nothing was lost" not in str(failure.hint)


@pytest.mark.parametrize(
    "defect",
    [
        ValueError("no"),
        ModuleNotFoundError("No module named 'recs.none'", name="recs.none"),
    ],
)
def test_a_defect_is_not_explained_away(defect):
    with pytest.raises(type(defect)) as caught:
        explain(defect)
    assert caught.value is defect

"""The benchmark of sessions that ask at once reads pgbench's log and errors, and judges levels."""

import numpy as np
import pytest

from benchmarks import pgbench
from benchmarks.concurrency import Level, verdict
from recs.errors import ServerUnsuitable

LOG = """\
0 1 250000 0 1700000000 250000
1 1 500000 1 1700000000 500000
0 2 2000 0 1700000002 100000
1 2 failed 1 1700000002 500000
0 3 4000 0 1700000003 900000
0 4 4000 0 1700000004 100000
"""
STDERR = """\
pgbench: error: client 3 script 1 aborted in command 2 query 0: ERROR:  division by zero
DETAIL:  a line of the server's
pgbench: error: client 12 aborted in command 0 (SQL) of script 0; perhaps the backend died
pgbench: error: connection to server on socket "/tmp/.s.PGSQL.5432" failed: FATAL:  too many
pgbench: error: could not create connection for client 53
pgbench: error: Run was aborted; the above results are incomplete.
"""


def level(sessions: int, lists_per_second: float, *, refused: int = 0, errors: int = 0) -> Level:
    return Level(sessions, refused, lists_per_second, 1.0, 2.0, errors, None)


def test_the_log_has_milliseconds_and_failures():
    log = pgbench.read_log(LOG.splitlines())
    assert log.milliseconds[:3].tolist() == [250, 500, 2]
    assert log.failed == 1
    assert log.percentiles(0, 50, 100) == [2, 4, 500]


def test_the_window_begins_after_the_warm_up_and_ends_in_time():
    window = pgbench.read_log(LOG.splitlines()).window(2, 2)
    assert window.milliseconds[~np.isnan(window.milliseconds)].tolist() == [2, 4]
    assert window.failed == 1


def test_an_empty_log_has_no_percentiles():
    window = pgbench.read_log([]).window(1, 1)
    assert (window.failed, window.percentiles(50, 99)) == (0, [None, None])


def test_errors_are_named_without_session_and_address():
    assert pgbench.errors(STDERR) == [
        "ERROR: division by zero",
        "perhaps the backend died",
        "FATAL: too many",
    ]


def test_the_least_sessions_near_the_best_throughput_are_enough():
    found = verdict([level(1, 50), level(2, 96), level(4, 100), level(8, 99)])
    assert (found["enough"]["sessions"], found["best"]["sessions"]) == (2, 4)
    assert found["broken"] is None


@pytest.mark.parametrize("trouble", [{"refused": 1}, {"errors": 1}])
def test_the_first_level_with_trouble_is_where_it_breaks(trouble):
    found = verdict([level(1, 50), level(2, 90, **trouble), level(4, 90, refused=3)])
    assert found["broken"]["sessions"] == 2


def test_without_pgbench_a_hint_says_where_it_comes_from(monkeypatch):
    monkeypatch.setattr(pgbench, "_embedded", list)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerUnsuitable, match="pip install"):
        pgbench.find()

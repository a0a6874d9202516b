"""What people see of long work."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from recs.cli.output import Output
from recs.cli.steps import training_progress


def test_a_step_that_stops_early_is_over_when_the_next_one_begins() -> None:
    written = StringIO()
    with training_progress(Output(errors=Console(file=written, width=80))) as (_, on_progress):
        for epoch in range(1, 10):
            on_progress("learn (half-life 240 days)", epoch, 20)
        on_progress("learn (half-life 960 days)", 1, 20)
    first, second = written.getvalue().strip().splitlines()[-2:]
    assert "240" in first
    assert "9/9" in first
    assert "960" in second
    assert "1/20" in second

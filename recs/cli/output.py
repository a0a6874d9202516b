"""How commands print: tables and progress for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Failure:
    """An error in words; `hint` says what to do about it."""

    message: str
    hint: str | None = None


class _Bars(Progress):
    """Progress bars that print nothing, not even an empty line, until there is one."""

    def start(self) -> None:
        if self.tasks:
            super().start()

    def add_task(self, *arguments: Any, **options: Any) -> TaskID:
        task = super().add_task(*arguments, **options)
        self.start()
        return task

    def stop(self) -> None:
        if self.tasks:
            super().stop()


@dataclass(frozen=True)
class Output:
    """Print results to stdout and progress to stderr."""

    as_json: bool = False
    console: Console = field(default_factory=lambda: _console())
    errors: Console = field(default_factory=lambda: _console(stderr=True))

    def result(self, document: Mapping[str, Any] | Sequence[Any]) -> None:
        """Print the JSON document, where programs asked for it."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, default=str, indent=2) + "\n")

    def say(self, line: str = "") -> None:
        """Print a line for people, in which [bold] is markup: for our own words only."""
        if not self.as_json:
            self.console.print(line, soft_wrap=True, markup=True)

    def plain(self, text: str) -> None:
        """Print text as it is, SQL say."""
        if not self.as_json:
            self.console.print(text, soft_wrap=True, markup=False)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None
    ) -> None:
        """Print a table for people, its text as it is; numbers are set right."""
        if self.as_json:
            return
        rows = [list(row) for row in rows]
        above = None if title is None else Text(title, style="table.title")
        table = Table(title=above, title_justify="left", header_style="bold", box=None)
        for position, name in enumerate(columns):
            numeric = bool(rows) and all(isinstance(row[position], int | float) for row in rows)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        self.console.print(table)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show progress bars on stderr while the block runs, from the first that it adds."""
        with _Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.errors,
            disable=self.as_json,
        ) as progress:
            yield progress

    def warn(self, text: str) -> None:
        """Print to stderr what somebody should know though all went well."""
        if not self.as_json:
            self.errors.print("warning: " + text, style="yellow", markup=False, soft_wrap=True)

    def failure(self, failure: Failure) -> None:
        """Print an error to stderr, as JSON where that was asked for."""
        if self.as_json:
            document = {"error": failure.message, "hint": failure.hint}
            sys.stderr.write(json.dumps(document) + "\n")
            return
        self.errors.print("error: " + failure.message, style="red", markup=False, soft_wrap=True)
        if failure.hint:
            self.errors.print("hint: " + failure.hint, markup=False, soft_wrap=True)


def _console(*, stderr: bool = False) -> Console:
    # Ids and titles are whatever they are: [/x] and :cat: too.
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def _cell(value: Any) -> Text:
    return Text(f"{value:.4f}" if isinstance(value, float) else str(value))

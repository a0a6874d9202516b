"""What the trials say, as rows: for people, as Markdown and as JSON."""

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.quality import published, sets
from benchmarks.quality.campaign import Choice
from benchmarks.quality.methods import METHODS
from benchmarks.quality.tasks import KNOWN, K
from benchmarks.quality.trial import Params, Result

RECALL, NDCG, ERROR = f"recall@{K}", f"ndcg@{K}", f"recall@{K}_error"
NOTE = """\
Test figures, with settings that were chosen on validation data. "Seeds" counts the trainings behind
a figure: with 1 there is no spread, and small differences mean nothing. The standard error is that
of our recall over the users who were asked: what is a small part of it is no difference. Seconds
are wall time: they compare only if the machine ran nothing else.
"""
NEW_USERS = [f"new users, n={n}" for n in KNOWN]
SINGLE_TASKS = ("warm", "new items", "whole catalog")


@dataclass(frozen=True)
class Entry:
    """Test quality of one method on one task, with the settings that validation chose."""

    dataset: str
    split: str
    task: str
    method: str
    params: Params = field(default_factory=dict)
    mean: Mapping[str, float] = field(default_factory=dict)  # metric -> mean over the seeds
    spread: Mapping[str, float] = field(default_factory=dict)  # metric -> standard deviation
    seeds: int = 0
    seconds: float = 0.0  # of one training, mean
    peak_mb: float = 0.0  # of one training, largest
    details: tuple[Mapping[str, Any], ...] = ()  # the method's own figures, one a seed
    reason: str = ""  # why there is no figure
    code: str = ""  # digest of the code as measured; none where it was not noted yet
    validation: float | None = None  # of the settings that were chosen; None without a rival


Groups = dict[tuple[str, str], list[Entry]]  # by set and method


def summarise(choices: list[Choice], results: list[Result]) -> list[Entry]:
    """Return an entry for each choice and each task of its case, and for what has none."""
    entries = [
        _entry(choice, task, _of(choice, results))
        for choice in choices
        for task in _tasks(choice, results)
    ]
    return entries + _missing(entries, results)


def _of(choice: Choice, results: list[Result]) -> list[Result]:
    """Return the test results with the chosen settings, one a seed."""
    return [
        result
        for result in results
        if result.trial.phase == "test"
        and (result.trial.method, result.trial.dataset, result.trial.split)
        == (choice.method, choice.dataset, choice.split)
        and result.trial.params == choice.params
    ]


def _tasks(choice: Choice, results: list[Result]) -> list[str]:
    names = {task for result in _of(choice, results) for task in result.scores}
    return sorted((n for n in names if n.split(",")[0] == choice.case), key=_task_order)


def _task_order(task: str) -> int:
    return NEW_USERS.index(task) if task in NEW_USERS else -1


def _entry(choice: Choice, task: str, results: list[Result]) -> Entry:
    done = [result for result in results if result.done]
    values = [result.scores[task] for result in done]
    names = [name for name in values[0] if all(name in each for each in values)]
    return Entry(
        choice.dataset,
        choice.split,
        task,
        choice.method,
        choice.params,
        {name: statistics.mean(v[name] for v in values) for name in names},
        {name: statistics.pstdev([v[name] for v in values]) for name in names},
        len(done),
        statistics.mean(result.seconds for result in done),
        max(result.peak_mb for result in done),
        tuple(result.details for result in done if result.details),
        code=" ".join(sorted({result.code for result in done})),
        validation=None if math.isnan(choice.validation) else choice.validation,
    )


def _missing(entries: list[Entry], results: list[Result]) -> list[Entry]:
    """Return an entry with the reason for every method that gave nothing on a split."""
    present = {(entry.dataset, entry.split, entry.method) for entry in entries}
    reasons = {
        (r.trial.dataset, r.trial.split, r.trial.method): r.reason for r in results if not r.done
    }
    return [
        Entry(dataset, split, "warm", method, reason=why)
        for (dataset, split, method), why in reasons.items()
        if (dataset, split, method) not in present
    ]


def read(path: Path) -> list[Entry]:
    """Read the entries of an earlier run, none where there was none."""
    rows = json.loads(path.read_text()) if path.exists() else []
    return [Entry(**{**row, "details": tuple(row["details"])}) for row in rows]


def merged(earlier: Iterable[Entry], now: Iterable[Entry]) -> list[Entry]:
    """Join the entries of two runs in the order of sets and methods.

    What this run measured replaces all that an earlier one said of the method on that set; the
    rest of the earlier one stays, since a run may be of a few methods or sets.
    """
    measured, failed = _parted(now)
    before, failed_before = _parted(earlier)
    groups = {**failed_before, **failed, **before, **measured}
    names, methods = sets.ordered([dataset for dataset, _ in groups]), list(METHODS)
    places = [key for key in groups if key[1] in methods]
    places.sort(key=lambda key: (names.index(key[0]), methods.index(key[1])))
    return [entry for key in places for entry in groups[key]]


def _parted(entries: Iterable[Entry]) -> tuple[Groups, Groups]:
    """Part entries by set and method into those with figures and those without."""
    measured: Groups = defaultdict(list)
    failed: Groups = defaultdict(list)
    for entry in entries:
        (failed if entry.reason else measured)[entry.dataset, entry.method].append(entry)
    return measured, failed


Grid = tuple[str, list[str], list[list[str]]]  # title, header, rows


def grids(entries: list[Entry]) -> list[Grid]:
    """Return the tables: one a split for single tasks, one for new users, one for the cost."""
    tables: list[Grid] = []
    for (dataset, split), group in _grouped(entries).items():
        for task in SINGLE_TASKS:
            tables += _single(f"{dataset}, {split} split: {task}", task, group)
        tables += _by_known(f"{dataset}, {split} split: new users, {RECALL} by known items", group)
        tables += _cost(f"{dataset}, {split} split: one training", group)
    return tables


def _grouped(entries: Iterable[Entry]) -> dict[tuple[str, str], list[Entry]]:
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry.dataset, entry.split].append(entry)
    return groups


def _single(title: str, task: str, group: list[Entry]) -> list[Grid]:
    rows = [entry for entry in group if entry.task == task]
    if all(entry.reason for entry in rows):
        return []
    rows += _published(rows[0], task)
    rows.sort(key=lambda entry: -entry.mean.get(RECALL, -1.0))
    extra = ["recall old", "recall new", "new in lists"] if task == "whole catalog" else []
    header = ["method", RECALL, NDCG, f"hit rate@{K}", "coverage", *extra, "seeds", "settings"]
    title += f", {_users(group, task)}, standard error {_error(group, task)}"
    return [(title, header, [_single_row(entry, extra) for entry in rows])]


def _published(like: Entry, task: str) -> list[Entry]:
    """Return entries, marked as such, for figures that others measured on the same split."""
    figures = published.WARM.get(like.dataset, {}) if task == "warm" else {}
    return [
        Entry(like.dataset, like.split, task, f"{name} (published)", mean={RECALL: r, NDCG: n})
        for name, (r, n) in figures.items()
    ]


def _single_row(entry: Entry, extra: list[str]) -> list[str]:
    if entry.reason:
        return [entry.method, *["-"] * (4 + len(extra)), "0", entry.reason]
    names = [RECALL, NDCG, f"hit_rate@{K}", f"coverage@{K}"]
    names += [f"{RECALL}_old", f"{RECALL}_new", "share_new"] if extra else []
    return [
        entry.method,
        *[_figure(entry, name) for name in names],
        str(entry.seeds) if entry.seeds else "-",
        _remark(entry),
    ]


def _remark(entry: Entry) -> str:
    """Return the settings, and whether they were measured on this code."""
    if not entry.seeds:
        return "published, not measured here"
    remark = settings(entry.params)
    if not entry.code:
        return f"{remark} (measured before code was noted)"
    stale = entry.code != METHODS[entry.method].code
    return f"{remark}{' (measured on other code than this)' if stale else ''}"


def _by_known(title: str, group: list[Entry]) -> list[Grid]:
    """Return new users: a row a method, a column an n, and the mean over n."""
    methods = _methods(group, NEW_USERS)
    rows = []
    for method in methods:
        found = {entry.task: entry for entry in group if entry.method == method}
        figures = [found[task].mean[RECALL] for task in NEW_USERS]
        cells = [_figure(found[task], RECALL) for task in NEW_USERS]
        rows.append([method, *cells, f"{statistics.mean(figures):.4f}"])
    rows.sort(key=lambda row: row[-1], reverse=True)
    header = ["method", *[f"n={n}" for n in KNOWN], "mean"]
    errors = [_error(group, task) for task in NEW_USERS]
    rows.append(["standard error", *errors, "-"])
    return [(f"{title}, {_users(group, NEW_USERS[0])}", header, rows)] if methods else []


def _users(group: list[Entry], task: str) -> str:
    """Return how many users are asked."""
    return f"{_first(group, task, 'users'):.0f} users"


def _error(group: list[Entry], task: str) -> str:
    """Return the standard error of our recall over these users."""
    return f"±{_first(group, task, ERROR):.4f}"


def _first(group: list[Entry], task: str, name: str) -> float:
    """Return the first figure of that name: the first method is ours."""
    found = (entry.mean[name] for entry in group if entry.task == task and name in entry.mean)
    return next(found, math.nan)


def _cost(title: str, group: list[Entry]) -> list[Grid]:
    seen: dict[str, Entry] = {}
    for entry in group:
        if not entry.reason:
            seen.setdefault(entry.method, entry)
    rows = [[e.method, f"{e.seconds:.1f}", f"{e.peak_mb:.0f}"] for e in seen.values()]
    return [(title, ["method", "seconds", "peak MB"], rows)] if rows else []


def _methods(group: list[Entry], tasks: list[str]) -> list[str]:
    """Return the methods with a figure for every one of these tasks."""
    present = {(entry.method, entry.task) for entry in group if not entry.reason}
    names = dict.fromkeys(entry.method for entry in group)
    return [name for name in names if all((name, task) in present for task in tasks)]


def _figure(entry: Entry, name: str) -> str:
    """Return the mean and, over several seeds, the spread."""
    if name not in entry.mean:
        return "-"
    mean = f"{entry.mean[name]:.4f}"
    return f"{mean} ±{entry.spread[name]:.4f}" if entry.seeds > 1 else mean


def settings(params: Params) -> str:
    """Return the settings as name=value."""
    return " ".join(f"{name}={value}" for name, value in params.items())


def markdown(entries: list[Entry]) -> str:
    """Return the tables as Markdown."""
    parts = [NOTE]
    for title, header, rows in grids(entries):
        lines = [header, ["---"] * len(header), *rows]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        parts.append(f"## {title}\n\n{body}\n")
    return "\n".join(parts)


def show(entries: list[Entry], console: Console) -> None:
    """Print the tables."""
    for title, header, rows in grids(entries):
        table = Table(title=title, title_justify="left")
        for number, name in enumerate(header):
            numeric = number > 0 and name != "settings"
            table.add_column(name, justify="right" if numeric else "left", no_wrap=numeric)
        for row in rows:
            table.add_row(*row)
        console.print(table)

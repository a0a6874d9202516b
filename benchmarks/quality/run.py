"""Command line of the quality benchmark."""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.quality import sets, tables
from benchmarks.quality.campaign import Campaign
from benchmarks.quality.methods import METHODS
from benchmarks.quality.protocols import HOLDOUT_SEED
from benchmarks.quality.tasks import K
from recs.errors import BadInput

FOLDER = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> None:
    """Run what is missing, then print the tables and write them, their JSON and the plots."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        _run(options, _chosen(options.sets, sets.found(options.data)))
    except BadInput as fault:
        parser.error(str(fault))


def _run(options: argparse.Namespace, chosen: list[str]) -> None:
    from benchmarks.quality import plots

    console = Console(stderr=options.json, width=None if os.isatty(1) else 160)
    console.print(f"split seed {HOLDOUT_SEED}, {options.seeds} seeds, {options.threads} threads")
    campaign = Campaign(
        data=options.data,
        results=options.cache,
        sets=tuple(chosen),
        methods=tuple(options.methods),
        seeds=options.seeds,
        threads=options.threads,
        jobs=options.jobs,
        timeout=options.timeout,
        report=lambda line: console.print(line, markup=False, highlight=False),
        stored_only=options.stored_only,
    )
    with console.status("training"):
        choices, results = campaign.run()
    stored = options.results / "summary.json"
    summary = tables.merged(tables.read(stored), tables.summarise(choices, results))
    options.results.mkdir(parents=True, exist_ok=True)
    stored.write_text(json.dumps([asdict(entry) for entry in summary], indent=1) + "\n")
    (options.results / "tables.md").write_text(tables.markdown(summary))
    plots.draw(summary, options.results)
    if options.json:
        print(json.dumps([asdict(entry) for entry in summary]))
    else:
        tables.show(summary, console)
    console.print(f"metrics at {K}; written to {options.results}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    data = os.environ.get("DATA")
    parser.add_argument("--results", type=Path, default=FOLDER / "results" / "quality")
    parser.add_argument("--cache", type=Path, default=FOLDER / "cache" / "quality")
    parser.add_argument("--data", type=Path, default=data, required=data is None)
    parser.add_argument("--sets", type=_names, default=[], help="subfolders of --data; all of them")
    parser.add_argument("--methods", type=_methods, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="threads of one training")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one training")
    parser.add_argument("--stored-only", action="store_true", help="train nothing")
    parser.add_argument("--json", action="store_true", help="print JSON and no tables")
    return parser


def _names(text: str) -> list[str]:
    """Read names with commas between them."""
    return [name.strip() for name in text.split(",")]


def _methods(text: str) -> list[str]:
    names = _names(text)
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f"expected some of {list(METHODS)}, got {unknown}")
    return names


def _chosen(names: list[str], found: list[str]) -> list[str]:
    """Return the data sets to run: those named, or all that there are.

    Raises:
        BadInput: one that is named is not there.
    """
    unknown = [name for name in names if name not in found]
    if unknown:
        raise BadInput(f"no data set {unknown[0]!r}", hint=f"expected some of {', '.join(found)}")
    return names or found

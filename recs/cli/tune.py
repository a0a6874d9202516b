"""`recs tune`: whether other settings than the defaults suit this shop better."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recs.cli.parameters import SEED, device_option
from recs.cli.settings import Settings, pass_settings

if TYPE_CHECKING:
    from recs.tuning import TuningReport, TuningTrial


def _in_a_folder(_: click.Context, __: click.Parameter, path: Path) -> Path:
    if path.exists() or (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        return path
    raise click.BadParameter(f"{str(path.parent)!r} is no folder to write to")


@click.command()
@click.option("--trials", default=20, show_default=True, type=click.IntRange(1))
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    help="Begin no trial after so many seconds, but for the first.",
)
@click.option("--seed", default=0, show_default=True, type=SEED)
@device_option
@click.option(
    "--output",
    "path",
    default="tuned.json",
    show_default=True,
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_in_a_folder,
    help="Where the best settings go.",
)
@pass_settings
def tune(
    settings: Settings, trials: int, timeout: float | None, seed: int, device: str, path: Path
) -> None:
    """Search for better settings on held-out interactions; nothing in the database changes.

    Ctrl-C ends it, and the best settings found by then are written.
    """
    importlib.import_module("optuna")  # first: its extra is named along with training's
    from recs import tuning

    engine = settings.engine()
    with settings.output.progress() as progress:
        bar = progress.add_task("trials", total=trials)

        def on_trial(trial: TuningTrial, total: int) -> None:
            progress.update(bar, completed=trial.number + 1, total=total)

        report = tuning.tune(
            engine, trials=trials, timeout=timeout, seed=seed, device=device, on_trial=on_trial
        )
    path.write_text(json.dumps(dict(report.best.parameters), indent=2) + "\n")
    settings.output.result({**report.document(), "output": str(path)})
    _print(settings, report, path)
    if report.interrupted:
        settings.output.say(f"interrupted after {len(report.trials)} of {trials} trials")
        raise click.Abort


def _print(settings: Settings, report: TuningReport, path: Path) -> None:
    output, default, best = settings.output, report.trials[0], report.best
    names = list(default.parameters)
    output.table(
        ("trial", "recall@20", "ndcg@20", *names, "seconds"),
        [
            (
                "default" if trial is default else str(trial.number),
                trial.recall,
                trial.ndcg,
                *(f"{trial.parameters[name]:.4g}" for name in names),
                f"{trial.seconds:.0f}",
            )
            for trial in sorted(report.trials, key=lambda trial: -trial.value)
        ],
        title=f"{report.users} users, on interactions held out",
    )
    if report.importances:
        output.table(
            ("setting", "importance"),
            [(name, float(share)) for name, share in report.importances.items()],
            title="what the differences between trials are due to",
        )
    if best is default:
        output.say("no trial was better than the defaults")
        return
    gain = best.value / max(default.value, 1e-12) - 1
    output.plain(
        f"the best trial is {gain:.1%} above the defaults on the data it was chosen by; "
        f"a part of that is luck\nuse it: recs train --parameters {path}"
    )

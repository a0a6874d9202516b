"""`recs train`: a new model version from what is in the database."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from recs.cli.parameters import SEED, Moment, device_option, read_config
from recs.cli.settings import Settings, pass_settings

if TYPE_CHECKING:
    from recs.training.pipeline import TrainingReport


@click.command()
@click.option("--name", help="What to call the version. Default: the time.")
@click.option(
    "--parameters",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file of settings, such as `recs tune` writes.",
)
@click.option("--seed", default=0, show_default=True, type=SEED)
@device_option
@click.option(
    "--until",
    type=Moment(),
    metavar="TIME",
    help="Learn from interactions up to this time (UTC without a zone), so that `recs evaluate` "
    "can judge on the rest.",
)
@click.option("--no-activate", is_flag=True, help="Leave the version ready, do not let it serve.")
@click.option("--force", is_flag=True, help="Activate it whatever the gate says.")
@pass_settings
def train(
    settings: Settings,
    name: str | None,
    parameters: Path | None,
    seed: int,
    device: str,
    until: datetime | None,
    no_activate: bool,
    force: bool,
) -> None:
    """Train, publish, and activate if it beats popularity and the active model."""
    from recs.cli.steps import training_progress
    from recs.errors import ModelRefused
    from recs.training import pipeline

    with training_progress(settings.output) as (on_step, on_progress):
        report = pipeline.train_model(
            settings.engine(),
            name=name,
            config=read_config(parameters, seed=seed, device=device),
            until=until,
            force=force,
            activate=not no_activate,
            on_step=on_step,
            on_progress=on_progress,
        )
    output = settings.output
    output.result(report.document())
    figures = report.gate
    if "recall" in figures:
        output.table(
            ("held out", "recall@20", "ndcg@20"),
            [
                ("this model", figures["recall"], figures["ndcg"]),
                ("popularity", figures["popularity_recall"], figures["popularity_ndcg"]),
            ],
        )
    for note in [*figures["notes"], *_note_on_index(report)]:
        output.plain(note)
    if not report.activated and not no_activate:
        raise ModelRefused(
            f"model {report.model_id} is published but not active: "
            + "; ".join(figures["refusals"]),
            hint=f"activate it all the same: recs models activate {report.model_id}",
        )
    state = "active" if report.activated else "ready"
    output.say(f"model {report.model_id} is {state} ({sum(report.seconds.values()):.0f} s)")


def _note_on_index(report: TrainingReport) -> list[str]:
    from recs.training.search import ENOUGH_RECALL

    if report.ann_recall is None or report.ann_recall >= ENOUGH_RECALL:
        return []
    found = f"the index finds {report.ann_recall:.2f} of what is nearest"
    if report.exact_search:
        return [f"{found}, so all {report.items:,} items are compared for every list"]
    return [
        f"{found}, expected {ENOUGH_RECALL}; comparing all {report.items:,} items takes too long"
    ]

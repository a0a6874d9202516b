"""`recs models`: list the versions, flip between them, try one on some users, drop one."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from recs.cli.settings import Settings, pass_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from recs.training.versions import ModelVersion


@click.group()
def models() -> None:
    """List, activate, try, roll back and drop model versions."""


@models.command("list")
@pass_settings
def list_(settings: Settings) -> None:
    """List the versions, newest first, with their figures."""
    from recs.training import versions

    with settings.engine().connect() as connection:
        found = versions.list_versions(connection)
    settings.output.result([asdict(version) for version in found])
    settings.output.table(
        ("model_id", "name", "state", "dimension", "recall@20", "popularity", "trained until"),
        [
            (
                v.model_id, v.name, _state(v), v.dimension,
                _figure(v.metrics, "recall"), _figure(v.metrics, "popularity_recall"),
                f"{v.trained_until:%Y-%m-%d %H:%M}" if v.trained_until else "",
            )
            for v in found
        ],
    )  # fmt: skip


@models.command()
@click.argument("model_id", type=int)
@pass_settings
def activate(settings: Settings, model_id: int) -> None:
    """Make a version the one that serves, at once and for all."""
    from recs.training import versions

    engine = settings.engine()
    with engine.connect() as connection:
        version = versions.get_version(connection, model_id)
    _place_missing(settings, engine, version)
    with engine.begin() as connection:
        versions.activate(connection, model_id)
    _say_active(settings, model_id)


@models.command("roll-back")
@pass_settings
def roll_back(settings: Settings) -> None:
    """Go back to the version that served before."""
    from recs.training import versions

    engine = settings.engine()
    with engine.connect() as connection:
        found = {version.model_id: version for version in versions.list_versions(connection)}
    before = [version.previous_model_id for version in found.values() if version.state == "active"]
    if before and before[0] in found:
        _place_missing(settings, engine, found[before[0]])
    with engine.begin() as connection:
        model_id = versions.roll_back(connection)
    _say_active(settings, model_id)


@models.command("start-trial")
@click.argument("model_id", type=int)
@click.option(
    "--share",
    required=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Of the users, by their ids.",
)
@pass_settings
def start_trial(settings: Settings, model_id: int, share: float) -> None:
    """Let a version answer a share of the users, the active one the others."""
    from recs.training import versions

    engine = settings.engine()
    with engine.connect() as connection:
        version = versions.get_version(connection, model_id)
    _place_missing(settings, engine, version)
    with engine.begin() as connection:
        versions.start_trial(connection, model_id, share)
    settings.output.result({"on_trial": model_id, "share": share})
    settings.output.say(f"model {model_id} answers {share:.1%} of the users")


def _place_missing(settings: Settings, engine: Engine, version: ModelVersion) -> None:
    from recs.cli.steps import training_progress
    from recs.training.placement import place_missing

    # One that serves has placed all; one that has no vectors will be refused.
    if version.state not in ("ready", "retired"):
        return
    with training_progress(settings.output) as (_, on_progress):
        place_missing(engine, version.model_id, on_progress=on_progress)


@models.command("stop-trial")
@pass_settings
def stop_trial(settings: Settings) -> None:
    """Let the active version answer all users again."""
    from recs.training import versions

    with settings.engine().begin() as connection:
        stopped = versions.stop_trial(connection)
    settings.output.result({"stopped": stopped})
    settings.output.say(
        "no model was on trial" if stopped is None else f"model {stopped} is on trial no more"
    )


@models.command()
@click.argument("model_id", type=int)
@pass_settings
def drop(settings: Settings, model_id: int) -> None:
    """Drop a version that is not active, and its vectors."""
    from recs.training import versions

    with settings.engine().begin() as connection:
        versions.drop_version(connection, model_id)
    settings.output.result({"dropped": model_id})
    settings.output.say(f"model {model_id} is gone")


@models.command()
@click.option(
    "--keep", default=3, show_default=True, type=click.IntRange(0), help="How many of the newest."
)
@pass_settings
def prune(settings: Settings, keep: int) -> None:
    """Drop old versions, and their vectors: for cron, after a training.

    The newest that have vectors stay, the active one, the one that a roll back goes to, one on
    trial, and what is being trained; of trainings that failed, those since the oldest that is kept.
    Each goes in a transaction of its own.
    """
    from recs.training import versions

    engine = settings.engine()
    with engine.connect() as connection:
        found = versions.list_versions(connection)
    before = {one.previous_model_id for one in found if one.state == "active"}
    newest = [one.model_id for one in found if one.state in versions.PUBLISHED][:keep]
    oldest = min(newest, default=math.inf)
    old = [
        one.model_id
        for one in reversed(found)
        if one.model_id < oldest
        and one.state not in ("active", "training")
        and one.trial_share is None
        and one.model_id not in before
    ]
    for model_id in old:
        with engine.begin() as connection:
            versions.drop_version(connection, model_id)
        settings.output.say(f"model {model_id} is gone")
    settings.output.result({"dropped": old})
    if not old:
        settings.output.say(f"of {len(found)} models none is to go")


def _state(version: ModelVersion) -> str:
    trial = "" if version.trial_share is None else f", on trial: {version.trial_share:.1%}"
    return version.state + trial


def _say_active(settings: Settings, model_id: int) -> None:
    settings.output.result({"active": model_id})
    settings.output.say(f"model {model_id} is active")


def _figure(metrics: Any, name: str) -> str:
    value = metrics.get("gate", {}).get(name)
    return "" if value is None else f"{value:.4f}"

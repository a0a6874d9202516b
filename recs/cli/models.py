"""`recs models`: list the versions, flip between them, drop one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from recs.cli.settings import Settings, pass_settings


@click.group()
def models() -> None:
    """List, activate, roll back and drop model versions."""


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
                v.model_id, v.name, v.state, v.dimension,
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

    with settings.engine().begin() as connection:
        versions.get_version(connection, model_id)
        versions.activate(connection, model_id)
    _say_active(settings, model_id)


@models.command("roll-back")
@pass_settings
def roll_back(settings: Settings) -> None:
    """Go back to the version that served before."""
    from recs.training import versions

    with settings.engine().begin() as connection:
        model_id = versions.roll_back(connection)
    _say_active(settings, model_id)


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


def _say_active(settings: Settings, model_id: int) -> None:
    settings.output.result({"active": model_id})
    settings.output.say(f"model {model_id} is active")


def _figure(metrics: Any, name: str) -> str:
    value = metrics.get("gate", {}).get(name)
    return "" if value is None else f"{value:.4f}"

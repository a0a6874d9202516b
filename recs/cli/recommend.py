"""`recs recommend`, `recommend-for-items`, `similar` and `popular`: ask, from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click
from sqlalchemy import Engine, text

from recs.cli.parameters import K
from recs.cli.settings import Settings, pass_settings
from recs.errors import BadInput
from recs.repository import Recommendation, Recommender


def eligible(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which items may be answered."""
    for option in (
        click.option("--exclude", multiple=True, help="An item not to answer; may be repeated."),
        click.option("--candidate", "candidates", multiple=True,
                     help="An item that may be answered, and only such; may be repeated."),
        click.option("--filter", "filter_",
                     help="A JSON object that the items' attributes must contain."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@click.argument("user_ids", nargs=-1, required=True)
@click.option("--k", default=10, show_default=True, type=K, help="How many items.")
@click.option("--include-seen", is_flag=True, help="Also items the user has interacted with.")
@eligible
@pass_settings
def recommend(
    settings: Settings,
    user_ids: tuple[str, ...],
    k: int,
    include_seen: bool,
    filter_: str | None,
    candidates: tuple[str, ...],
    exclude: tuple[str, ...],
) -> None:
    """Print the k best items for each user."""
    engine = settings.engine()
    answers = Recommender(engine, tenant_id=settings.tenant_id).recommend_many(
        user_ids, k, include_seen=include_seen,
        filter=parse_filter(filter_), candidates=candidates or None, exclude=exclude,
    )  # fmt: skip
    settings.output.result({user: [asdict(row) for row in rows] for user, rows in answers.items()})
    for user, rows in answers.items():
        _print(settings, engine, f"for {user}", rows)


@click.command()
@click.argument("item_ids", nargs=-1, required=True)
@click.option("--k", default=10, show_default=True, type=K, help="How many items.")
@eligible
@pass_settings
def recommend_for_items(
    settings: Settings,
    item_ids: tuple[str, ...],
    k: int,
    filter_: str | None,
    candidates: tuple[str, ...],
    exclude: tuple[str, ...],
) -> None:
    """Print the k best items beside those of a basket."""
    engine = settings.engine()
    rows = Recommender(engine, tenant_id=settings.tenant_id).recommend_for_items(
        item_ids, k, filter=parse_filter(filter_), candidates=candidates or None, exclude=exclude
    )
    settings.output.result([asdict(row) for row in rows])
    _print(settings, engine, f"beside {', '.join(item_ids)}", rows)


@click.command()
@click.argument("item_id")
@click.option("--k", default=10, show_default=True, type=K, help="How many items.")
@eligible
@pass_settings
def similar(
    settings: Settings,
    item_id: str,
    k: int,
    filter_: str | None,
    candidates: tuple[str, ...],
    exclude: tuple[str, ...],
) -> None:
    """Print the k items most similar to one."""
    engine = settings.engine()
    rows = Recommender(engine, tenant_id=settings.tenant_id).similar_items(
        item_id, k, filter=parse_filter(filter_), candidates=candidates or None, exclude=exclude
    )
    settings.output.result([asdict(row) for row in rows])
    _print(settings, engine, f"like {item_id}", rows)


@click.command()
@click.option("--k", default=10, show_default=True, type=K, help="How many items.")
@click.option("--segment", default="", help="Of users of this segment. Default: of all users.")
@pass_settings
def popular(settings: Settings, k: int, segment: str) -> None:
    """Print the k most popular items, as of the last refresh of popularity."""
    engine = settings.engine()
    rows = Recommender(engine, tenant_id=settings.tenant_id).popular_items(k, segment=segment)
    settings.output.result([asdict(row) for row in rows])
    if not rows:
        whom = f"for segment {segment!r}, expected one of recs.users.segment" if segment else "yet"
        settings.output.warn(
            f"nothing is popular {whom}\n"
            "hint: load interactions, or after other writes: SELECT recs.refresh_popularity()"
        )
        return
    titles = _titles(engine, [row.item_id for row in rows])
    settings.output.table(
        ("rank", "item_id", "title", "popularity", "support"),
        [
            (rank, row.item_id, titles[row.item_id], row.popularity, row.support)
            for rank, row in enumerate(rows, 1)
        ],
        title=f"popular in {segment}" if segment else "popular",
    )


def parse_filter(given: str | None) -> dict[str, Any] | None:
    """Read a --filter.

    Raises:
        BadInput: it is not a JSON object.
    """
    if given is None:
        return None
    try:
        value = json.loads(given)
    except json.JSONDecodeError as error:
        raise BadInput(
            f"--filter is not JSON: {error}", hint="""for example: --filter '{"colour": "red"}'"""
        ) from error
    if not isinstance(value, dict):
        raise BadInput(
            f"--filter is a {type(value).__name__}, expected an object",
            hint="""for example: --filter '{"colour": "red"}'""",
        )
    return value


def _print(settings: Settings, engine: Engine, title: str, rows: list[Recommendation]) -> None:
    titles = _titles(engine, [row.item_id for row in rows])
    settings.output.table(
        ("rank", "item_id", "title", "score", "tier", "reason"),
        [
            (row.rank, row.item_id, titles[row.item_id], row.score, row.tier, row.reason)
            for row in rows
        ],
        title=title,
    )


def _titles(engine: Engine, item_ids: list[str]) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT item_id, title FROM recs.items"
                " WHERE tenant_id = recs.current_tenant() AND item_id = ANY(:ids)"
            ),
            {"ids": item_ids},
        )
        return {row.item_id: row.title for row in rows}

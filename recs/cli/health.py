"""`recs health`: does what serves keep its service level?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from recs.cli.parameters import SEED, K
from recs.cli.settings import Settings, pass_settings

if TYPE_CHECKING:
    from recs.health import Health, Latency

SHARE = click.FloatRange(0, 1)
ABOVE_ZERO = click.FloatRange(0, min_open=True)


@click.command()
@click.option("--k", default=10, show_default=True, type=K)
@click.option(
    "--users",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="How many to ask for; all items are compared for each.",
)
@click.option("--seed", default=0, show_default=True, type=SEED, help="Which users.")
@click.option(
    "--model", "model_id", metavar="ID", type=int, help="A version. Default: the active one."
)
@click.option("--min-ann-recall", type=SHARE, help="The least mean over users.")
@click.option("--min-ann-recall-p1", type=SHARE, help="The least first percentile.")
@click.option(
    "--max-p99", type=ABOVE_ZERO, help="The most milliseconds of a list, where it answers."
)
@click.option("--max-age", type=ABOVE_ZERO, help="The most days since the model was made.")
@pass_settings
def health(
    settings: Settings,
    k: int,
    users: int,
    seed: int,
    model_id: int | None,
    min_ann_recall: float | None,
    min_ann_recall_p1: float | None,
    max_p99: float | None,
    max_age: float | None,
) -> None:
    """Measure what serves; exit with 1 where it misses what is expected of it.

    How much of the nearest items the live index finds, how long lists take, how old the version
    is, and its room. Reads only, so it can ask a hot standby. Lists are of those users whom the
    version answers: all, those of its share where it is on trial, or nobody, and then not timed.
    """
    from recs.errors import ServiceLevelMissed
    from recs.health import ServiceLevel, measure
    from recs.training import versions

    expected = ServiceLevel(min_ann_recall, min_ann_recall_p1, max_p99, max_age)
    with settings.engine().connect() as connection:
        if model_id is not None:
            versions.get_published(connection, model_id)
        found = measure(connection, k=k, users=users, seed=seed, model_id=model_id)
    missed = expected.missed(found)
    settings.output.result(found.document() | {"missed": missed})
    settings.output.table(("", ""), _rows(found))
    if missed:
        raise ServiceLevelMissed(
            "; ".join(missed),
            hint="recs train learns what came since and builds the index anew; lists are slow where"
            " memory or cores are short",
        )


def _rows(found: Health) -> list[tuple[str, str]]:
    recall, times = found.ann_recall, found.milliseconds
    learned = "" if found.trained_until is None else f"until {found.trained_until:%Y-%m-%d %H:%M}, "
    rows = [
        ("model", f"{found.model_id}: {found.name}"),
        ("made", f"{found.created_at:%Y-%m-%d %H:%M}"),
        ("learned", f"{learned}{found.interactions_since:,} interactions since"),
        ("items", f"{found.items:,}, {found.new_items:,} of them by content alone"),
        ("search", "of all items" if found.exact_search else "by the index"),
        ("room", f"{found.bytes / 2**20:.1f} MiB, {found.index_bytes / 2**20:.1f} of it indexes"),
    ]
    if recall is not None:
        rows.append(
            (
                f"ann_recall@{found.k}",
                f"mean {recall.mean:.3f}, p1 {recall.p1:.3f}, min {recall.min:.3f}"
                f", of {found.users} users",
            )
        )
        rows.append(("a list", _time(times)))
    return rows


def _time(times: Latency | None) -> str:
    if times is None:
        return "not timed: it answers none of them"
    return f"p50 {times.p50:.1f} ms, p99 {times.p99:.1f} ms"

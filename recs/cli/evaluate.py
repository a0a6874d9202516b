"""`recs evaluate`: how good is what the database returns."""

from __future__ import annotations

from datetime import datetime

import click

from recs.cli.parameters import SEED, K, Moment
from recs.cli.settings import Settings, pass_settings


@click.command()
@click.option("--k", default=20, show_default=True, type=K)
@click.option(
    "--users",
    default=2000,
    show_default=True,
    type=click.IntRange(1),
    help="The size of the sample.",
)
@click.option("--seed", default=0, show_default=True, type=SEED, help="Which sample.")
@click.option(
    "--model",
    "model_id",
    metavar="ID",
    type=int,
    help="A version; it answers nobody by that. Default: the active one.",
)
@click.option(
    "--since",
    type=Moment(),
    metavar="TIME",
    help="Judge on what was done after this time (UTC without a zone). Default: when the version "
    "was trained.",
)
@pass_settings
def evaluate(
    settings: Settings, k: int, users: int, seed: int, model_id: int | None, since: datetime | None
) -> None:
    """Evaluate a version on what users did after it was trained.

    All of it is rolled back. Until then whoever makes popularity anew, deletes or renames items
    waits, a training that activates among them; and who activates or tries the version named.
    """
    from recs.training import evaluation

    found = evaluation.evaluate(
        settings.engine(),
        k=k,
        users=users,
        seed=seed,
        model_id=model_id,
        since=since,
    )
    settings.output.result(found.document())
    settings.output.table(
        ("", f"recall@{k}", f"ndcg@{k}", f"hit rate@{k}", "catalog coverage"),
        [
            (name, q.recall, q.ndcg, q.hit_rate, q.catalog_coverage)
            for name, q in (("recommend()", found.model), ("popularity", found.popularity))
        ],
        title=f"model {found.model_id}: {found.users} users, on what they did after"
        f" {found.since:%Y-%m-%d %H:%M}",
    )
    recall = found.ann_recall
    if recall is None:
        settings.output.say("the version has no users, so nothing is known of the index")
        return
    settings.output.say(
        f"ann_recall@10 of the index: mean {recall.mean:.3f}, "
        f"p1 {recall.p1:.3f}, min {recall.min:.3f}"
    )

"""`recs evaluate`: how good is what the database returns."""

from __future__ import annotations

import click

from recs.cli.parameters import SEED, K
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
@pass_settings
def evaluate(settings: Settings, k: int, users: int, seed: int) -> None:
    """Evaluate the active model on what users did after it was trained."""
    from recs.training import evaluation

    found = evaluation.evaluate(settings.engine(), k=k, users=users, seed=seed)
    settings.output.result(found.document())
    settings.output.table(
        ("", f"recall@{k}", f"ndcg@{k}", f"hit rate@{k}", "catalog coverage"),
        [
            (name, q.recall, q.ndcg, q.hit_rate, q.catalog_coverage)
            for name, q in (("recommend()", found.model), ("popularity", found.popularity))
        ],
        title=f"{found.users} users, on what they did after {found.since:%Y-%m-%d %H:%M}",
    )
    recall = found.ann_recall
    if recall is None:
        settings.output.say("the version has no users, so nothing is known of the index")
        return
    settings.output.say(
        f"ann_recall@10 of the index: mean {recall.mean:.3f}, "
        f"p1 {recall.p1:.3f}, min {recall.min:.3f}"
    )

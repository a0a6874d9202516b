"""`recs demo`: a shop from files to recommendations, in one command."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recs.cli.output import Output
from recs.cli.parameters import SEED
from recs.cli.settings import Settings, pass_settings
from recs.errors import ModelRefused

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from recs.demo.shop import Shop
    from recs.demo.stage import Stage
    from recs.demo.story import Story


class Clock:
    """Measure the steps and say which one runs."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.seconds: dict[str, float] = {}

    @property
    def total(self) -> float:
        """All steps together."""
        return sum(self.seconds.values())

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step under its name."""
        from rich.markup import escape

        start = time.perf_counter()
        self._output.say(f"[dim]{escape(name)} ...[/dim]")
        yield
        self.seconds[name] = time.perf_counter() - start


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder with a real shop's purchases.parquet. Default: a synthetic shop.",
)
@click.option("--k", type=click.IntRange(1, 100), default=5, help="How many items a list has.")
@click.option("--seed", type=SEED, default=0, help="Of the synthetic shop and of training.")
@pass_settings
def demo(settings: Settings, data: Path | None, k: int, seed: int) -> None:
    """Load a shop, train on it, show recommendations.

    They are for a regular customer, one with two purchases, a stranger, and a brand-new product.
    Without --dsn it plays in the database recs_demo of the embedded server, made anew each time.
    """
    from recs import database
    from recs.demo import stage, story

    clock = Clock(settings.output)
    shop = _make_shop(data, seed, clock, settings.output)
    with clock.step("start the server"):
        place = stage.set_stage(settings.dsn)
    engine = database.make_engine(place.dsn, tenant_id=settings.tenant_id)
    _migrate(engine, clock)
    _load(engine, shop, clock, settings.output)
    training = _train(engine, seed, clock, settings.output)
    with clock.step("ask"):
        told = story.play(engine, shop.new_product, k=k)
    _print(told, training, clock, place, settings.output)


def _make_shop(data: Path | None, seed: int, clock: Clock, output: Output) -> Shop:
    if data is not None:
        from recs.demo import retail

        with clock.step(f"read the shop in {data}"):
            return retail.read_shop(data)
    from recs.demo.shop import ShopConfig, make_shop

    output.say("no --data given: this is a synthetic shop, made up with planted tastes")
    with clock.step("make up the shop"):
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return make_shop(ShopConfig(until=today), seed=seed)


def _migrate(engine: Engine, clock: Clock) -> None:
    from recs import migration

    with clock.step("migrate"):
        migration.migrate(engine)


def _load(engine: Engine, shop: Shop, clock: Clock, output: Output) -> None:
    """Load the shop from Parquet files, as its owner would with `recs load`."""
    from recs import database, loading

    with tempfile.TemporaryDirectory(prefix="recs-demo-") as folder:
        shop.write(Path(folder))
        with clock.step("load items and users"):
            loading.load_items(
                engine, Path(folder) / "items.parquet", attributes=shop.attribute_columns
            )
            loading.load_users(engine, Path(folder) / "users.parquet")
        with clock.step("load interactions"), output.progress() as progress:
            task = progress.add_task("interactions", total=shop.interactions.num_rows)
            loading.load_interactions(
                engine,
                Path(folder) / "interactions.parquet",
                on_progress=lambda rows, _: progress.update(task, completed=rows),
            )
        # As `recs load` does: in a new cluster autovacuum comes after the training.
        database.analyze(engine, "items", "users", "interactions", "item_popularity")


def _train(engine: Engine, seed: int, clock: Clock, output: Output) -> Mapping[str, Any]:
    """Train a model, publish its vectors, judge it against popularity, activate it.

    Raises:
        ModelRefused: it does not beat popularity.
    """
    from recs.cli.steps import training_progress
    from recs.learning import TrainingConfig
    from recs.training import pipeline

    with training_progress(output) as (on_step, on_progress):
        report = pipeline.train_model(
            engine, config=TrainingConfig(seed=seed), on_step=on_step, on_progress=on_progress
        )
    clock.seconds.update({f"train: {step}": spent for step, spent in report.seconds.items()})
    if not report.activated:
        raise ModelRefused(
            f"model {report.model_id} is not active: {'; '.join(report.gate['refusals'])}",
            hint="load a shop with more interactions",
        )
    return report.document()


def _print(
    told: Story, training: Mapping[str, Any], clock: Clock, place: Stage, output: Output
) -> None:
    """Print all there is to say, the steps' times and how to go on."""
    from recs.demo import story

    output.result(
        {
            "dsn": place.dsn if place.embedded else None,  # a DSN given may hold a password
            "embedded": place.embedded,
            "seconds": clock.seconds,
            "training": training,
            **told.document(),
        }
    )
    _print_quality(training["gate"], output)
    story.tell(told, output)
    output.say()
    steps = [*clock.seconds.items(), ("in all", clock.total)]
    output.table(("step", "seconds"), [(step, f"{seconds:7.1f}") for step, seconds in steps])
    _print_next(told, place, output)


def _print_quality(gate: Mapping[str, Any], output: Output) -> None:
    output.say(f"\n[bold]Does it learn? {gate['users']} customers' last purchases, held out[/bold]")
    output.table(
        ("", "recall@20", "ndcg@20"),
        [
            ("the model", gate["recall"], gate["ndcg"]),
            ("popularity", gate["popularity_recall"], gate["popularity_ndcg"]),
        ],
    )


def _print_next(told: Story, place: Stage, output: Output) -> None:
    from recs.demo import stage, story

    output.say("\n[bold]Go on in SQL[/bold]")
    for statement in story.statements_to_try(told):
        output.plain(f"\n{statement}")
    if place.embedded:
        output.say("\n[bold]psql, from the embedded server[/bold]")
        output.plain(f"{_program()} server psql -d {stage.DATABASE}")
        output.say("\n[bold]The DSN, for your own client and for every other command[/bold]")
        output.plain(f"export DATABASE_URL='{place.dsn}'")
    output.plain(f"{_program()} recommend {told.event.user_id}")


def _program() -> str:
    """Return how the shell finds the command: `recs`, or its path inside a virtual environment."""
    if shutil.which("recs"):
        return "recs"
    path = Path(sys.executable).with_name("recs")
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

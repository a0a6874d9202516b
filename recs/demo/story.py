"""The story that the demo tells: four visitors, two events, and what the database answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString, Protocol

from psycopg import sql
from sqlalchemy import Connection, Engine, TextClause, text

from recs.demo.customers import Customer, Purchase, find_customer, last_sale
from recs.demo.shop import NewProduct

STRANGER = "nobody-knows-me"

_RECOMMEND = text("""\
SELECT r.rank, r.item_id, i.title, r.score, r.tier, r.reason
FROM recs.recommend(:id, :k) r
JOIN recs.items i ON i.tenant_id = recs.current_tenant() AND i.item_id = r.item_id
ORDER BY r.rank""")

_SIMILAR = text("""\
SELECT r.rank, r.item_id, i.title, r.score, r.tier, r.reason
FROM recs.similar_items(:id, :k) r
JOIN recs.items i ON i.tenant_id = recs.current_tenant() AND i.item_id = r.item_id
ORDER BY r.rank""")

_INSERT_PRODUCT = text(
    "INSERT INTO recs.items (item_id, title, description, attributes)"
    " VALUES (:item_id, :title, :description, CAST(:attributes AS jsonb))"
)

_RECORD = text(
    "SELECT recs.record_interaction(:user_id, :item_id, 'purchase',"
    " p_occurred_at => CAST(:occurred_at AS timestamptz))"
)


class Printer(Protocol):
    """Where the story is printed; `recs.cli.output.Output` is one."""

    def say(self, line: str = "") -> None:
        """Print a line, in which [bold] is markup."""

    def plain(self, text: str) -> None:
        """Print text as it is."""

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None
    ) -> None:
        """Print a table."""


@dataclass(frozen=True)
class Answer:
    """A row that the database answered, with the item's title beside it."""

    rank: int
    item_id: str
    title: str
    score: float
    tier: str
    reason: str


Answers = tuple[Answer, ...]


@dataclass(frozen=True)
class CustomerScene:
    """A customer, and what is recommended."""

    customer: Customer
    answers: Answers


@dataclass(frozen=True)
class StrangerScene:
    """An id that nobody knows, and what is recommended."""

    user_id: str
    answers: Answers


@dataclass(frozen=True)
class ProductScene:
    """A product that came this moment, and what is like it."""

    product: NewProduct
    answers: Answers


@dataclass(frozen=True)
class EventScene:
    """A purchase, and what is recommended before and after it, all in one transaction."""

    user_id: str
    item_id: str
    title: str
    occurred_at: datetime
    answers_before: Answers
    answers: Answers


@dataclass(frozen=True)
class Story:
    """All that is told."""

    regular_customer: CustomerScene
    two_purchases: CustomerScene
    stranger: StrangerScene
    new_product: ProductScene
    event: EventScene
    strangers_event: EventScene

    def document(self) -> Mapping[str, Any]:
        """Return the story for programs."""
        return asdict(self)


def play(engine: Engine, product: NewProduct, *, k: int = 5) -> Story:
    """Ask the database, where a shop is loaded and a model serves, for all that is told.

    The new product and two purchases are committed, so that they can be asked for later.

    Raises:
        BadInput: the shop has no customer with two purchases, or no regular one.
    """
    with engine.begin() as connection:
        regular = find_customer(connection, at_least=20, at_most=60)
        beginner = find_customer(connection, at_least=2, at_most=2)
        customers = [
            CustomerScene(customer, _ask(connection, _RECOMMEND, customer.user_id, k))
            for customer in (regular, beginner)
        ]
        stranger = StrangerScene(STRANGER, _ask(connection, _RECOMMEND, STRANGER, k))
    return Story(
        regular_customer=customers[0],
        two_purchases=customers[1],
        stranger=stranger,
        new_product=_insert(engine, product, k),
        event=_buy(engine, beginner.user_id, regular.last_purchases[0], k),
        strangers_event=_buy(engine, STRANGER, regular.last_purchases[0], k),
    )


def _ask(connection: Connection, query: TextClause, key: str, k: int) -> Answers:
    return tuple(Answer(*row) for row in connection.execute(query, {"id": key, "k": k}))


def _insert(engine: Engine, product: NewProduct, k: int) -> ProductScene:
    row = {**asdict(product), "attributes": json.dumps(product.attributes)}
    with engine.begin() as connection:
        connection.execute(_INSERT_PRODUCT, row)
        return ProductScene(product, _ask(connection, _SIMILAR, product.item_id, k))


def _buy(engine: Engine, user_id: str, thing: Purchase, k: int) -> EventScene:
    """Let somebody buy what another has bought, an hour after the shop's last sale."""
    with engine.begin() as connection:
        before = _ask(connection, _RECOMMEND, user_id, k)
        at = last_sale(connection) + timedelta(hours=1)
        keys = {"user_id": user_id, "item_id": thing.item_id}
        connection.execute(_RECORD, {**keys, "occurred_at": at})
        after = _ask(connection, _RECOMMEND, user_id, k)
    return EventScene(user_id, thing.item_id, thing.title, at, before, after)


def tell(story: Story, printer: Printer) -> None:
    """Print the story for people."""
    _tell_customer("A regular customer", story.regular_customer, printer)
    _tell_customer("A customer with two purchases", story.two_purchases, printer)
    _tell_stranger(story.stranger, printer)
    _tell_product(story.new_product, printer)
    _tell_event("One event", story.event, printer)
    _tell_event("A stranger's first event", story.strangers_event, printer)


def _tell_customer(who: str, scene: CustomerScene, printer: Printer) -> None:
    customer = scene.customer
    place = f" from {customer.segment}" if customer.segment else ""
    _heading(f"{who}: {customer.user_id}{place}, {customer.bought} different items", printer)
    printer.plain("bought last:")
    printer.table(
        ("on", "item_id", "title"),
        [(f"{p.occurred_at:%Y-%m-%d}", p.item_id, p.title) for p in customer.last_purchases],
    )
    _query(_recommend(customer.user_id, scene.answers), printer)
    _tell_answers(scene.answers, printer)


def _tell_stranger(scene: StrangerScene, printer: Printer) -> None:
    _heading(f"A stranger: nothing is known of {scene.user_id}", printer)
    _query(_recommend(scene.user_id, scene.answers), printer)
    _tell_answers(scene.answers, printer)


def _tell_product(scene: ProductScene, printer: Printer) -> None:
    product = scene.product
    _heading(f"A brand-new product: {product.title}", printer)
    _query("BEGIN;", printer)
    _query(
        _statement("INSERT INTO recs.items (item_id, title, ...) VALUES ({}, {}, ...);",
                   product.item_id, product.title),
        printer,
    )  # fmt: skip
    _query(
        _statement("SELECT * FROM recs.similar_items({}, {});",
                   product.item_id, len(scene.answers)),
        printer,
    )  # fmt: skip
    _tell_answers(scene.answers, printer)
    _query("COMMIT;", printer)


def _tell_event(what: str, scene: EventScene, printer: Printer) -> None:
    _heading(f"{what}: {scene.user_id} buys {scene.title}", printer)
    _query("BEGIN;", printer)
    _query(
        _statement("SELECT recs.record_interaction({}, {}, 'purchase', p_occurred_at => {});",
                   scene.user_id, scene.item_id, f"{scene.occurred_at:%Y-%m-%d %H:%M%z}"),
        printer,
    )  # fmt: skip
    _query(_recommend(scene.user_id, scene.answers), printer)
    was = {answer.item_id: f"rank {answer.rank}" for answer in scene.answers_before}
    printer.table(
        ("rank", "before", "item_id", "title", "score", "tier", "reason"),
        [
            (a.rank, was.get(a.item_id, "-"), a.item_id, a.title, a.score, a.tier, a.reason)
            for a in scene.answers
        ],
    )
    printer.plain("The list followed the event before its commit, and nothing was trained.")
    _query("COMMIT;", printer)


def _tell_answers(answers: Answers, printer: Printer) -> None:
    printer.table(
        ("rank", "item_id", "title", "score", "tier", "reason"),
        [(a.rank, a.item_id, a.title, a.score, a.tier, a.reason) for a in answers],
    )


def _heading(line: str, printer: Printer) -> None:
    from rich.markup import escape

    printer.say()
    printer.say(f"[bold]{escape(line)}[/bold]")


def _query(statement: str, printer: Printer) -> None:
    printer.plain(f"  {statement}")


def _recommend(user_id: str, answers: Answers) -> str:
    return _statement("SELECT * FROM recs.recommend({}, {});", user_id, len(answers))


def _statement(template: LiteralString, *arguments: str | int) -> str:
    """Return a statement to read or to paste, its values quoted."""
    return sql.SQL(template).format(*map(sql.Literal, arguments)).as_string()


def statements_to_try(story: Story) -> tuple[str, ...]:
    """Return SQL statements that work on the database as the story left it."""
    return (
        _statement(
            "SELECT r.rank, i.title, r.score, r.tier, r.reason\nFROM recs.recommend({}, {}) r\n"
            "JOIN recs.items i USING (item_id) ORDER BY r.rank;",
            story.event.user_id,
            10,
        ),
        _statement(
            "SELECT * FROM recs.recommend({}, 5, p_candidates => ARRAY(\n"
            "  SELECT item_id FROM recs.items WHERE (attributes ->> 'price')::numeric < 5));",
            story.event.user_id,
        ),
        _statement("SELECT * FROM recs.similar_items({}, {});", story.event.item_id, 5),
        _statement(
            "SELECT * FROM recs.recommend_for_items(ARRAY[{}, {}], 5);",
            story.event.item_id,
            story.event.answers[0].item_id,
        ),
        "SELECT item_id, title, popularity, support FROM recs.popular_items\n"
        "WHERE segment = '' ORDER BY popularity DESC LIMIT 5;",
    )

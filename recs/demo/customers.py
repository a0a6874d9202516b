"""Customers of the demo: who is shown, and what they bought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from recs.errors import BadInput


@dataclass(frozen=True)
class Purchase:
    """A thing bought, at its last time."""

    item_id: str
    title: str
    occurred_at: datetime


@dataclass(frozen=True)
class Customer:
    """A customer and the last things bought, newest first; `bought` counts distinct items."""

    user_id: str
    segment: str | None
    bought: int
    last_purchases: tuple[Purchase, ...]


_FIND = text("""\
SELECT i.user_id, u.segment, count(DISTINCT i.item_id) AS bought
FROM recs.interactions i
LEFT JOIN recs.users u ON u.tenant_id = i.tenant_id AND u.user_id = i.user_id
WHERE i.tenant_id = recs.current_tenant()
GROUP BY i.user_id, u.segment
HAVING count(DISTINCT i.item_id) BETWEEN :at_least AND :at_most
ORDER BY max(i.occurred_at) DESC, i.user_id LIMIT 1""")

_LAST_PURCHASES = text("""\
SELECT i.item_id, t.title, max(i.occurred_at) AS occurred_at
FROM recs.interactions i JOIN recs.items t ON t.tenant_id = i.tenant_id AND t.item_id = i.item_id
WHERE i.tenant_id = recs.current_tenant() AND i.user_id = :user_id
GROUP BY i.item_id, t.title ORDER BY max(i.occurred_at) DESC, i.item_id LIMIT :n""")

_LAST_SALE = text(
    "SELECT max(occurred_at) FROM recs.interactions WHERE tenant_id = recs.current_tenant()"
)


def find_customer(
    connection: Connection, *, at_least: int, at_most: int, show: int = 8
) -> Customer:
    """Return the customer with so many distinct items who bought last.

    Raises:
        BadInput: no customer has bought so much.
    """
    parameters = {"at_least": at_least, "at_most": at_most}
    row = connection.execute(_FIND, parameters).one_or_none()
    if row is None:
        raise BadInput(
            f"no customer has bought {at_least} to {at_most} different items",
            hint="load a shop with more interactions",
        )
    purchases = connection.execute(_LAST_PURCHASES, {"user_id": row.user_id, "n": show})
    last = tuple(Purchase(*purchase) for purchase in purchases)
    return Customer(row.user_id, row.segment, row.bought, last)


def last_sale(connection: Connection) -> datetime:
    """Return the time of the shop's last sale, for the demo's events to come after it."""
    at: datetime = connection.execute(_LAST_SALE).scalar_one()
    return at

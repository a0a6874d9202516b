"""A shop: its items, users and interactions, made up here with planted tastes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recs.demo.vocabulary import BRANDS, COLOURS, COUNTRIES, THEMES, Theme
from recs.errors import BadInput

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DAYS = 364
WEEKS = DAYS // 7
MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True)
class NewProduct:
    """A product that comes into the catalog while the demo runs."""

    item_id: str
    title: str
    description: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """What was planted: the group of each item and user, and how much one likes the other.

    item_group [I] and user_group [U] follow the rows of the shop's tables;
    affinity [user groups, item groups], rows sum to 1.
    """

    item_group: Integers
    user_group: Integers
    affinity: Floats


@dataclass(frozen=True)
class Shop:
    """Tables as a shop would export them.

    items: item_id, title, description, and an attribute a column; users: user_id, segment;
    interactions: user_id, item_id, interaction_type, weight, occurred_at, in the order of time.
    """

    items: pa.Table
    users: pa.Table
    interactions: pa.Table
    new_product: NewProduct
    truth: Truth | None = None

    @property
    def attribute_columns(self) -> tuple[str, ...]:
        """Columns of items that are attributes."""
        known = {"item_id", "title", "description"}
        return tuple(name for name in self.items.column_names if name not in known)

    def write(self, folder: Path) -> None:
        """Write items.parquet, users.parquet and interactions.parquet."""
        for name in ("items", "users", "interactions"):
            pq.write_table(getattr(self, name), folder / f"{name}.parquet")


@dataclass(frozen=True)
class ShopConfig:
    """How large the synthetic shop is, and how much its customers' tastes say.

    predictability: the share of purchases that follow a customer's taste; the others follow what
    everybody buys. 0: nothing but popularity can be learned.
    until: when the year of sales ends.
    """

    n_items: int = 2_000
    n_users: int = 3_000
    n_interactions: int = 120_000
    n_user_groups: int = 48
    predictability: float = 0.8
    cold_items: float = 0.04
    cold_users: float = 0.08
    until: datetime = field(default=datetime(2026, 1, 1, tzinfo=UTC))

    def __post_init__(self) -> None:
        if not 0 <= self.predictability <= 1:  # refuses NaN too
            raise BadInput(f"predictability must be within 0..1, got {self.predictability}")
        if self.n_items < 4 * len(THEMES):
            raise BadInput(f"n_items must be at least {4 * len(THEMES)}, got {self.n_items}")


NEW_PRODUCT = NewProduct(
    item_id="sku-new",
    title="Sage green stoneware tea pot",
    description="Afternoon tea for two, the way grandmother served it. Hand-painted.",
    attributes={
        "category": "kitchen",
        "colour": "sage green",
        "price": 14.5,
        "brand": "Wren House",
    },
)


def make_shop(config: ShopConfig | None = None, *, seed: int = 0) -> Shop:
    """Make up a shop; the same seed and configuration make the same one.

    Items fall into groups (the themes of the vocabulary) and users into groups that like some of
    them. A purchase is drawn from the week's demand, which is popularity times season and trend:
    with probability `predictability` within an item group that the user likes, else from the
    whole catalog.
    """
    config = config or ShopConfig()
    rng = np.random.default_rng(seed)
    item_group = np.sort(rng.permutation(np.arange(config.n_items) % len(THEMES)))
    country, user_group, affinity = _people(config, rng)
    demand = _weekly_demand(item_group, config, rng)
    user, day = _visits(config, rng)
    taste = _personal(affinity, user_group, rng)
    item = _purchases(user, day, taste, item_group, demand, config.predictability, rng)
    item_ids = _ids("sku", config.n_items, rng)
    user_ids = _ids("user", config.n_users, rng)
    return Shop(
        items=_items(item_ids, item_group, rng),
        users=pa.table({"user_id": user_ids, "segment": np.array(COUNTRIES)[country]}),
        interactions=_interactions(user_ids[user], item_ids[item], day, config.until),
        new_product=NEW_PRODUCT,
        truth=Truth(item_group, user_group, affinity),
    )


def _people(config: ShopConfig, rng: np.random.Generator) -> tuple[Integers, Integers, Floats]:
    """Return country [U], user_group [U], affinity [user groups, item groups].

    Countries differ in which user groups live there, so that a segment tells something.
    """
    share = np.array([0.5, *[0.5 / (len(COUNTRIES) - 1)] * (len(COUNTRIES) - 1)])
    country = rng.choice(len(COUNTRIES), size=config.n_users, p=share)
    groups_of = rng.dirichlet(np.full(config.n_user_groups, 0.6), size=len(COUNTRIES))
    user_group = _draw(np.cumsum(groups_of[country], axis=1), rng)
    return country, user_group, _affinity(config.n_user_groups, rng)


def _affinity(n_user_groups: int, rng: np.random.Generator) -> Floats:
    """Let each user group like one item group much, one more and one a little."""
    affinity = np.full((n_user_groups, len(THEMES)), 0.05 / len(THEMES))
    for row in affinity:
        row[rng.choice(len(THEMES), size=3, replace=False)] += (0.55, 0.25, 0.15)
    normalised: Floats = affinity / affinity.sum(axis=1, keepdims=True)
    return normalised


def _weekly_demand(item_group: Integers, config: ShopConfig, rng: np.random.Generator) -> Floats:
    """Return demand [weeks, I]: a skewed popularity, times season, times a rise or a fall."""
    n_items = config.n_items
    popularity = (10.0 + rng.permutation(n_items)) ** -0.9
    trend = np.where(rng.random(n_items) < 0.3, rng.uniform(-2, 2, n_items), 0)
    weeks = np.arange(WEEKS)[:, None]
    demand = popularity * _season(config.until)[:, item_group] * np.exp(trend * weeks / WEEKS)
    demand *= weeks >= _launch_week(n_items, rng)
    demand[:, _cold(n_items, config.cold_items, rng)] = 0
    share: Floats = demand / demand.sum(axis=1, keepdims=True)
    return share


def _season(until: datetime) -> Floats:
    """Return how well each theme sells in each week [weeks, item groups]; 1 at its peak."""
    last = until.timetuple().tm_yday
    day_of_year = (last - DAYS + 7 * np.arange(WEEKS) + 3) % 365
    peak = np.array([30.4 * (theme.peak - 0.5) for theme in THEMES])
    depth = np.array([theme.seasonality for theme in THEMES])
    wave = (1 + np.cos(2 * np.pi * (day_of_year[:, None] - peak) / 365)) / 2
    season: Floats = 1 - depth * (1 - wave**3)
    return season


def _launch_week(n_items: int, rng: np.random.Generator) -> Integers:
    """A fifth of the catalog came during the year, the rest was always there."""
    came = rng.integers(1, WEEKS, size=n_items)
    return np.where(rng.random(n_items) < 0.2, came, 0)


def _cold(n: int, share: float, rng: np.random.Generator) -> Integers:
    return rng.permutation(n)[: round(n * share)]


def _visits(config: ShopConfig, rng: np.random.Generator) -> tuple[Integers, Floats]:
    """Return who bought [N] and on which day, a fraction for the hour [N], in the order of time.

    Purchases come in visits, and visits since the day on which the user found the shop.
    """
    count = _purchases_of_users(config, rng)
    n_visits = 1 + count // 4
    visitor = np.repeat(np.arange(config.n_users), n_visits)
    found = (DAYS - 14) * rng.beta(0.5, 1.2, size=config.n_users)[visitor]
    day = np.floor(found + (DAYS - found) * rng.random(len(visitor)))
    day += rng.uniform(8 / 24, 22 / 24, size=len(visitor))
    user = np.repeat(np.arange(config.n_users), count)
    visit = (np.cumsum(n_visits) - n_visits)[user] + rng.integers(0, n_visits[user])
    order = np.argsort(day[visit], kind="stable")
    return user[order], day[visit][order]


def _purchases_of_users(config: ShopConfig, rng: np.random.Generator) -> Integers:
    """Return how often each user buys [U]: 0, 1 or 2 times if cold, at least 3 times if not."""
    cold = _cold(config.n_users, config.cold_users, rng)
    count = np.full(config.n_users, 3)
    count[cold] = np.arange(len(cold)) % 3
    eagerness = rng.lognormal(0, 0.9, size=config.n_users)
    eagerness[cold] = 0
    left = max(config.n_interactions - int(count.sum()), 0)
    return np.asarray(count + rng.multinomial(left, eagerness / eagerness.sum()))


def _purchases(
    user: Integers,
    day: Floats,
    taste: Floats,
    item_group: Integers,
    demand: Floats,
    predictability: float,
    rng: np.random.Generator,
) -> Integers:
    """Draw the item of each purchase [N]: by taste [U, item groups], or by demand alone."""
    week = np.minimum(day.astype(np.int64) // 7, WEEKS - 1)
    starts = np.searchsorted(item_group, np.arange(len(THEMES) + 1))
    demand_of_group = np.add.reduceat(demand, starts[:-1], axis=1)
    liked = _draw(np.cumsum(taste[user] * demand_of_group[week], axis=1), rng)
    by_taste = rng.random(len(user)) < predictability
    first = np.where(by_taste, starts[liked], 0)
    last = np.where(by_taste, starts[liked + 1], demand.shape[1])
    return _draw_between(first, last, week, demand, rng)


def _draw(cumulative: Floats, rng: np.random.Generator) -> Integers:
    """Draw a column for each row of cumulative weights [N, C]."""
    at = cumulative[:, -1:] * rng.random((len(cumulative), 1))
    return np.asarray((cumulative <= at).sum(axis=1))


def _draw_between(
    first: Integers, last: Integers, week: Integers, demand: Floats, rng: np.random.Generator
) -> Integers:
    """Draw an item of first..last-1 by its week's demand, for each purchase [N].

    The weeks' cumulative demands lie end to end, so that one sorted search serves all.
    """
    n_weeks, n_items = demand.shape
    edges = np.zeros((n_weeks, n_items + 1))
    np.cumsum(demand, axis=1, out=edges[:, 1:])
    low, high = edges[week, first], edges[week, last]
    at = low + (high - low) * rng.random(len(week))
    ends = (edges[:, 1:] + 2 * np.arange(n_weeks)[:, None]).ravel()
    item = np.searchsorted(ends, at + 2 * week, side="right") - week * n_items
    return np.asarray(np.clip(item, first, last - 1))


def _personal(affinity: Floats, user_group: Integers, rng: np.random.Generator) -> Floats:
    """Return the taste of each user [U, item groups], scattered around its group's."""
    taste = rng.gamma(8 * affinity[user_group] + 1e-3)
    return np.asarray(taste / taste.sum(axis=1, keepdims=True))


def _ids(prefix: str, n: int, rng: np.random.Generator) -> npt.NDArray[np.str_]:
    """Return ids in no telling order."""
    return np.array([f"{prefix}-{number}" for number in 1001 + rng.permutation(n)])


def _interactions(
    user_ids: npt.NDArray[np.str_], item_ids: npt.NDArray[np.str_], day: Floats, until: datetime
) -> pa.Table:
    start = int(until.timestamp() * 1_000_000) - DAYS * MICROSECONDS_A_DAY
    occurred_at = start + (day * MICROSECONDS_A_DAY).astype(np.int64)
    return pa.table(
        {
            "user_id": user_ids,
            "item_id": item_ids,
            "interaction_type": pa.array(["purchase"] * len(day)).dictionary_encode(),
            "weight": np.ones(len(day), np.float32),
            "occurred_at": pa.array(occurred_at, pa.timestamp("us", tz="UTC")),
        }
    )


def _items(
    item_ids: npt.NDArray[np.str_], item_group: Integers, rng: np.random.Generator
) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "title": [], "description": [], "category": [], "colour": [], "price": [], "brand": [],
    }  # fmt: skip
    for theme, n_items in zip(THEMES, np.bincount(item_group, minlength=len(THEMES)), strict=True):
        for row in _theme_items(theme, int(n_items), rng):
            for name, value in zip(columns, row, strict=True):
                columns[name].append(value)
    return pa.table({"item_id": item_ids, **columns})


def _theme_items(
    theme: Theme, n_items: int, rng: np.random.Generator
) -> list[tuple[str, str, str, str, float, str]]:
    """Write a theme's items: title, description, category, colour, price, brand."""
    things = theme.things + theme.packs
    shape = (len(COLOURS), len(theme.makes), len(things))
    chosen = rng.permutation(int(np.prod(shape)))[:n_items]
    colours, makes, kinds = np.unravel_index(chosen, shape)
    brands = rng.choice(BRANDS, size=4, replace=False)
    items = []
    for colour, make, kind in zip(colours, makes, kinds, strict=True):
        words = f"{COLOURS[colour]} {theme.makes[make]} {things[kind]}"
        many = (2, 4, 6)[rng.integers(3)] if kind >= len(theme.things) else 1
        title = words.capitalize() + (f", set of {many}" if many > 1 else "")
        brand = str(rng.choice(brands))
        said = " ".join(rng.choice(theme.sentences, size=2, replace=False))
        price = round(theme.price * float(rng.lognormal(0, 0.35)) * 2) / 2
        description = f"{said} By {brand}."
        items.append((title, description, theme.category, COLOURS[colour], price, brand))
    return items

"""What a data set is, and the readers of published ones, each from its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

PARTS = ("train", "valid", "test")
LIKED = 4.0  # a film rating from here on is an interaction


@dataclass(frozen=True)
class Interactions:
    """Events in time order: dense ids of users [N] and items [N], days [N] from the epoch."""

    users: IntArray
    items: IntArray
    days: FloatArray

    def __len__(self) -> int:
        return len(self.users)

    def where(self, mask: NDArray[np.bool_]) -> Interactions:
        """Keep the events that the mask marks, in order."""
        return Interactions(self.users[mask], self.items[mask], self.days[mask])


@dataclass(frozen=True)
class ItemContent:
    """What a shop knows of an item before anybody bought it."""

    title: str = ""
    attributes: dict[str, str | float | list[str]] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True)
class Tag:
    """A word that a user gave to an item; a reader of the past must not see later ones."""

    user: int
    item: int
    day: float
    text: str


@dataclass(frozen=True)
class Dataset:
    """Events, catalog and the ids under which both are known outside."""

    name: str
    interactions: Interactions
    user_keys: tuple[str, ...]
    item_keys: tuple[str, ...]
    contents: tuple[ItemContent, ...] = ()
    tags: tuple[Tag, ...] = ()
    has_time: bool = True
    parts: dict[str, Interactions] = field(default_factory=dict)  # a published split, by its name

    @property
    def n_users(self) -> int:
        """Number of users, those of every part of a split together."""
        return len(self.user_keys)

    @property
    def n_items(self) -> int:
        """Number of items, sold or not yet."""
        return len(self.item_keys)


def read_online_retail(folder: Path) -> Dataset:
    """Read the purchase lines of a gift shop: one event a line, repeats kept."""
    import pandas as pd

    lines = pd.read_parquet(folder / "purchases.parquet")
    lines = lines.sort_values("ts", kind="stable")
    users, user_keys = _dense(lines["customer_id"].astype(str))
    items, item_keys = _dense(lines["stock_code"].astype(str))
    first = lines.assign(item=items).groupby("item").first()
    contents = tuple(
        ItemContent(title=str(title).strip(), attributes={"price": float(price)})
        for title, price in zip(first["description"], first["price"], strict=True)
    )
    events = Interactions(users, items, _days(lines["ts"]))
    return Dataset("online-retail", events, user_keys, item_keys, contents)


def read_ml_latest_small(folder: Path) -> Dataset:
    """Read the film ratings from 4 stars up as events; titles, genres and tags are the content."""
    import pandas as pd

    ratings = pd.read_csv(folder / "ratings.csv").sort_values("timestamp", kind="stable")
    liked = ratings[ratings["rating"] >= LIKED]
    users, user_keys = _dense(liked["userId"].astype(str))
    items, item_keys = _dense(liked["movieId"].astype(str))
    movies = pd.read_csv(folder / "movies.csv", dtype={"movieId": str}).set_index("movieId")
    tags = pd.read_csv(folder / "tags.csv", dtype={"userId": str, "movieId": str})
    return Dataset(
        "ml-latest-small",
        Interactions(users, items, liked["timestamp"].to_numpy(np.float64) / 86_400),
        user_keys,
        item_keys,
        tuple(_film(movies.loc[key, "title"], movies.loc[key, "genres"]) for key in item_keys),
        tuple(_tags(tags, user_keys, item_keys)),
    )


def read_split(folder: Path) -> Dataset:
    """Read a published split, {train,valid,test}.txt; it has neither time nor content.

    valid.txt may be missing.
    """
    files = {part: folder / f"{part}.txt" for part in PARTS}
    parts = {part: _adjacency(path) for part, path in files.items() if path.is_file()}
    users = np.concatenate([part.users for part in parts.values()])
    items = np.concatenate([part.items for part in parts.values()])
    return Dataset(
        folder.name,
        Interactions(users, items, np.zeros(len(users))),
        tuple(str(user) for user in range(users.max() + 1)),
        tuple(str(item) for item in range(items.max() + 1)),
        has_time=False,
        parts=parts,
    )


def _dense(keys: pd.Series) -> tuple[IntArray, tuple[str, ...]]:
    """Number the keys in sorted order."""
    codes, uniques = keys.factorize(sort=True)
    return codes.astype(np.int64), tuple(str(key) for key in uniques)


def _days(moments: pd.Series) -> FloatArray:
    seconds = moments.to_numpy("datetime64[s]").astype(np.int64)
    return np.asarray(seconds / 86_400, np.float64)


def _film(title: str, genres: str) -> ItemContent:
    """Split 'Heat (1995)' into its name and year, and the genres at their bars."""
    name, _, year = title.strip().rpartition(" (")
    known_year = name and year.rstrip(")").isdigit()
    attributes: dict[str, str | float | list[str]] = {"genre": genres.split("|")}
    if known_year:
        attributes["year"] = float(year.rstrip(")"))
    return ItemContent(title=name if known_year else title.strip(), attributes=attributes)


def _tags(tags: pd.DataFrame, user_keys: tuple[str, ...], item_keys: tuple[str, ...]) -> list[Tag]:
    """Keep the tags that known users gave to known items."""
    users = {key: user for user, key in enumerate(user_keys)}
    items = {key: item for item, key in enumerate(item_keys)}
    return [
        Tag(users[row.userId], items[row.movieId], row.timestamp / 86_400, str(row.tag).lower())
        for row in tags.itertuples()
        if row.userId in users and row.movieId in items
    ]


def _adjacency(path: Path) -> Interactions:
    """Read lines of `user item item ...`, all numbers."""
    users, items = [], []
    with path.open() as lines:
        for line in lines:
            user, *bought = line.split()
            users.append(np.full(len(bought), int(user), np.int64))
            items.append(np.array(bought, np.int64))
    merged = np.concatenate(items)
    return Interactions(np.concatenate(users), merged, np.zeros(len(merged)))

"""The questions that a method is asked: what it may train on, and what must be in its lists.

A split is one training set and the tasks that are judged with it. The validation split is made
from the training part of the test split by the same rules, so no choice ever sees test data.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from benchmarks.quality.datasets import (
    Dataset,
    FloatArray,
    IntArray,
    Interactions,
    ItemContent,
)

K = 20
KNOWN = (0, 1, 2, 3, 5, 10, 20)  # items of a new user that a method is told
GIVEN = 20  # items of a new user that are never asked for, at any n
NEW_USER_ITEMS = 25  # a new user needs so many, so that at least five are left to ask for
HOLDOUT = 0.1
FIFTH = 0.2
ENOUGH_USERS = 30  # less say nothing of a case
HOLDOUT_SEED = 20_240_229
ONLINE_RETAIL_TEST_DAY = float(np.datetime64("2011-09-01", "D").astype(int))

Case = Literal["warm", "new users", "new items", "whole catalog"]
Phase = Literal["validation", "test"]


@dataclass(frozen=True)
class Request:
    """Lists that a method has to make."""

    users: IntArray  # [U]
    known: Interactions  # events of these users that the training did not see
    excluded: csr_array  # [U, n_items], items that must not be in the list
    candidates: IntArray  # items that may be in the list


@dataclass(frozen=True)
class Task:
    """A request, and the items that belong in its lists."""

    case: Case
    n_known: int | None  # told items of a new user, else None
    request: Request
    relevant: list[IntArray]  # U arrays

    @property
    def name(self) -> str:
        """Case, and n for new users."""
        return self.case if self.n_known is None else f"{self.case}, n={self.n_known}"


@dataclass(frozen=True)
class Split:
    """A training set and its tasks."""

    dataset: Dataset
    name: str
    phase: Phase
    train: Interactions
    tasks: tuple[Task, ...]
    contents: tuple[ItemContent, ...]  # of every item, as known when the training ends
    seed: int | None = None  # of the split, None where nothing is drawn

    @property
    def trained_until(self) -> float:
        """Day of the last event in training."""
        return float(self.train.days.max())

    @property
    def warm_items(self) -> IntArray:
        """Items with an event in training."""
        return np.unique(self.train.items)


Make = Callable[[Dataset, Phase], Split]


def splits(dataset: Dataset, phase: Phase) -> list[Split]:
    """Make every split of a data set for one phase."""
    return [make(dataset, phase) for make in _NAMED.get(dataset.name) or _suited(dataset)]


def _suited(dataset: Dataset) -> tuple[Make, ...]:
    """Return the protocols for a data set by what it has.

    A published split is taken as it is. Dated data are cut in time, undated ones at random. Where
    that leaves a case without enough users, a tenth of users and items is held out besides.
    """
    if dataset.parts:
        return (_published,)
    main = _last_fifth if dataset.has_time else _random_fifth
    tasks = main(dataset, "test").tasks
    asked = {task.case for task in tasks if len(task.request.users) >= ENOUGH_USERS}
    return (main,) if asked >= {"new users", "new items"} else (main, _tenth)


def _online_retail(dataset: Dataset, phase: Phase) -> Split:
    cut = ONLINE_RETAIL_TEST_DAY
    if phase == "test":
        return _temporal(dataset, phase, dataset.interactions, cut, everything=True)
    past, future = _cut(dataset.interactions, cut)
    length = future.days.max() - cut
    return _temporal(dataset, phase, past, cut - length, everything=True)


def _last_fifth(dataset: Dataset, phase: Phase, *, everything: bool = True) -> Split:
    events = dataset.interactions
    cut = _quantile_day(events, 0.8)
    if phase == "test":
        return _temporal(dataset, phase, events, cut, everything=everything)
    past, _ = _cut(events, cut)
    return _temporal(dataset, phase, past, _quantile_day(past, 0.8), everything=everything)


def _films_temporal(dataset: Dataset, phase: Phase) -> Split:
    return _last_fifth(dataset, phase, everything=False)


def _tenth(dataset: Dataset, phase: Phase) -> Split:
    test = _holdout(dataset, "test", dataset.interactions, HOLDOUT_SEED)
    if phase == "test":
        return test
    return _holdout(dataset, phase, test.train, HOLDOUT_SEED + 1)


def _random_fifth(dataset: Dataset, phase: Phase) -> Split:
    test = _random(dataset, "test", dataset.interactions, HOLDOUT_SEED)
    if phase == "test":
        return test
    return _random(dataset, phase, test.train, HOLDOUT_SEED + 1)


def _published(dataset: Dataset, phase: Phase) -> Split:
    parts = dataset.parts
    if phase == "validation" and "valid" not in parts:
        drawn = _random(dataset, phase, parts["train"], HOLDOUT_SEED + 1)
        return replace(drawn, name="published")
    if phase == "validation":
        train, test = parts["train"], parts["valid"]
    else:
        known = [part for name, part in parts.items() if name != "test"]
        train, test = _join(known), parts["test"]
    return Split(dataset, "published", phase, train, (_warm(dataset, train, test),), ())


_NAMED: dict[str, tuple[Make, ...]] = {
    "online-retail": (_online_retail,),
    "ml-latest-small": (_films_temporal, _tenth),
}


def _temporal(
    dataset: Dataset, phase: Phase, events: Interactions, cut: float, *, everything: bool
) -> Split:
    """Train on what happened before the cut and ask for what came after."""
    train, test = _cut(events, cut)
    tasks = [_warm(dataset, train, test), _whole_catalog(dataset, train, test)]
    if everything:
        tasks += [*_new_users(dataset, train, test), _new_items(dataset, train, test)]
    return Split(
        dataset,
        "temporal",
        phase,
        train,
        _asked(tasks),
        _contents(dataset, train, train.days.max()),
    )


def _holdout(dataset: Dataset, phase: Phase, events: Interactions, seed: int) -> Split:
    """Hide a tenth of the users and a tenth of the items, and train on what touches neither."""
    random = np.random.default_rng(seed)
    new_users = _draw(random, events.users)
    new_items = _draw(random, events.items)
    hidden_user = np.isin(events.users, new_users)
    hidden_item = np.isin(events.items, new_items)
    train = events.where(~hidden_user & ~hidden_item)
    test = events.where(hidden_user | hidden_item)
    tasks = [
        *_new_users(dataset, train, test),
        _new_items(dataset, train, test),
    ]
    contents = _contents(dataset, train, np.inf)
    return Split(dataset, "holdout", phase, train, _asked(tasks), contents, seed)


def _random(dataset: Dataset, phase: Phase, events: Interactions, seed: int) -> Split:
    """Hide a random fifth of the items of every user, and train on the rest."""
    firsts = _first_events(events)
    order = np.random.default_rng(seed).permutation(len(firsts))
    rank = np.empty(len(firsts), np.int64)
    rank[order] = _ranks(firsts.users[order])
    size = np.bincount(firsts.users)[firsts.users]
    hidden = firsts.where(rank < np.floor(FIFTH * size))
    width = dataset.n_items
    asked = np.isin(events.users * width + events.items, hidden.users * width + hidden.items)
    train, test = events.where(~asked), events.where(asked)
    contents = _contents(dataset, train, np.inf)
    return Split(dataset, "random", phase, train, (_warm(dataset, train, test),), contents, seed)


def _asked(tasks: list[Task]) -> tuple[Task, ...]:
    """Keep the tasks that ask for somebody's list."""
    return tuple(task for task in tasks if len(task.request.users))


def _warm(dataset: Dataset, train: Interactions, test: Interactions) -> Task:
    """Ask for items that are new to a user of the training and not new to the shop."""
    asked = test.where(np.isin(test.users, train.users) & np.isin(test.items, train.items))
    return _task(dataset, "warm", train, asked, np.unique(train.items))


def _new_items(dataset: Dataset, train: Interactions, test: Interactions) -> Task:
    """Rank the items that nobody had bought among themselves."""
    asked = test.where(np.isin(test.users, train.users) & ~np.isin(test.items, train.items))
    return _task(dataset, "new items", train, asked, np.setdiff1d(test.items, train.items))


def _whole_catalog(dataset: Dataset, train: Interactions, test: Interactions) -> Task:
    """Rank new and old items in one list."""
    asked = test.where(np.isin(test.users, train.users))
    catalog = np.union1d(train.items, test.items)
    return _task(dataset, "whole catalog", train, asked, catalog)


def _task(
    dataset: Dataset, case: Case, train: Interactions, asked: Interactions, candidates: IntArray
) -> Task:
    """Judge the users of the training by the asked items that they had not had."""
    seen = pairs(train, dataset)
    wanted = pairs(asked, dataset)
    wanted = wanted - wanted.multiply(seen)
    wanted.eliminate_zeros()
    users = np.flatnonzero(np.diff(wanted.indptr))
    nothing = train.where(np.zeros(len(train), np.bool_))
    request = Request(users, nothing, seen[users], candidates)
    return Task(case, None, request, _rows(wanted[users]))


def _new_users(dataset: Dataset, train: Interactions, test: Interactions) -> list[Task]:
    """Tell the first n items of users who came after the training, ask from the 21st on."""
    warm_items = np.unique(train.items)
    asked = test.where(~np.isin(test.users, train.users) & np.isin(test.items, warm_items))
    firsts = _first_events(asked)
    rank = _ranks(firsts.users)
    users, counts = np.unique(firsts.users, return_counts=True)
    users = users[counts >= NEW_USER_ITEMS]
    among = np.isin(firsts.users, users)
    later = firsts.where(among & (rank >= GIVEN))
    given = firsts.where(among & (rank < GIVEN))
    relevant = _rows(pairs(later, dataset)[users])
    excluded = pairs(given, dataset)[users]
    return [
        Task(
            "new users",
            n,
            Request(users, firsts.where(among & (rank < n)), excluded, warm_items),
            relevant,
        )
        for n in KNOWN
    ]


def _first_events(events: Interactions) -> Interactions:
    """Keep the first event of every user with every item, in time order."""
    keys = events.users * (int(events.items.max(initial=0)) + 1) + events.items
    _, positions = np.unique(keys, return_index=True)
    kept = np.zeros(len(events), np.bool_)
    kept[positions] = True
    return events.where(kept)


def _ranks(users: IntArray) -> IntArray:
    """Number the events of every user from 0, in order."""
    order = np.argsort(users, kind="stable")
    starts = np.searchsorted(users[order], users[order])
    ranks = np.empty_like(users)
    ranks[order] = np.arange(len(users)) - starts
    return ranks


def _cut(events: Interactions, day: float) -> tuple[Interactions, Interactions]:
    return events.where(events.days < day), events.where(events.days >= day)


def _quantile_day(events: Interactions, share: float) -> float:
    """Return the day of the first event after the given share of all."""
    days: FloatArray = np.sort(events.days)
    return float(days[int(share * len(days))])


def _draw(random: np.random.Generator, ids: IntArray) -> IntArray:
    known = np.unique(ids)
    return random.choice(known, size=round(HOLDOUT * len(known)), replace=False)


def _join(parts: list[Interactions]) -> Interactions:
    return Interactions(
        np.concatenate([part.users for part in parts]),
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.days for part in parts]),
    )


def pairs(events: Interactions, dataset: Dataset) -> csr_array:
    """Return who touched what as ones, [n_users, n_items]."""
    shape = (dataset.n_users, dataset.n_items)
    ones = np.ones(len(events), np.float32)
    matrix = csr_array((ones, (events.users, events.items)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def _rows(matrix: csr_array) -> list[IntArray]:
    rows = np.split(matrix.indices, matrix.indptr[1:-1])
    return [row.astype(np.int64) for row in rows[: matrix.shape[0]]]  # without rows, split has one


def _contents(dataset: Dataset, train: Interactions, until: float) -> tuple[ItemContent, ...]:
    """Add to the contents the tags of training users up to that day."""
    known: NDArray[np.bool_] = np.zeros(dataset.n_users, np.bool_)
    known[train.users] = True
    words: dict[int, list[str]] = {}
    for tag in dataset.tags:
        if known[tag.user] and tag.day <= until:
            words.setdefault(tag.item, []).append(tag.text)
    return tuple(
        replace(content, attributes={**content.attributes, "tag": sorted(set(words[item]))})
        if item in words
        else content
        for item, content in enumerate(dataset.contents)
    )

"""How a data set is split: what a method may train on, and which tasks it is asked after it.

A split is one training set and the tasks that are judged with it. The validation split is made
from the training part of the test split by the same rules, so no choice ever sees test data.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.datasets import (
    Dataset,
    FloatArray,
    IntArray,
    Interactions,
    ItemContent,
)
from benchmarks.quality.tasks import (
    Task,
    first_events,
    new_items,
    new_users,
    ranks,
    warm,
    whole_catalog,
)

HOLDOUT = 0.1
FIFTH = 0.2
ENOUGH_USERS = 30  # less say nothing of a case
HOLDOUT_SEED = 20_240_229
ONLINE_RETAIL_TEST_DAY = float(np.datetime64("2011-09-01", "D").astype(int))

Phase = Literal["validation", "test"]


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
    return Split(dataset, "published", phase, train, (warm(dataset, train, test),), ())


_NAMED: dict[str, tuple[Make, ...]] = {
    "online-retail": (_online_retail,),
    "ml-latest-small": (_films_temporal, _tenth),
}


def _temporal(
    dataset: Dataset, phase: Phase, events: Interactions, cut: float, *, everything: bool
) -> Split:
    """Train on what happened before the cut and ask for what came after."""
    train, test = _cut(events, cut)
    tasks = [warm(dataset, train, test), whole_catalog(dataset, train, test)]
    if everything:
        tasks += [*new_users(dataset, train, test), new_items(dataset, train, test)]
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
    hidden_user = np.isin(events.users, _draw(random, events.users))
    hidden_item = np.isin(events.items, _draw(random, events.items))
    train = events.where(~hidden_user & ~hidden_item)
    test = events.where(hidden_user | hidden_item)
    tasks = [
        *new_users(dataset, train, test),
        new_items(dataset, train, test),
    ]
    contents = _contents(dataset, train, np.inf)
    return Split(dataset, "holdout", phase, train, _asked(tasks), contents, seed)


def _random(dataset: Dataset, phase: Phase, events: Interactions, seed: int) -> Split:
    """Hide a random fifth of the items of every user, and train on the rest."""
    firsts = first_events(events)
    order = np.random.default_rng(seed).permutation(len(firsts))
    rank = np.empty(len(firsts), np.int64)
    rank[order] = ranks(firsts.users[order])
    size = np.bincount(firsts.users)[firsts.users]
    hidden = firsts.where(rank < np.floor(FIFTH * size))
    width = dataset.n_items
    asked = np.isin(events.users * width + events.items, hidden.users * width + hidden.items)
    train, test = events.where(~asked), events.where(asked)
    contents = _contents(dataset, train, np.inf)
    return Split(dataset, "random", phase, train, (warm(dataset, train, test),), contents, seed)


def _asked(tasks: list[Task]) -> tuple[Task, ...]:
    """Keep the tasks that ask for somebody's list."""
    return tuple(task for task in tasks if len(task.request.users))


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

"""What a method is asked for, and what belongs in its lists."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from benchmarks.quality.datasets import Dataset, IntArray, Interactions

K = 20
KNOWN = (0, 1, 2, 3, 5, 10, 20)  # items of a new user that a method is told
GIVEN = 20  # items of a new user that are never asked for, at any n
NEW_USER_ITEMS = 25  # a new user needs so many, so that at least five are left to ask for

Case = Literal["warm", "new users", "new items", "whole catalog"]


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


def warm(dataset: Dataset, train: Interactions, test: Interactions) -> Task:
    """Ask for items that are new to a user of the training and not new to the shop."""
    asked = test.where(np.isin(test.users, train.users) & np.isin(test.items, train.items))
    return _task(dataset, "warm", train, asked, np.unique(train.items))


def new_items(dataset: Dataset, train: Interactions, test: Interactions) -> Task:
    """Rank the items that nobody had bought among themselves."""
    asked = test.where(np.isin(test.users, train.users) & ~np.isin(test.items, train.items))
    return _task(dataset, "new items", train, asked, np.setdiff1d(test.items, train.items))


def whole_catalog(dataset: Dataset, train: Interactions, test: Interactions) -> Task:
    """Rank new and old items in one list."""
    asked = test.where(np.isin(test.users, train.users))
    catalog = np.union1d(train.items, test.items)
    return _task(dataset, "whole catalog", train, asked, catalog)


def new_users(dataset: Dataset, train: Interactions, test: Interactions) -> list[Task]:
    """Tell the first n items of users who came after the training, ask from the 21st on."""
    warm_items = np.unique(train.items)
    asked = test.where(~np.isin(test.users, train.users) & np.isin(test.items, warm_items))
    firsts = first_events(asked)
    rank = ranks(firsts.users)
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


def pairs(events: Interactions, dataset: Dataset) -> csr_array:
    """Return who touched what as ones, [n_users, n_items]."""
    shape = (dataset.n_users, dataset.n_items)
    ones = np.ones(len(events), np.float32)
    matrix = csr_array((ones, (events.users, events.items)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def first_events(events: Interactions) -> Interactions:
    """Keep the first event of every user with every item, in time order."""
    keys = events.users * (int(events.items.max(initial=0)) + 1) + events.items
    _, positions = np.unique(keys, return_index=True)
    kept = np.zeros(len(events), np.bool_)
    kept[positions] = True
    return events.where(kept)


def ranks(users: IntArray) -> IntArray:
    """Number the events of every user from 0, in order."""
    order = np.argsort(users, kind="stable")
    starts = np.searchsorted(users[order], users[order])
    ranks = np.empty_like(users)
    ranks[order] = np.arange(len(users)) - starts
    return ranks


def _rows(matrix: csr_array) -> list[IntArray]:
    rows = np.split(matrix.indices, matrix.indptr[1:-1])
    return [row.astype(np.int64) for row in rows[: matrix.shape[0]]]  # without rows, split has one

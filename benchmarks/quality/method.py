"""What the harness asks of a method, and what the in-memory peers share."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from benchmarks.quality.datasets import Dataset, FloatArray, IntArray, Interactions
from benchmarks.quality.protocols import Split
from benchmarks.quality.tasks import Case, Request
from recs.metrics import PADDING

Params = Mapping[str, Any]
Scores = NDArray[np.float32]

BATCH = 512  # users scored at once
TIE_BREAK = 1e-6  # weight of popularity against scores that are scaled to a maximum of 1
WARM: frozenset[Case] = frozenset({"warm", "new users"})
COLD_ITEMS: frozenset[Case] = frozenset({"new items", "whole catalog"})


class Skipped(Exception):
    """A method cannot run here; the message says why."""


class Recommender(Protocol):
    """A trained method. Its `details`, if any, are kept beside its scores."""

    def recommend(self, request: Request, *, k: int) -> IntArray:
        """Return [U, k] items, best first, padded with PADDING; candidates only, none excluded."""
        ...

    def close(self) -> None:
        """Give back what the training holds, such as a server."""
        ...


Fit = Callable[[Split, Params, int], Recommender]


@dataclass(frozen=True)
class Method:
    """A way to recommend, the cases that it can answer and the trials that it may spend."""

    name: str
    fit: Fit  # (split, params, seed) -> Recommender
    grid: Callable[[Dataset], list[Params]]  # settings to choose from on validation data
    cases: frozenset[Case]
    needs_time: bool = False
    needs_content: bool = False
    random: bool = False  # worth more than one seed
    revision: int = 1
    code: str = ""  # digest of what decides the answers: a result of other code is run again

    def trials(self, dataset: Dataset) -> list[Params]:
        """Return the settings to try on a data set, none when it lacks what the method needs."""
        if (self.needs_time and not dataset.has_time) or (
            self.needs_content and not dataset.contents
        ):
            return []
        return self.grid(dataset)


@dataclass(frozen=True)
class Scoring:
    """A recommender that ranks by scores computed in memory from a user's history."""

    split: Split
    score: Callable[[IntArray, csr_array], Scores]  # (users [B], history [B, I]) -> [B, I]
    half_life: float | None = None  # of the history's weights

    def recommend(self, request: Request, *, k: int) -> IntArray:
        """Rank the candidates in batches of users."""
        history = self._history(request)
        barred = np.ones(self.split.dataset.n_items, np.bool_)
        barred[request.candidates] = False
        lists = []
        for start in range(0, len(request.users), BATCH):
            rows = slice(start, start + BATCH)
            scores = self.score(request.users[rows], history[rows])
            scores = with_ties_broken(scores, self._popularity)
            scores[:, barred] = -np.inf
            scores[request.excluded[rows].nonzero()] = -np.inf
            lists.append(top_k(scores, k))
        return np.concatenate(lists)

    def close(self) -> None:
        """Hold nothing but memory."""

    def _history(self, request: Request) -> csr_array:
        """Weights of the training events and of those that came after, [U, I]."""
        past = self._weights[request.users]
        told = weighted(request.known, self.split, half_life=self.half_life)[request.users]
        return csr_array(past.maximum(told))

    @cached_property
    def _weights(self) -> csr_array:
        return weights(self.split, half_life=self.half_life)

    @cached_property
    def _popularity(self) -> Scores:
        return item_popularity(self.split, half_life=self.half_life)


def top_k(scores: Scores, k: int) -> IntArray:
    """Return the k best columns of every row, best first; -inf is left out."""
    k = min(k, scores.shape[1])
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best = np.take_along_axis(best, order, axis=1)
    values = np.take_along_axis(values, order, axis=1)
    return np.where(np.isneginf(values), PADDING, best)


def with_ties_broken(scores: Scores, popularity: Scores) -> Scores:
    """Let popularity order what the scores leave equal, such as everything for a stranger."""
    scale = np.abs(scores).max(axis=1, keepdims=True)
    scale[scale == 0] = 1
    return np.asarray(scores / scale + TIE_BREAK * popularity[None, :], np.float32)


def weights(split: Split, *, half_life: float | None = None) -> csr_array:
    """Return the training events as a matrix, [n_users, n_items], see `weighted`."""
    return weighted(split.train, split, half_life=half_life)


def weighted(events: Interactions, split: Split, *, half_life: float | None = None) -> csr_array:
    """Return 0.5^(age / half-life) of the last event of each pair, 1 without a half-life.

    The age counts back from the end of training; what came later weighs 1.
    """
    dataset = split.dataset
    keys = events.users * dataset.n_items + events.items
    last = len(keys) - 1 - np.unique(keys[::-1], return_index=True)[1]
    values = decays(events.days[last], split, half_life)
    place = (events.users[last], events.items[last])
    return csr_array((values, place), shape=(dataset.n_users, dataset.n_items))


def decays(days: FloatArray, split: Split, half_life: float | None) -> Scores:
    """Return 0.5^(age / half-life) for events on these days."""
    if half_life is None:
        return np.ones(len(days), np.float32)
    ages = np.maximum(split.trained_until - days, 0)
    return np.asarray(0.5 ** (ages / half_life), np.float32)


def item_popularity(split: Split, *, half_life: float | None = None) -> Scores:
    """Return the weight of every item over its users, scaled to a maximum of 1, [n_items]."""
    counts = weights(split, half_life=half_life).sum(axis=0)
    return np.asarray(counts / counts.max(), np.float32)


def threads() -> int:
    """Number of threads that the run allows to one training."""
    return int(os.environ.get("OMP_NUM_THREADS", "2"))

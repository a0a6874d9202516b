"""Which setting is chosen, and how many epochs, by scores written by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from recs.learning import TIMELESS, Interactions, Timescale, TrainingConfig, trial
from recs.learning.config import DRIFT
from recs.learning.progress import Timings
from recs.learning.trial import Trial, choose_trial
from recs.learning.validation import Validation
from tests.learning.planted import planted

Key = tuple[float, float]  # half-life and temperature
Scores = Sequence[tuple[float, float]]
SLOW, FAST = Timescale(240.0), Timescale(60.0)
DATED = planted(predictability=0.8, n_users=200, with_times=True)
UNDATED = planted(predictability=0.8, n_users=200)


def choose(
    data: Interactions,
    scores: Mapping[Key, Scores],
    monkeypatch: pytest.MonkeyPatch,
    **settings: Any,
) -> tuple[Trial, Counter[Key]]:
    """Choose where a setting has these scores after its epochs; its model is their number.

    Returns:
        the choice, and how many epochs of each setting there were.
    """
    ran: Counter[Key] = Counter()

    class Scripted:
        def __init__(self, _: Interactions, scale: Timescale, temperature: float, *_rest: Any):
            self._key, self._epochs = (scale.half_life_days, temperature), 0

        def epoch(self) -> float:
            self._epochs += 1
            ran[self._key] += 1
            return 1.0

        def result(self) -> int:
            return self._epochs

        def score(self, model: int, _: Validation) -> tuple[float, float]:
            return scores[self._key][model - 1]

    monkeypatch.setattr(trial, "Run", Scripted)
    config = TrainingConfig(**{"temperature": 0.12, "sharp_temperature": 0.08, **settings})
    return choose_trial(data, config, Timings(), None), ran


COURSE = [(0.2, 0.1), (0.4, 0.1), (0.3, 0.3), (0.45, 0.1), (0.3, 0.3), (0.1, 0.1), (0.9, 0.9)]


def test_the_epoch_of_the_largest_sum_is_the_best_and_the_first_of_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, ran = choose(UNDATED, {(math.inf, 0.12): COURSE}, monkeypatch, patience=3)
    assert (found.epochs, found.value, found.model) == (3, pytest.approx(0.6), 3)
    assert max(found.scores, key=sum) == COURSE[2]
    assert ran.total() == 6  # the seventh would come after the patience is over


def test_a_given_number_of_epochs_is_what_is_trained_whichever_was_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scores = {(math.inf, 0.12): COURSE}
    found, ran = choose(UNDATED, scores, monkeypatch, epochs=5, max_epochs=2, patience=9)
    assert (found.epochs, found.model) == (5, 3)
    assert ran.total() == 5


@pytest.mark.parametrize(("share", "epochs"), [(0.79, 6), (0.81, 9)])
def test_what_is_a_fifth_behind_the_best_setting_is_given_up_after_six_epochs(
    share: float, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rising = [(0.3 * share - 0.001 * n, 0.3 * share) for n in range(8, -1, -1)]
    scores = {(240.0, 0.12): [(0.3, 0.3)] * 4, (60.0, 0.12): rising}
    scales = (SLOW, FAST)
    found, ran = choose(DATED, scores, monkeypatch, timescales=scales, max_epochs=9, patience=3)
    assert found.timescale == SLOW
    assert ran[60.0, 0.12] == epochs


@pytest.mark.parametrize(("late", "chosen"), [(0.29, SLOW), (0.3, SLOW), (0.31, FAST)])
def test_the_best_setting_is_chosen_and_of_equals_the_first(
    late: float, chosen: Timescale, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {(240.0, 0.12): [(0.3, 0.3)] * 2, (60.0, 0.12): [(late, 0.3)] * 2}
    scales = (SLOW, FAST)
    found, _ = choose(DATED, scores, monkeypatch, timescales=scales, patience=1)
    assert found.timescale == chosen


@pytest.mark.parametrize(
    ("sharp", "temperature"), [(0.25, 0.12), (0.305, 0.12), (0.311, 0.12), (0.313, 0.08)]
)
def test_a_sharper_temperature_has_to_be_better_by_more_than_two_percent(
    sharp: float, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recs.learning.catalog_defaults.LARGE_CATALOG", 240)
    scores = {
        (240.0, 0.12): [(0.2, 0.3)] * 2,
        (60.0, 0.12): [(0.3, 0.3)] * 2,
        (60.0, 0.08): [(sharp, 0.3)] * 2,
    }
    scales = (SLOW, FAST)
    found, _ = choose(DATED, scores, monkeypatch, timescales=scales, patience=1)
    assert (found.timescale, found.temperature) == (FAST, temperature)


def test_a_second_temperature_that_is_no_sharper_is_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("recs.learning.catalog_defaults.LARGE_CATALOG", 240)
    scores = {(math.inf, 0.12): COURSE}
    _, ran = choose(UNDATED, scores, monkeypatch, sharp_temperature=0.12, patience=3)
    assert ran.total() == 6


def strangers(*, n_users: int = 60) -> Interactions:
    """Return users none of whom has an item of another: nothing that is held out is known."""
    users = np.repeat(np.arange(n_users, dtype=np.int32), 2)
    items = np.arange(2 * n_users, dtype=np.int32)
    days = np.arange(2.0 * n_users)
    return Interactions.from_pairs(
        users, items, n_users=n_users, n_items=2 * n_users, first_occurred_at=days
    )


@pytest.mark.parametrize(("given", "epochs"), [(None, 5), (2, 2)])
def test_where_nobody_can_judge_the_slowest_setting_is_trained_for_few_epochs(
    given: int | None, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = (FAST, SLOW, TIMELESS)
    found, ran = choose(strangers(), {}, monkeypatch, timescales=scales, epochs=given)
    assert (found.timescale, found.epochs, found.model) == (TIMELESS, epochs, None)
    assert math.isnan(found.value)
    assert not ran


def test_what_drifts_is_not_tried_where_users_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    days = np.random.default_rng(0).uniform(0, 730, len(UNDATED))
    regular = Interactions.from_pairs(
        UNDATED.user, UNDATED.item, n_users=200, n_items=240, first_occurred_at=days
    )
    assert not regular.in_sittings
    scores = {(240.0, 0.12): [(0.3, 0.3)] * 2}
    _, ran = choose(regular, scores, monkeypatch, timescales=(SLOW, DRIFT), patience=1)
    assert set(ran) == {(240.0, 0.12)}


def sittings() -> Interactions:
    """Return 200 users of one sitting, 80 of whom come back once, in the last month."""
    random = np.random.default_rng(0)
    items = random.random((200, 60)).argsort(axis=1)[:, :8]
    days = np.repeat(random.uniform(0, 700, 200)[:, None], 8, axis=1)
    days[:80, 6:] = random.uniform(700, 730, 80)[:, None]
    kept = (np.arange(8) < 6) | (np.arange(200)[:, None] < 80)
    user = np.repeat(np.arange(200), 8).reshape(200, 8)
    return Interactions.from_pairs(
        user[kept].astype(np.int32),
        items[kept].astype(np.int32),
        n_users=200,
        n_items=60,
        first_occurred_at=days[kept],
    )


@pytest.mark.parametrize("drifts", [True, False])
def test_where_users_are_gone_what_drifts_is_taken_if_it_beats_all_that_are_in_days(
    drifts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sittings()
    relative = DRIFT.absolute(data.median_age)
    scores = {
        (relative.half_life_days, 0.12): [(0.3, 0.3)] * 2,
        (240.0, 0.12): [(0.2 if drifts else 0.4, 0.3)] * 2,
        (60.0, 0.12): [(0.1, 0.3)] * 2,
    }
    scales = (SLOW, DRIFT, FAST)
    found, ran = choose(data, scores, monkeypatch, timescales=scales, patience=1)
    assert found.timescale == (relative if drifts else SLOW)
    # All are tried on the latest time; then the one that drifts alone, or all the others, once more
    assert list(ran.values()) == ([4, 2, 2] if drifts else [2, 4, 4])

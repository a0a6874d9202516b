"""Choosing among candidates about as good as the best."""

from dataclasses import dataclass

import numpy as np
import pytest

from recs.learning.choice import nearest_good


@dataclass(frozen=True)
class Setting:
    weight: float
    other: float = 1.0


DEFAULT = Setting(1.0)
WEIGHTS = [Setting(weight) for weight in (0.0, 0.5, 1.0, 2.0, 8.0)]


@pytest.mark.parametrize(
    ("verdicts", "chosen"),
    [
        ([0.50, 0.50, 0.50, 0.50, 0.50], 1.0),
        ([0.10, 0.10, 0.49, 0.10, 0.50], 1.0),  # 2 % is not clearly better
        ([0.10, 0.10, 0.48, 0.10, 0.50], 8.0),  # 4 % is
        ([0.10, 0.10, 0.10, 0.495, 0.50], 2.0),  # of good ones the nearest, not the best
        ([0.10, 0.495, 0.10, 0.50, 0.10], 2.0),  # of equally near ones the best
        ([0.50, 0.10, 0.10, 0.10, 0.495], 8.0),  # nothing is further than a weight of 0
    ],
)
def test_the_nearest_to_the_default_is_chosen_among_the_good(verdicts, chosen) -> None:
    alone = np.array(verdicts)[:, None]
    found = nearest_good(WEIGHTS, alone, DEFAULT, ("weight", "other"), tolerance=0.03)
    assert found == Setting(chosen)


def test_what_is_about_as_good_is_so_for_every_kind_of_user() -> None:
    # The default is 4 % behind in all, 8 % for the second kind.
    verdicts = np.array([[0.1, 0.1], [0.1, 0.1], [1.0, 0.92], [0.1, 0.1], [1.0, 1.0]])
    chosen = [
        nearest_good(
            WEIGHTS, verdicts, DEFAULT, ("weight", "other"), tolerance=np.array([0.05, second])
        )
        for second in (0.05, 0.1)
    ]
    assert chosen == [Setting(8.0), Setting(1.0)]


def test_the_best_has_the_largest_sum_whoever_is_best_for_one_kind_of_user() -> None:
    # 2.0 is the best in all; 8.0 is better for the second kind, and useless for the first.
    verdicts = np.array([[0.1, 0.1], [0.1, 0.1], [0.99, 0.79], [1.0, 0.8], [0.1, 1.0]])
    assert nearest_good(WEIGHTS, verdicts, DEFAULT, ("weight",), tolerance=0.05) == DEFAULT


@pytest.mark.parametrize(("far", "chosen"), [(90.0, 90.0), (110.0, 0.0)])
def test_nothing_at_all_is_as_far_as_a_hundredth(far: float, chosen: float) -> None:
    settings = [Setting(0.0), Setting(far)]
    alike = np.ones((2, 1))
    assert nearest_good(settings, alike, DEFAULT, ("weight",), tolerance=0.0).weight == chosen

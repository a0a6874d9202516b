import numpy as np
import pytest

from recs.learning.ranking import best_columns


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_best_columns_are_those_of_a_full_sort_and_no_more_than_there_are(dtype: type) -> None:
    scores = np.random.default_rng(0).normal(size=(30, 12)).astype(dtype)
    scores[scores < -0.5] = -np.inf
    for k in (1, 5, 12, 40):
        found = best_columns(scores, k)
        assert found.shape == (30, min(k, 12))
        values = np.take_along_axis(scores, found, axis=1)
        np.testing.assert_array_equal(values, -np.sort(-scores, axis=1)[:, :k])

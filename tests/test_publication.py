"""What is refused before anything of a version is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recs.errors import BadInput
from recs.training.publication import BlendWeights, check
from tests import shops

N, D = 30, 8
IDS = shops.item_ids(N)
PARTS = BlendWeights(
    tower_dimension=4,
    tower_weight=0.8,
    tower_support=100.0,
    tower_fading=1e6,
    low_pass_dimension=0,
    detail_dimension=0,
    association_support=5.0,
    popularity_weight=0.03,
    new_item_tower=0.15,
    new_item_bias=0.05,
    embedding_scale=1.0,
)


def checked(row: int = 17, *, parts: bool = False, **changes: Any) -> None:
    """Check a version of which one row of some matrices, by name, is changed."""
    learned = changes.pop("learned", None)
    vectors = np.random.default_rng(0).normal(size=(N, D))
    what = shops.publication(IDS, vectors, blend=PARTS if parts else None)
    items = replace(what.items, learned=learned)
    for name, value in changes.items():
        matrix = getattr(items, name).copy()
        matrix[row] = value if np.ndim(value) else value * matrix[row]
        items = replace(items, **{name: matrix})
    check(replace(what, items=items))


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("name", ["embedding", "history_embedding"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_of_an_item_with_a_number_that_is_none_is_refused_by_name(
    parts: bool, name: str, bad: float
) -> None:
    vector = np.zeros(D)
    vector[3] = bad
    with pytest.raises(BadInput, match=r"embedding of item 'item-17' has (norm )?(NaN|nan|inf)"):
        checked(parts=parts, **{name: vector})


@pytest.mark.parametrize(
    ("length", "parts", "fits"),
    [
        (1.02, False, False),
        (0.98, False, False),
        (1.005, False, True),
        (0.995, False, True),
        (1.02, True, False),
        (0.3, True, True),
        (0.0, True, True),
        (0.0, False, False),
    ],
)
def test_the_norm_of_an_item_is_one_or_where_vectors_have_parts_at_most_one(
    length: float, parts: bool, fits: bool
) -> None:
    if fits:
        checked(parts=parts, embedding=length)
    else:
        most = "1 at most" if parts else "1\n"
        with pytest.raises(BadInput, match=f"'item-17' has norm {length:.4g}, expected {most}"):
            checked(parts=parts, embedding=length)


def test_a_history_may_be_as_long_as_it_likes() -> None:
    checked(history_embedding=1e4)
    checked(history_embedding=0.0)


def test_items_whose_histories_have_another_dimension_are_refused() -> None:
    what = shops.publication(IDS, np.ones((N, D)))
    wide = replace(what.items, history_embedding=np.ones((N, D + 1), np.float32))
    with pytest.raises(BadInput, match=r"'item-0' has dimension 9, expected 8"):
        check(replace(what, items=wide))


def test_what_is_not_learned_is_not_looked_at_and_what_is_has_its_own_name() -> None:
    learned = np.arange(N) % 2 == 1
    checked(row=16, learned=learned, embedding=5.0, history_embedding=np.nan)
    with pytest.raises(BadInput, match="'item-17' has norm 5"):
        checked(row=17, learned=learned, embedding=5.0)
    with pytest.raises(BadInput, match="history embedding of item 'item-17'"):
        checked(row=17, learned=learned, history_embedding=np.nan)


def test_a_version_of_no_items_is_refused() -> None:
    with pytest.raises(BadInput, match="no item to publish"):
        checked(learned=np.zeros(N, bool))


def test_another_metric_than_the_schemas_is_refused() -> None:
    what = shops.publication(IDS, np.ones((N, D)), metric="cosine")
    with pytest.raises(BadInput, match="metric 'cosine' is not served, expected 'inner_product'"):
        check(what)

"""Drawing learned items to their likes, on catalogs whose truth is known."""

import numpy as np
import pytest

from recs.learning import shrinkage
from recs.learning.shrinkage import SUPPORT, fit_draw
from recs.learning.vectors import unit_rows

N_ITEMS, N_THEMES, DIMENSION = 1200, 20, 16
THEMES = np.arange(N_ITEMS) % N_THEMES


def truth(own: float) -> np.ndarray:
    """Return directions of items, which share that of their theme but for `own` of it."""
    generator = np.random.default_rng(0)
    themes = unit_rows(generator.normal(size=(N_THEMES, DIMENSION)))
    alone = unit_rows(generator.normal(size=(N_ITEMS, DIMENSION)))
    return unit_rows(themes[THEMES] + own * alone)


def support_of() -> np.ndarray:
    return np.random.default_rng(1).integers(1, 400, N_ITEMS)


def learned(true: np.ndarray, support: np.ndarray, *, chance: float) -> np.ndarray:
    noise = np.random.default_rng(2).normal(size=true.shape) / np.sqrt(DIMENSION)
    return unit_rows(true + chance * noise * np.sqrt(SUPPORT / (support + SUPPORT))[:, None])


def content_of(themes: np.ndarray = THEMES) -> np.ndarray:
    return np.eye(N_THEMES, dtype=np.float32)[themes]


def drawn(embeddings: np.ndarray, content: np.ndarray, support: np.ndarray) -> np.ndarray:
    return fit_draw(embeddings, content, support).apply(embeddings)


def distance(vectors: np.ndarray, true: np.ndarray) -> np.ndarray:
    return 1 - np.sum(vectors * true, axis=1)


def test_items_of_few_users_come_nearer_to_the_truth_and_those_of_many_hardly_move() -> None:
    true, support = truth(own=0.3), support_of()
    before = learned(true, support, chance=1.5)
    after = drawn(before, content_of(), support)
    few, many = support < 30, support > 300
    assert distance(after, true)[few].mean() < 0.5 * distance(before, true)[few].mean()
    assert distance(after, before)[many].mean() < 0.3 * distance(after, before)[few].mean()
    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-5)


def test_content_that_says_nothing_draws_nobody() -> None:
    true, support = truth(own=0.3), support_of()
    before = learned(true, support, chance=1.5)
    shuffled = np.random.default_rng(3).permutation(THEMES)
    after = drawn(before, content_of(shuffled), support)
    assert distance(after, before).mean() < 0.02


def test_a_catalog_without_chance_stays_as_it_is() -> None:
    true, support = truth(own=1.0), support_of()
    assert distance(drawn(true, content_of(), support), true).mean() < 0.02


def test_the_draw_is_the_one_of_the_docstring() -> None:
    true, support = truth(own=0.3), support_of()
    before = learned(true, support, chance=1.5)
    after = drawn(before, content_of(), support)
    share = SUPPORT / (support + SUPPORT)
    means = np.empty_like(before)
    for item in range(N_ITEMS):
        likes = np.flatnonzero((THEMES[item] == THEMES) & (np.arange(N_ITEMS) != item))
        means[item] = before[likes].mean(axis=0)  # 59 likes, all equally alike
    means = unit_rows(means)
    slope, level = np.polyfit(share, distance(before, means), 1)
    draw = (slope / (level + slope) * share)[:, None]
    np.testing.assert_allclose(after, unit_rows((1 - draw) * before + draw * means), atol=1e-4)


def test_items_without_users_or_content_or_likes_stay_where_they_are() -> None:
    true, support = truth(own=0.3), support_of()
    content = np.pad(content_of(), ((0, 0), (0, 1)))
    support[:5] = 0
    content[5:10] = 0
    content[10] = np.eye(N_THEMES + 1)[-1]
    before = learned(true, support, chance=1.5)
    after = drawn(before, content, support)
    np.testing.assert_allclose(after[:11], before[:11], atol=1e-6)
    assert distance(after, before)[11:].mean() > 0.01


def test_items_that_nobody_has_draw_nobody() -> None:
    true, support = truth(own=0.3), support_of()
    support[::3] = 0
    before = learned(true, support, chance=1.5)
    other = before.copy()
    other[::3] = -other[::3]
    after = drawn(before, content_of(), support)
    other = drawn(other, content_of(), support)
    np.testing.assert_array_equal(np.delete(after, np.s_[::3], 0), np.delete(other, np.s_[::3], 0))


@pytest.mark.parametrize("n_items", [0, 5, 99])
def test_a_few_items_are_left_alone(n_items: int) -> None:
    before, support = truth(own=0.3)[:n_items], support_of()[:n_items]
    np.testing.assert_array_equal(drawn(before, content_of()[:n_items], support), before)


def test_equal_support_everywhere_draws_nobody() -> None:
    before = learned(truth(own=0.3), support_of(), chance=1.5)
    after = drawn(before, content_of(), np.full(N_ITEMS, 7))
    np.testing.assert_allclose(after, before, atol=1e-6)


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_a_draw_of_less_strength_goes_less_of_the_way(strength: float) -> None:
    true, support = truth(own=0.3), support_of()
    before = learned(true, support, chance=1.5)
    draw = fit_draw(before, content_of(), support)
    share = strength * draw.share[:, None]
    expected = unit_rows((1 - share) * before + share * draw.means)
    np.testing.assert_allclose(draw.apply(before, strength), expected, atol=1e-6)
    assert draw.share.max() > 0.5


def test_a_hundred_items_of_users_and_content_are_enough_and_one_less_is_not() -> None:
    true, support = truth(own=0.3), support_of()
    before = learned(true, support, chance=1.5)
    for enough, moved in ((100, True), (99, False)):
        content = content_of()
        content[enough:] = 0
        assert np.any(drawn(before, content, support) != before) == moved


def test_likes_are_looked_for_among_the_items_of_most_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shrinkage, "COMPARED", 400)
    true, support = truth(own=0.3), support_of() + 400 * (np.arange(N_ITEMS) >= 800)
    before = learned(true, support, chance=1.5)
    means = fit_draw(before, content_of(), support).means
    for item in range(0, N_ITEMS, 7):
        likes = [i for i in range(800, N_ITEMS) if THEMES[i] == THEMES[item] and i != item]
        np.testing.assert_allclose(
            means[item], unit_rows(before[likes].mean(0)[None])[0], atol=1e-5
        )


def test_where_items_of_many_users_lie_further_from_their_likes_nothing_draws() -> None:
    true, support = truth(own=0.3), support_of()
    contrary = learned(true, support.max() + 1 - support, chance=1.5)
    assert not fit_draw(contrary, content_of(), support).share.any()


def test_no_item_is_drawn_further_than_as_if_all_that_lies_between_were_chance() -> None:
    true, support = truth(own=0.0), support_of()
    few = support < 40
    before = np.where(few[:, None], learned(true, support, chance=4.0), true)
    share = fit_draw(before, content_of(), support).share
    assert share.max() > 0.9
    assert (share <= SUPPORT / (support + SUPPORT) + 1e-6).all()


def test_items_like_nothing_have_no_say_on_how_far_the_others_are_drawn() -> None:
    true, support = truth(own=0.3), support_of()
    before = learned(true, support, chance=1.5)
    alone = np.pad(content_of(), ((0, 0), (0, 300)))
    alone[:300, :N_THEMES] = 0
    alone[:300, N_THEMES:] = np.eye(300)  # each like itself alone
    draw = fit_draw(before, alone, support)
    assert not draw.share[:300].any()
    others = fit_draw(before[300:], content_of()[300:], support[300:])
    np.testing.assert_allclose(draw.share[300:], others.share, rtol=1e-5)

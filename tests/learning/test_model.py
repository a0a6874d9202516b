import numpy as np
import pytest
import scipy.sparse as sp
import torch

from recs.learning import blocks
from recs.learning.graph import Graph, initial_embeddings
from recs.learning.model import TwoTower

N_USERS, N_ITEMS, DIMENSION, STRENGTH = 50, 12, 4, 0.7


@pytest.fixture
def weights():
    generator = np.random.default_rng(0)
    dense = generator.random((N_USERS, N_ITEMS)) * (generator.random((N_USERS, N_ITEMS)) < 0.3)
    dense[:, 5] = 0  # nobody has touched item 5
    return dense


@pytest.fixture
def smoothing(weights):
    # S of R = D_U^-1/2 W D_I^-1/2, written out
    users, items = weights.sum(axis=1), weights.sum(axis=0)
    scaled = np.zeros_like(weights)
    for user, item in zip(*weights.nonzero(), strict=True):
        scaled[user, item] = weights[user, item] / np.sqrt(users[user] * items[item])
    return scaled.T @ scaled


@pytest.mark.parametrize("block", [16_384, 7])
def test_smoothing_takes_from_the_items_seen_together_in_whatever_blocks(
    weights, smoothing, block, monkeypatch
):
    monkeypatch.setattr(blocks, "USERS", block)
    vectors = np.random.default_rng(1).standard_normal((N_ITEMS, DIMENSION))
    found = Graph.of(sp.csr_matrix(weights)).smooth(torch.from_numpy(vectors).float())
    np.testing.assert_allclose(found.numpy(), smoothing @ vectors, atol=1e-5)
    assert not found[5].any()


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_training_starts_at_a_filter_of_the_graph_that_more_power_makes_smoother(
    weights, smoothing, power
):
    history, items = initial_embeddings(
        Graph.of(sp.csr_matrix(weights)), DIMENSION, seed=0, power=power
    )
    values, vectors = (x[..., : -DIMENSION - 1 : -1] for x in np.linalg.eigh(smoothing))
    seen = np.arange(N_ITEMS) != 5
    degrees = np.where(seen, weights.sum(axis=0), 1)
    filtered = (vectors * values ** (2 * power)) @ vectors.T
    wanted = filtered / np.sqrt(degrees)[:, None] / np.linalg.norm(vectors * values**power, axis=1)
    found = history @ items.T
    scale = np.linalg.norm(found[:, seen]) / np.linalg.norm(wanted[:, seen])
    np.testing.assert_allclose(found[:, seen], scale * wanted[:, seen], atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(items, axis=1), 1, atol=1e-5)
    assert np.square(history).sum(axis=1).mean() == pytest.approx(1, abs=1e-4)
    assert not history[5].any()  # but it has a direction to be recommended by


def towers(weights):
    generator = np.random.default_rng(2)
    start = generator.standard_normal((2, N_ITEMS, DIMENSION)).astype(np.float32)
    return TwoTower(*start, Graph.of(sp.csr_matrix(weights)), STRENGTH)


def loss_of(tables):
    users = tables.user_tower(
        torch.tensor([0, 3, 7]), torch.tensor([1.0, 2.0, 1.0]), torch.tensor([0, 2])
    )
    return (users @ tables.item_tower(torch.tensor([1, 4, 5])).T).square().sum()


def test_the_towers_look_up_smoothed_vectors(weights, smoothing):
    model = towers(weights)
    operator = np.eye(N_ITEMS) + STRENGTH * smoothing
    tables = model.tables()
    for table, parameter in zip((tables.history, tables.items), model.parameters(), strict=True):
        expected = operator @ parameter.detach().numpy()
        np.testing.assert_allclose(table.detach().numpy(), expected, atol=1e-5)


def test_gradients_reach_the_parameters_through_the_graph(weights, smoothing):
    # Against autograd through the dense operator, over two batches.
    model = towers(weights)
    tables = model.tables()
    for _ in range(2):
        loss_of(tables).backward()
    model.backward(tables)

    operator = torch.from_numpy(np.eye(N_ITEMS) + STRENGTH * smoothing).float()
    history, items = (parameter.detach().clone() for parameter in model.parameters())
    plain = [history.requires_grad_(), items.requires_grad_()]
    (2 * loss_of(type(tables)(operator @ history, operator @ items))).backward()
    for parameter, expected in zip(model.parameters(), plain, strict=True):
        np.testing.assert_allclose(parameter.grad.numpy(), expected.grad.numpy(), atol=1e-4)

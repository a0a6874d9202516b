import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recs.learning.losses import sampled_softmax

TEMPERATURE = 0.2


@pytest.fixture
def towers():
    torch.manual_seed(0)
    users = F.normalize(torch.randn(6, 8, dtype=torch.float64), dim=1).requires_grad_()
    items = F.normalize(torch.randn(30, 8, dtype=torch.float64), dim=1).requires_grad_()
    return users, items


ROWS = torch.tensor([0, 0, 1, 2, 5])
COLUMNS = torch.tensor([3, 4, 3, 9, 29])
WEIGHTS = torch.tensor([1.0, 0.5, 2.0, 1.0, 1.0], dtype=torch.float64)


def slow_softmax(users, items, masked=()):
    logits = users @ items.T / TEMPERATURE
    mask = torch.zeros_like(logits, dtype=torch.bool)
    for row, column in masked:
        mask[row, column] = True
    log_probabilities = F.log_softmax(logits.masked_fill(mask, -1e9), dim=1)
    return -(WEIGHTS * log_probabilities[ROWS, COLUMNS]).sum()


def test_with_every_item_a_candidate_the_loss_and_its_gradient_are_cross_entropy(towers):
    fast = sampled_softmax(*towers, ROWS, COLUMNS, WEIGHTS, temperature=TEMPERATURE)
    gradients = torch.autograd.grad(fast, towers)
    slow = slow_softmax(*towers)
    expected = torch.autograd.grad(slow, towers)
    assert fast.item() == pytest.approx(slow.item(), rel=1e-9)
    for gradient, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, other)


def test_masked_items_are_no_candidates(towers):
    fast = sampled_softmax(
        *towers,
        ROWS,
        COLUMNS,
        WEIGHTS,
        temperature=TEMPERATURE,
        masked_rows=torch.tensor([0, 1]),
        masked_columns=torch.tensor([7, 8]),
    )
    slow = slow_softmax(*towers, masked=[(0, 7), (1, 8)])
    assert fast.item() == pytest.approx(slow.item(), rel=1e-9)


def gradient_of_sample(users, items, candidates, log_inclusion):
    """Compute the loss and d loss / d items over a sample, scattered to the whole catalog."""
    columns = torch.from_numpy(np.searchsorted(candidates, COLUMNS.numpy()))
    picked = items[torch.from_numpy(candidates)]
    loss = sampled_softmax(
        users, picked, ROWS, columns, WEIGHTS, temperature=TEMPERATURE, log_inclusion=log_inclusion
    )
    return loss.item(), torch.autograd.grad(loss, items)[0]


def test_the_logq_correction_brings_a_sample_near_the_full_softmax(towers):
    users, items = towers
    full = slow_softmax(users, items)
    expected = torch.autograd.grad(full, items, retain_graph=True)[0]
    generator = np.random.default_rng(0)
    # Half the catalog is nearly always drawn, the other half seldom: only a correction repairs it.
    chance = np.where(np.arange(30) < 15, 0.95, 0.3)
    errors = {True: [], False: []}
    means = {True: torch.zeros_like(items), False: torch.zeros_like(items)}
    for _ in range(400):
        drawn = np.flatnonzero(generator.random(30) < chance)
        candidates = np.union1d(drawn, np.unique(COLUMNS.numpy()))
        inclusion = np.where(np.isin(candidates, COLUMNS.numpy()), 1.0, chance[candidates])
        for corrected in (True, False):
            loss, gradient = gradient_of_sample(
                users, items, candidates, torch.from_numpy(np.log(inclusion)) if corrected else None
            )
            errors[corrected].append(loss - full.item())
            means[corrected] += gradient.detach() / 400
    assert abs(np.mean(errors[True])) < 0.25 * abs(np.mean(errors[False]))
    distance = {key: (mean - expected).norm().item() for key, mean in means.items()}
    assert distance[True] < 0.5 * distance[False]


def test_targets_are_there_for_certain_for_their_own_user_and_by_chance_for_others(towers):
    users, items = towers
    log_inclusion = torch.linspace(-3, -0.1, 30, dtype=torch.float64)
    fast = sampled_softmax(
        *towers, ROWS, COLUMNS, WEIGHTS, temperature=TEMPERATURE, log_inclusion=log_inclusion
    )
    logits = users @ items.T / TEMPERATURE
    own = torch.zeros_like(logits, dtype=torch.bool)
    own[ROWS, COLUMNS] = True
    # Item 3 is a target of the users 0 and 1: to user 2 it is there as often as it is drawn.
    totals = torch.where(own, logits, logits - log_inclusion).logsumexp(dim=1)
    slow = (WEIGHTS * (totals[ROWS] - logits[ROWS, COLUMNS])).sum()
    assert fast.item() == pytest.approx(slow.item(), rel=1e-9)
    gradients, expected = (torch.autograd.grad(loss, towers) for loss in (fast, slow))
    for gradient, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, other)


def test_a_share_of_a_loss_has_that_share_of_its_gradient(towers):
    # A step of several batches takes the mean of their losses.
    whole, share = (
        torch.autograd.grad(
            factor * sampled_softmax(*towers, ROWS, COLUMNS, WEIGHTS, temperature=TEMPERATURE),
            towers,
        )
        for factor in (1.0, 0.25)
    )
    for gradient, part in zip(whole, share, strict=True):
        torch.testing.assert_close(part, 0.25 * gradient)

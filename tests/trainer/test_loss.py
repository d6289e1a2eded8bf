"""The losses: what they reward."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from trainer.loss import cross_entropy, ordinal

both = pytest.mark.parametrize("loss", [ordinal, cross_entropy])
shares = st.lists(st.floats(0.01, 1), min_size=5, max_size=5).map(lambda some: torch.tensor([some]) / sum(some))


def sure_of(grade: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor([grade]), 5).float() * 5


def test_a_miss_by_two_grades_costs_more_than_one_by_one_where_grades_are_ordered():
    truth = torch.tensor([[0, 0, 1.0, 0, 0]])
    assert ordinal(sure_of(2), truth) < ordinal(sure_of(3), truth) < ordinal(sure_of(4), truth)
    assert ordinal(sure_of(1), truth) == pytest.approx(ordinal(sure_of(3), truth))
    assert cross_entropy(sure_of(4), truth) == pytest.approx(cross_entropy(sure_of(3), truth))


def test_the_values_are_those_worked_out_by_hand():
    logits, truth = torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])
    assert cross_entropy(logits, truth) == pytest.approx(math.log(2))
    assert ordinal(logits, truth) == pytest.approx(math.log(2) + 0.25)
    two = torch.cat([logits, logits]), torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    assert ordinal(*two).tolist() == pytest.approx([math.log(2) + 0.25, math.log(2)])


@both
@given(target=shares, step=st.lists(st.floats(-1, 1), min_size=5, max_size=5))
def test_nothing_is_better_than_the_raters_own_distribution(loss, target, step):
    best = loss(target.log(), target)
    assert best == pytest.approx(float(cross_entropy(target.log(), target)), abs=1e-6)
    assert loss(target.log() + torch.tensor([step]), target) >= best - 1e-6


@both
def test_at_the_raters_distribution_there_is_nothing_left_to_learn(loss):
    target = torch.tensor([[0.0625, 0.25, 0.5, 0.125, 0.0625]])
    logits = target.log().requires_grad_()
    loss(logits, target).sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros(1, 5), atol=1e-6, rtol=0)


@both
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
def test_gradients_are_finite_however_wrong_the_network_is(loss, scale):
    logits = (sure_of(0) * scale).requires_grad_()
    value = loss(logits, torch.tensor([[0, 0, 0, 0, 1.0]]))
    value.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()

"""What a field depends on is found, once, wherever it has it from and whenever it reads it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from node import solve
from tests.support.gradients import tensor
from tests.support.lawful import T, assert_lawful, backprop_of, every_mode, gradients, how, or_refused

Y0 = tensor(0.5, -0.3)
W = tensor(0.3, 0.1, 0.0, -0.2).view(2, 2).requires_grad_()
V = tensor(0.4, -0.3).requires_grad_()
OF_W = torch.empty(0)  # a global name, of exp(w)


class Holding(nn.Module):
    """A field that has exp(w) as an attribute, and w as its parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.w = W
        self.of_w = torch.exp(W)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(y @ self.of_w - y @ self.w)


def of_both() -> Callable[[Tensor, Tensor], Tensor]:
    of_w = torch.exp(W)
    return lambda t, y: torch.tanh(y @ of_w - y @ W)


def of_the_outcome() -> Callable[[Tensor, Tensor], Tensor]:
    of_w = torch.exp(W)
    return lambda t, y: torch.tanh(y @ of_w)


def by_a_global_name() -> Callable[[Tensor, Tensor], Tensor]:
    global OF_W
    OF_W = torch.exp(W)
    return lambda t, y: torch.tanh(y @ OF_W - y @ W)


def later() -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, y: torch.tanh(y @ W) if t < 0.5 else V * y


def its_outcome_later() -> Callable[[Tensor, Tensor], Tensor]:
    of_v = torch.exp(V)
    return lambda t, y: torch.tanh(y @ W) if t < 0.5 else of_v * y


FIELDS: dict[str, Callable[[], Callable[[Tensor, Tensor], Tensor]]] = {
    make.__name__: make for make in (Holding, of_both, of_the_outcome, by_a_global_name, later, its_outcome_later)
}


def loss(name: str, way: dict[str, object]) -> Tensor:
    return solve(FIELDS[name](), Y0, T, max_steps=10_000, **way).y.square().sum()


@every_mode
@pytest.mark.parametrize("name", FIELDS)
def test_what_a_field_reads_gets_its_gradient_once_or_is_named(name: str, mode: str) -> None:
    true = gradients(lambda: loss(name, backprop_of(mode)), [W, V])
    assert_lawful(or_refused(lambda: gradients(lambda: loss(name, how(mode)), [W, V])), true, mode)

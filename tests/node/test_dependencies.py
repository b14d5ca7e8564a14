"""The tensors that a field depends on are found once, wherever they are held and whenever the field reads them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from node import solve
from tests.support.gradients import tensor
from tests.support.right_or_refused import (
    T,
    arguments_of,
    assert_right_or_refused,
    backprop_arguments_of,
    every_mode,
    gradients,
    none_if_refused,
)

Y0 = tensor(0.5, -0.3)
W = tensor(0.3, 0.1, 0.0, -0.2).view(2, 2).requires_grad_()
V = tensor(0.4, -0.3).requires_grad_()
EXP_W = torch.empty(0)  # exp(w) under a global name


class Holding(nn.Module):
    """A field that holds exp(w) as an attribute and w as a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.w = W
        self.exp_w = torch.exp(W)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.tanh(y @ self.exp_w - y @ self.w)


def reads_w_and_exp_w() -> Callable[[Tensor, Tensor], Tensor]:
    exp_w = torch.exp(W)
    return lambda t, y: torch.tanh(y @ exp_w - y @ W)


def reads_exp_w_only() -> Callable[[Tensor, Tensor], Tensor]:
    exp_w = torch.exp(W)
    return lambda t, y: torch.tanh(y @ exp_w)


def reads_exp_w_by_a_global_name() -> Callable[[Tensor, Tensor], Tensor]:
    global EXP_W
    EXP_W = torch.exp(W)
    return lambda t, y: torch.tanh(y @ EXP_W - y @ W)


def reads_v_in_later_calls() -> Callable[[Tensor, Tensor], Tensor]:
    return lambda t, y: torch.tanh(y @ W) if t < 0.5 else V * y


def reads_exp_v_in_later_calls() -> Callable[[Tensor, Tensor], Tensor]:
    exp_v = torch.exp(V)
    return lambda t, y: torch.tanh(y @ W) if t < 0.5 else exp_v * y


FIELDS: dict[str, Callable[[], Callable[[Tensor, Tensor], Tensor]]] = {
    make.__name__: make
    for make in (
        Holding,
        reads_w_and_exp_w,
        reads_exp_w_only,
        reads_exp_w_by_a_global_name,
        reads_v_in_later_calls,
        reads_exp_v_in_later_calls,
    )
}


def loss(name: str, arguments: dict[str, object]) -> Tensor:
    return solve(FIELDS[name](), Y0, T, max_steps=10_000, **arguments).y.square().sum()


@every_mode
@pytest.mark.parametrize("name", FIELDS)
def test_a_tensor_that_a_field_reads_gets_its_gradient_once_or_is_refused(name: str, mode: str) -> None:
    true = gradients(lambda: loss(name, backprop_arguments_of(mode)), [W, V])
    assert_right_or_refused(
        none_if_refused(lambda: gradients(lambda: loss(name, arguments_of(mode)), [W, V])), true, mode
    )
